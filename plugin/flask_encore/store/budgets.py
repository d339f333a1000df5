"""What campaigns with a budget have sold, and the one statement that lets their claims come one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa

from flask_encore.domain.charges import ChargeStatus
from flask_encore.store.models import campaigns, charges

#: An UPDATE that writes nothing new rather than a SELECT FOR UPDATE: where the host's engine isolates transactions more
#: than we ask for, the second of two claims is refused by PostgreSQL instead of summing up what it saw too early.
_LOCK = (
    sa.update(campaigns)
    .where(campaigns.c.account == sa.bindparam("of_account"), campaigns.c.campaign_ref == sa.bindparam("of_ref"))
    .values(version=campaigns.c.version)
    .returning(campaigns.c.definition)
)


def lock(connection: sa.Connection, *, account: str, campaign_ref: str) -> Mapping[str, Any] | None:
    """The definition of a campaign; nobody else spends of its budget, or changes it, until the transaction ends.

    ``None``: there is no such campaign.
    """
    found: Mapping[str, Any] | None = connection.execute(
        _LOCK, {"of_account": account, "of_ref": campaign_ref}
    ).scalar()
    return found


#: A charge in one of these has given its units and its money back to the campaign's budget.
_GIVEN_BACK = [ChargeStatus.CANCELED.value, ChargeStatus.REFUNDED.value]


def sold(
    connection: sa.Connection, *, account: str, campaign_refs: Collection[str]
) -> dict[str, tuple[int, dict[str, int]]]:
    """What campaigns have sold, or are about to: by ref the units, and minor units by currency; (0, {}) for nothing.

    One SELECT. A unit of a bundle is both its products.
    """
    if not campaign_refs:
        return {}
    rows = connection.execute(
        sa.select(
            charges.c.campaign_ref,
            charges.c.currency,
            sa.func.sum(charges.c.quantity),
            sa.func.sum(charges.c.amount_minor),
        )
        .where(
            charges.c.account == account,
            charges.c.campaign_ref.in_(sorted(campaign_refs)),
            charges.c.status.not_in(_GIVEN_BACK),
        )
        .group_by(charges.c.campaign_ref, charges.c.currency)
    )
    found: dict[str, tuple[int, dict[str, int]]] = {ref: (0, {}) for ref in campaign_refs}
    for ref, currency, units, minor in rows:
        before, money = found[ref]
        found[ref] = (before + int(units), money | {currency: int(minor)})
    return found

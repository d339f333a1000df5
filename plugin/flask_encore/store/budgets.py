"""The one statement that lets the claims of a campaign with a budget come one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from flask_encore.store.models import campaigns

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

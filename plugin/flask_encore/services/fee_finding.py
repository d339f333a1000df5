"""Ask Stripe what it kept of each charge. It is for the reports alone: nothing about a charge depends on it.

Stripe writes its fee a while after the money moved, and gives it back with no refund. So it is asked for an hour later,
then after twice as long each time, and given up after days; the report says of how many charges it does not know it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from flask_encore.domain.errors import GatewayError, GatewayRefused
from flask_encore.services.runtime import Runtime, logger
from flask_encore.services.settling import ASK_FOR_FEE
from flask_encore.store import fees

#: After the money moved. What Stripe did not tell for a week it will not tell.
GIVE_UP = timedelta(days=7)

#: Of one sweep, each a request to Stripe that nobody waits for; the next sweep comes in seconds.
BATCH = 10


def find(rt: Runtime, due: Iterable[tuple[str, datetime]]) -> int:
    """Ask for the fees of the first charges of *due*, (id, charged_at) each; answers how many are known now.

    Never raises. When Stripe is silent, or too busy, it is asked for no more of them this time.
    """
    known = 0
    for charge_id, charged_at in list(due)[:BATCH]:
        try:
            known += _find(rt, charge_id, charged_at)
        except GatewayRefused as error:
            logger.warning("fee of charge %s: refused by Stripe (%s)", charge_id, error.code)
        except GatewayError as error:
            logger.warning("fee of charge %s: no answer from Stripe (%s)", charge_id, type(error).__name__)
            break
        except Exception:
            # Whatever it is, it is about a figure in a report, and the sweep has done what matters.
            rt.counts.add("fee_failed")
            logger.exception("the fee of charge %s could not be learned", charge_id)
    return known


def _find(rt: Runtime, charge_id: str, charged_at: datetime) -> bool:
    assert rt.gateway is not None
    now = rt.clock()
    again = now + max(now - charged_at, ASK_FOR_FEE)
    with rt.db.write() as connection:
        ask_again_at = again if again - charged_at <= GIVE_UP else None
        payment_intent_ref = fees.take(connection, charge_id, now=now, ask_again_at=ask_again_at)
    if payment_intent_ref is None:
        return False
    fee = rt.gateway.fee(payment_intent_ref)
    if fee is None:
        return False
    with rt.db.write() as connection:
        return fees.write(connection, charge_id, fee)

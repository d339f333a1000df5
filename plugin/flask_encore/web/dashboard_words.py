"""What the merchant reads: one plain sentence for every leak, reason, charge and refund. English, like the logs."""

from __future__ import annotations

from enum import StrEnum

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.funnel import Leak, Step
from flask_encore.domain.offers import Outcome
from flask_encore.domain.restatement import Cause
from flask_encore.services.order_list import Entry
from flask_encore.services.reasons import REASONS
from flask_encore.services.reporting import Period


class Tone(StrEnum):
    """How a word is coloured; the word alone has to say it too."""

    GOOD = "good"
    PLAIN = "plain"
    WAIT = "wait"
    BAD = "bad"


PERIODS = {Period.WEEK: "7 days", Period.MONTH: "30 days", Period.QUARTER: "90 days", Period.ALL: "All time"}

#: Step -> its name and what counts.
STEPS = {
    Step.ELIGIBLE: ("Eligible", "Paid orders for which there was an offer"),
    Step.SHOWN: ("Shown", "A human saw the offer, or answered it"),
    Step.ACCEPTED: ("Accepted", "The shopper said yes"),
    Step.CHARGED: ("Charged", "The money moved"),
    Step.KEPT: ("Kept", "Charged, and neither refunded nor disputed"),
}

#: Leak -> as a count reads ("12 declined"), as one decision reads, its colour.
LEAKS = {
    Leak.HELD_OUT: ("held out", "Held out", Tone.PLAIN),
    Leak.NOT_SEEN: ("not seen", "Not seen", Tone.PLAIN),
    Leak.DECLINED: ("declined", "Declined", Tone.PLAIN),
    Leak.EXPIRED: ("expired", "Expired", Tone.PLAIN),
    Leak.SOLD_OUT: ("sold out", "Sold out", Tone.WAIT),
    Leak.OPEN: ("still open", "Open", Tone.WAIT),
    Leak.BANK_SAID_NO: ("bank said no", "Bank said no", Tone.BAD),
    Leak.CHECK_ABANDONED: ("bank’s check not finished", "Check not finished", Tone.PLAIN),
    Leak.CANCELED: ("canceled", "Canceled", Tone.PLAIN),
    Leak.IN_CHECK: ("in the bank’s check", "In the bank’s check", Tone.WAIT),
    Leak.UNKNOWN: ("no answer yet", "No answer yet", Tone.WAIT),
    Leak.UNDONE: ("undone by the shopper", "Undone", Tone.PLAIN),
    Leak.REFUNDED: ("refunded", "Refunded", Tone.PLAIN),
    Leak.REFUNDING: ("refund under way", "Refunding", Tone.WAIT),
    Leak.DISPUTED: ("disputed", "Disputed", Tone.BAD),
}

#: Leak -> the sentence below it in the list; what is not here needs none.
LEAK_SENTENCES = {
    Leak.HELD_OUT: "Shown nothing, on purpose.",
    Leak.NOT_SEEN: "On the page; nobody scrolled to it.",
    Leak.EXPIRED: "Seen, not answered in time.",
    Leak.SOLD_OUT: "The last unit went to somebody else; nothing was charged.",
    Leak.CHECK_ABANDONED: "The bank’s check was left; nothing was charged.",
    Leak.CANCELED: "Given up before the bank was asked; nothing was charged.",
    Leak.BANK_SAID_NO: "The paid order is unchanged.",
    Leak.UNKNOWN: "Encore keeps asking Stripe; nothing is charged twice.",
}

#: Cause -> what moved a month's money after the month, behind the amount.
CAUSES = {
    Cause.CHARGED: "charged",
    Cause.REFUNDED: "refunded",
    Cause.UNDONE: "undone by shoppers",
    Cause.DISPUTED: "disputed",
    Cause.FEE: "Stripe’s fees",
}

CHARGES = {
    ChargeStatus.CLAIMED: ("Starting", Tone.WAIT),
    ChargeStatus.INTENT: ("Starting", Tone.WAIT),
    ChargeStatus.CONFIRMING: ("Asking the bank", Tone.WAIT),
    ChargeStatus.ACTION_REQUIRED: ("Waiting for the shopper", Tone.WAIT),
    ChargeStatus.PROCESSING: ("Bank is working on it", Tone.WAIT),
    ChargeStatus.UNKNOWN: ("Asking Stripe", Tone.WAIT),
    ChargeStatus.FAILED: ("Failed", Tone.BAD),
    ChargeStatus.SUCCEEDED: ("Charged", Tone.GOOD),
    ChargeStatus.CANCELED: ("Canceled", Tone.PLAIN),
    ChargeStatus.REFUNDING: ("Refund under way", Tone.WAIT),
    ChargeStatus.REFUNDED: ("Refunded", Tone.PLAIN),
    ChargeStatus.DISPUTED: ("Disputed", Tone.BAD),
}

QUARANTINE = "Quarantined: Stripe and Encore disagree about it, so nothing automatic happens to it any more."


def happened(entry: Entry) -> tuple[str, str, Tone]:
    """(headline, sentence or empty, colour) of one decision."""
    facts = entry.facts
    if facts.outcome in {Outcome.INELIGIBLE, Outcome.ERROR}:
        wrong = facts.outcome is Outcome.ERROR
        return ("Error" if wrong else "No offer", REASONS[facts.reason], Tone.BAD if wrong else Tone.PLAIN)
    if facts.outcome is Outcome.SHADOWED:
        return ("Shadowed", REASONS[facts.reason], Tone.PLAIN)
    leak = facts.leak
    if leak is None:
        return ("Accepted", "Charged and kept.", Tone.GOOD)
    return (LEAKS[leak][1], LEAK_SENTENCES.get(leak, ""), LEAKS[leak][2])


def refund_told(entry: Entry, amount: str) -> tuple[str, Tone]:
    """How a refund that was just asked for stands, read from the row and not from the request."""
    return refund_stands(entry.facts.status, amount, entry.order_ref, failed=entry.refund_failed)


def refund_stands(status: ChargeStatus | None, amount: str, order_ref: str, *, failed: bool) -> tuple[str, Tone]:
    """How a refund of *amount* stands; *failed* when the last refund of the charge did not happen."""
    what = f"{amount} of order {order_ref}"
    match status:
        case ChargeStatus.REFUNDED:
            return (f"Refunded: {what} goes back to the shopper’s card.", Tone.GOOD)
        case ChargeStatus.REFUNDING:
            return (f"The refund of {what} is under way. Encore keeps asking; do not click again.", Tone.WAIT)
        case ChargeStatus.DISPUTED:
            return (f"Nothing was refunded: {what} is disputed. Answer the dispute at Stripe.", Tone.BAD)
        case ChargeStatus.SUCCEEDED if failed:
            return (f"Not refunded: Stripe would not give {what} back. Look at the payment at Stripe.", Tone.BAD)
    return (f"Nothing was refunded of order {order_ref}.", Tone.BAD)

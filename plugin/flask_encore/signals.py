"""In-process signals, sent after the commit they tell of, in the thread that settled it. Sender is the Flask app.

For work that must happen even if the process dies now, use ``@encore.on(...)``: those handlers are fed from the
outbox, at least once.
"""

from __future__ import annotations

from blinker import NamedSignal, Namespace

from flask_encore.domain.events import EventKind

_namespace = Namespace()

charge_succeeded = _namespace.signal("charge_succeeded", "The money of an accepted offer moved; carries ``event``.")
charge_failed = _namespace.signal("charge_failed", "The bank said no; the order is unchanged; carries ``event``.")
charge_canceled = _namespace.signal("charge_canceled", "Given up before any money moved; carries ``event``.")
charge_refunded = _namespace.signal("charge_refunded", "Undone or refunded in full; carries ``event``.")
refund_failed = _namespace.signal("refund_failed", "A refund was refused by the bank; carries ``event``.")
charge_disputed = _namespace.signal("charge_disputed", "The cardholder's bank disputes it; carries ``event``.")
charge_quarantined = _namespace.signal("charge_quarantined", "Stripe and our row disagree; carries ``event``.")
hold_released = _namespace.signal("hold_released", "The time to undo is over: ship the line; carries ``event``.")

#: Signal of each kind of event.
BY_KIND: dict[EventKind, NamedSignal] = {kind: _namespace.signal(kind.value) for kind in EventKind}

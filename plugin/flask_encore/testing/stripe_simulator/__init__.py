"""A stateful Stripe on 127.0.0.1, for tests and demos. No money moves, nothing leaves the machine.

```python
import stripe
from flask_encore.testing import StripeSimulator

with StripeSimulator() as sim:
    client = stripe.StripeClient(sim.secret_key, base_addresses={"api": sim.url}).v1
    paid = sim.paid_intent(amount=1530, currency="gbp")  # what a host's checkout leaves behind
    intent = client.payment_intents.create(
        {
            "amount": 1290,
            "currency": "gbp",
            "customer": paid["customer"],
            "payment_method": paid["payment_method"],
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        }
    )
    client.payment_intents.confirm(intent.id)
    assert [charge["amount"] for charge in sim.charges()] == [1530, 1290]
```

**Cards.** `TEST_CARDS` lists Stripe's own test numbers and how each behaves; the ``pm_card_…`` names work too.
`StripeSimulator.paid_intent` takes any of them and always succeeds: it is the *next* charge that meets the bank.

**The bank's question.** An on-session confirmation of 4000002760003184 answers ``requires_action``; then
`StripeSimulator.authenticate` is the shopper's yes or no. In a browser, load `StripeSimulator.stripe_js_url`
instead of Stripe's script: it has ``handleNextAction``, ``confirmPayment`` and a Payment Element to type into.

**Idempotency keys** behave as documented: one key is one request, answers are replayed with
``Idempotent-Replayed``, a running request answers 409, a 500 stays. `StripeSimulator.prune_idempotency` is the
day after.

**Faults.** ``sim.faults.add("/v1/payment_intents/*/confirm", "drop_after")`` makes the next such call execute and
then lose its answer; `faults.KINDS` has the others. ``sim.faults.release()`` ends hanging without waiting, and
``sim.wait_until_idle()`` waits for late execution.

**Webhooks.** ``sim.add_webhook(url, secret)`` sends events as they happen. With ``sim.webhooks.auto = False`` the
test decides: ``deliver``, twice or in reverse, ``drop``, ``delay``, ``retry_due``. ``sim.webhooks.signed(event,
secret=…)`` gives body and header for a Flask test client.

**Fees.** A charge's balance transaction has Stripe's fee, 2.9 % and 30 minor units; no refund gives it back. With
``StripeSimulator(settlement=("eur", 1.15))`` money of other currencies, and its fee, arrives in euro.

**Checkout.** Sessions have a hosted page that needs no JavaScript; `StripeSimulator.complete_checkout` fills it in.

**Shapes.** With pydantic installed, parameters are checked against the SDK's own types: what Stripe's API version
does not know is refused, as it would be.

What it does not do: manual capture, subscriptions, Connect, prices and products, taxes, v2 APIs.
"""

from flask_encore.testing.stripe_simulator.cards import TEST_CARDS, TestCard
from flask_encore.testing.stripe_simulator.errors import StripeError
from flask_encore.testing.stripe_simulator.simulator import StripeSimulator

__all__ = ["TEST_CARDS", "StripeError", "StripeSimulator", "TestCard"]

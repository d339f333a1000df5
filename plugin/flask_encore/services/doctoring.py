"""Examine a real installation and say, for each finding, what to do. Looks only; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.errors import GatewayError
from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.offers import Reason
from flask_encore.domain.ports import Inspectable
from flask_encore.services import campaign_doubts, campaigning, health, hooking, recommender, switching
from flask_encore.services.health import Vitals
from flask_encore.services.recovering import HEARTBEAT
from flask_encore.services.runtime import Runtime
from flask_encore.store import catalog, events, history, migrations, orders, outbox, trainings
from flask_encore.store.database import StoreError

#: A sweeper that was not seen this long leaves shoppers waiting for undone charges.
SWEEPER_AGE = timedelta(minutes=5)
#: A charge whose outcome is not known after this long is not a hiccup of Stripe's any more.
UNKNOWN_AGE = timedelta(minutes=15)
#: A model this old lost a tenth of its hits in the measured histories.
MODEL_AGE = timedelta(days=30)
#: Campaigns with a doubt that are named; each was asked with three statements.
MOST_DOUBTED = 10

#: Orders looked at to see whether their cards can be charged again.
RECENT_ORDERS = 200

#: What to do about orders that cannot get an offer.
_FIXES = {
    Reason.NO_CUSTOMER: "Create the checkout's PaymentIntent with a customer (Checkout: customer_creation='always').",
    Reason.PAYMENT_METHOD_NOT_SAVED: (
        "Pass setup_future_usage='off_session' (Checkout: payment_intent_data.setup_future_usage) and show the consent "
        "text for saving the card."
    ),
    Reason.PAYMENT_METHOD_NOT_REUSABLE: (
        "These were paid with a kind of payment that cannot be charged with one click. For Link add 'link' to "
        "ENCORE_PAYMENT_METHOD_TYPES."
    ),
    Reason.PAYMENT_NOT_SUCCEEDED: "Call order_paid only once the PaymentIntent has succeeded.",
    Reason.PAYMENT_AMOUNT_MISMATCH: "Hand order_paid the total that was charged, shipping and tax included.",
    Reason.PAYMENT_CURRENCY_MISMATCH: "Hand order_paid the currency that was charged.",
    Reason.PAYMENT_MODE_MISMATCH: "The shop's checkout and Encore use keys of different modes; use the same.",
    Reason.ORDER_REFUNDED: "Nothing to do: these orders were refunded.",
    Reason.ORDER_DISPUTED: "Nothing to do here; answer the dispute in Stripe's dashboard.",
    Reason.PAYMENT_UNVERIFIED: "Stripe could not be asked; the sweeper will ask again. Is it running?",
    Reason.RANKER_FAILED: "The recommender raised; the log has the reason. Train again: flask encore train",
    Reason.RANKER_TIMEOUT: "The recommender was too slow; look at the log, or raise ENCORE_DECISION_BUDGET_MS.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at. *severity* is ``ok``, ``warning`` or ``problem``; *fix* is empty when there is none."""

    severity: str
    subject: str
    found: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)


def examine(rt: Runtime, *, guarded: bool) -> list[Finding]:
    """Every finding, in the order of the installation's steps. *guarded*: whether there is an admin_guard."""
    findings = [*configuration(rt, guarded=guarded), *_stripe(rt)]
    for look in (tables, data, money, campaigns, webhooks, endpoints, worker, recent_orders):
        try:
            findings += look(rt)
        except StoreError as error:
            findings.append(
                Finding(
                    severity="problem",
                    subject="database",
                    found=f"{type(error).__name__}: {str(error).splitlines()[0]}",
                    fix="Check ENCORE_DATABASE_URI, then run: flask encore db upgrade",
                )
            )
            break
    return findings


def configuration(rt: Runtime, *, guarded: bool) -> Iterator[Finding]:
    """The settings, and what is missing among them. *guarded*: whether there is an admin_guard."""
    settings = rt.settings
    if not settings.stripe_secret_key:
        yield Finding(
            severity="problem",
            subject="Stripe key",
            found="there is none, so no order is eligible",
            fix="Set ENCORE_STRIPE_SECRET_KEY (sk_test_… from the Stripe dashboard, Developers, API keys).",
        )
    else:
        yield Finding(severity="ok", subject="Stripe key", found="live" if settings.livemode else "test mode")
    if settings.stripe_secret_key and not settings.stripe_publishable_key:
        yield Finding(
            severity="problem",
            subject="publishable key",
            found="there is none, so a bank's check (3-D Secure) cannot be shown",
            fix="Set ENCORE_STRIPE_PUBLISHABLE_KEY (pk_…).",
        )
    if not settings.stripe_webhook_secrets:
        yield Finding(
            severity="problem",
            subject="webhook secret",
            found="there is none, so every webhook is refused",
            fix=f"Add an endpoint for …{settings.url_prefix}/stripe/webhook in Stripe and set "
            "ENCORE_STRIPE_WEBHOOK_SECRETS to its signing secret (whsec_…).",
        )
    if not guarded:
        yield Finding(
            severity="warning",
            subject="admin_guard",
            found="there is none, so the dashboard answers 403 to everybody",
            fix="Pass admin_guard=… to init_app.",
        )
    if not settings.thank_you:
        yield Finding(
            severity="warning",
            subject="thank-you page",
            found="ENCORE_THANK_YOU names none",
            fix="Set it, or use @encore.thank_you(order_ref=…) or {{ encore_offer(order_ref) }}.",
        )


def _stripe(rt: Runtime) -> Iterator[Finding]:
    if rt.gateway is None:
        return
    try:
        facts = rt.gateway.doctor()
    except GatewayError as error:
        yield Finding(
            severity="problem",
            subject="Stripe",
            found=f"did not answer ({error})",
            fix="Is the key right, is it allowed to read the account, and can this machine reach Stripe?",
        )
        return
    yield Finding(severity="ok", subject="Stripe", found=f"answers for account {facts.get('account', 'unknown')}")
    endpoints = facts.get("webhook_endpoints", [])
    wanted = f"{rt.settings.url_prefix}/stripe/webhook"
    if not any(str(endpoint.get("url", "")).endswith(wanted) for endpoint in endpoints):
        yield Finding(
            severity="warning",
            subject="webhook endpoint",
            found=f"no endpoint of the account ends with {wanted}",
            fix="Add one; until then outcomes that the shopper does not wait for are learnt by the sweeper only.",
        )


def tables(rt: Runtime) -> Iterator[Finding]:
    """Whether the tables are those of this release."""
    at, newest = migrations.current(rt.db.engine), migrations.head()
    if at == newest:
        yield Finding(severity="ok", subject="tables", found=f"at revision {at}")
    else:
        yield Finding(
            severity="problem",
            subject="tables",
            found=f"at {at or 'nothing'}, newest is {newest}",
            fix="Run: flask encore db upgrade",
        )


def data(rt: Runtime) -> Iterator[Finding]:
    """The catalogue, the history and the model."""
    with rt.db.read() as connection:
        products = catalog.count(connection)
        past, lines = history.counts(connection)
    if not products:
        yield Finding(
            severity="problem",
            subject="catalogue",
            found="is empty",
            fix="Call encore.catalog.upsert([...]) or run: flask encore import products FILE.csv --currency gbp",
        )
    else:
        yield Finding(severity="ok", subject="catalogue", found=f"{products:,} products")
    yield Finding(severity="ok", subject="order history", found=f"{past:,} orders, {lines:,} lines")
    yield from model(rt)


def model(rt: Runtime) -> Iterator[Finding]:
    """The live model: its age, and how it does on orders that came after its training."""
    version = rt.ranker.version
    problem, trained_at = (
        (rt.ranker.problem, rt.ranker.trained_at) if isinstance(rt.ranker, Inspectable) else ("", None)
    )
    if not version:
        yield Finding(severity="problem", subject="model", found="there is none yet", fix="Run: flask encore train")
    elif problem:
        yield Finding(severity="problem", subject="model", found=problem, fix="Run: flask encore train")
    elif trained_at is not None and rt.clock() - trained_at > MODEL_AGE:
        age = (rt.clock() - trained_at).days
        yield Finding(severity="warning", subject="model", found=f"{age} days old", fix="Run: flask encore train")
    else:
        yield Finding(severity="ok", subject="model", found=version)
    found = recommender.drift_of_live(rt)
    if found is not None and found.is_worse:
        yield Finding(
            severity="warning",
            subject="drift",
            found=f"it finds {found.hit_rate_at_3:.1%} on orders after its training, {found.interval[1]:.1%} at most, "
            f"and had {found.validation_hit_rate_at_3:.1%} on its own validation",
            fix="Run: flask encore train",
        )
    with rt.db.read() as connection:
        last = trainings.newest(connection)
    if last is not None and last["doubt"]:
        done = "was put live by force" if last["version"] else "was not put live"
        yield Finding(
            severity="warning",
            subject="training",
            found=f"the last one, {ago(rt.clock() - last['trained_at'])}, {done}: {last['doubt']}",
            fix="It gets better with orders. To use it all the same: flask encore train --force",
        )


def webhooks(rt: Runtime) -> Iterator[Finding]:
    """Whether Stripe's webhooks come in."""
    with rt.db.read() as connection:
        last = events.last_received(connection, account=rt.account)
    if last is None:
        yield Finding(
            severity="warning",
            subject="webhooks",
            found="none was received yet",
            fix="Send a test event from Stripe's dashboard, and run doctor again.",
        )
    else:
        yield Finding(severity="ok", subject="webhooks", found=f"last one {ago(rt.clock() - last)}")


def money(rt: Runtime, vitals: Vitals | None = None) -> Iterator[Finding]:
    """Charges and refunds somebody has to look at. *vitals*: as just read; they are read when not said."""
    found = vitals or health.examined(rt)
    if found is None:
        return
    unknown = found.charges.get(ChargeStatus.UNKNOWN, 0)
    if unknown and found.unknown_since is not None:
        age = rt.clock() - found.unknown_since
        yield Finding(
            severity="problem" if age > UNKNOWN_AGE else "warning",
            subject="unknown charges",
            found=f"{unknown:,}, the oldest accepted {ago(age)}",
            fix="Nobody is charged twice: the sweeper asks Stripe again. Is it running, and does Stripe answer?",
        )
    if found.quarantined:
        yield Finding(
            severity="problem",
            subject="quarantine",
            found=f"{found.quarantined:,}: Stripe and Encore disagree, and nothing automatic happens to them",
            fix="Dashboard, Orders, what needs somebody: compare with Stripe again, or settle it there and say so.",
        )
    if found.stuck_holds:
        yield Finding(
            severity="problem",
            subject="holds",
            found=f"{found.stuck_holds:,} are over and were not released: lines nobody ships",
            fix="Run 'flask encore work', or 'flask encore sweep' every minute by cron.",
        )
    if found.refunds_failed:
        yield Finding(
            severity="warning",
            subject="refunds",
            found=f"the last one of {found.refunds_failed:,} charges did not happen",
            fix="Look at the payment at Stripe, and refund again from the order's page.",
        )
    if not (unknown or found.quarantined or found.stuck_holds or found.refunds_failed):
        yield Finding(severity="ok", subject="charges", found=f"{sum(found.charges.values()):,}, none needs anybody")


def endpoints(rt: Runtime) -> Iterator[Finding]:
    """The merchant's own webhooks, where there are any."""
    counts = hooking.counts(rt)
    for webhook in hooking.listed(rt):
        given_up = counts.get((webhook.id, DeliveryStatus.FAILED), 0)
        found, fix = "takes what it is sent", ""
        if given_up:
            found = f"{given_up:,} deliveries were given up after three days"
            fix = f"flask encore webhooks deliveries --failed says why; then: webhooks replay --failed {webhook.id}"
        if webhook.active_since is None:
            found, fix = "is paused", f"flask encore webhooks resume {webhook.id}"
        yield Finding(severity="warning" if fix else "ok", subject=f"webhook {webhook.id}", found=found, fix=fix)


def worker(rt: Runtime) -> Iterator[Finding]:
    """Whether the sweeper runs, and what waits for handlers."""
    with rt.db.read() as connection:
        last = events.last_beat(connection, HEARTBEAT)
        waiting = outbox.undelivered(connection, account=rt.account)
    if last is None or rt.clock() - last > SWEEPER_AGE:
        yield Finding(
            severity="warning",
            subject="sweeper",
            found="never ran" if last is None else f"last ran {ago(rt.clock() - last)}",
            fix="Run 'flask encore work', or 'flask encore sweep' every minute by cron.",
        )
    else:
        yield Finding(severity="ok", subject="sweeper", found=f"ran {ago(rt.clock() - last)}")
    if waiting:
        yield Finding(
            severity="warning",
            subject="events",
            found=f"{waiting} wait for your handlers",
            fix="The dashboard and the log say which handler fails and why.",
        )


def campaigns(rt: Runtime) -> Iterator[Finding]:
    """The switches, and live campaigns that will not do what they say."""
    stand = switching.switches(rt)
    if stand.off:
        yield Finding(
            severity="warning",
            subject="kill switch",
            found="all offers are switched off",
            fix="Turn them on again when all is well: flask encore switch on",
        )
    if stand.shadow:
        yield Finding(
            severity="warning",
            subject="shadow mode",
            found="offers are decided and logged, and shown to nobody",
            fix="Show them: flask encore switch shadow off",
        )
    everything = [saved.campaign for saved in campaigning.listed(rt)]
    live = [one for one in everything if one.status is CampaignStatus.LIVE]
    if everything:
        yield Finding(severity="ok", subject="campaigns", found=f"{len(live)} of {len(everything)} are live")
    doubted = ((one, campaign_doubts.doubts(rt, one, everything)) for one in live)
    for campaign, doubts in islice(((one, found) for one, found in doubted if found), MOST_DOUBTED):
        yield Finding(
            severity="warning",
            subject=f"campaign {campaign.ref}",
            found=doubts[0],
            fix="Edit it in the dashboard, or pause it: flask encore campaigns pause " + campaign.ref,
        )


def recent_orders(rt: Runtime) -> Iterator[Finding]:
    """Whether the newest orders' cards can be charged again, and why not."""
    with rt.db.read() as connection:
        reasons = Counter(orders.recent_reasons(connection, account=rt.account, limit=RECENT_ORDERS))
    seen = reasons.total()
    if not seen:
        yield Finding(
            severity="warning",
            subject="orders",
            found="none was recorded yet",
            fix="Call encore.order_paid(PaidOrder(...)) once an order is paid.",
        )
        return
    yield Finding(
        severity="ok", subject="orders", found=f"{reasons.pop('', 0)} of the last {seen} can be charged again"
    )
    for reason, count in reasons.most_common():
        yield Finding(
            severity="warning",
            subject="orders",
            found=f"{count} of the last {seen} cannot: {reason}",
            fix=_FIXES.get(Reason(reason), ""),
        )


def ago(age: timedelta) -> str:
    """An age in words."""
    seconds = int(age.total_seconds())
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{max(seconds, 0)} seconds ago"

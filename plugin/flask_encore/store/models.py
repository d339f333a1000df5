"""The tables, all named ``encore_*`` in their own MetaData, without a foreign key into the shop.

What a state machine forbids is forbidden here too, as CHECK, UNIQUE and partial UNIQUE constraints: the code may have
a bug, two processes may race, and the rule still holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from flask_encore.domain.charges import ChargeStatus
from flask_encore.domain.hooks import DeliveryStatus, Secret
from flask_encore.domain.offers import Outcome

#: Constraint names must be stable: Alembic compares them and `store` turns some violations into domain errors.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(at: datetime) -> int:
    """Whole microseconds since 1970: what an `Instant` is in the database, for statements that calculate with it."""
    return (at - _EPOCH) // _MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime, kept as whole microseconds since 1970: it compares and rounds alike on every database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive datetimes; they mean a different moment on every machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        return micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Back to an aware datetime in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=int(value))


class Hidden(TypeDecorator[Secret]):
    """A signing secret. Whoever prints a row, a statement's parameters or an error about them prints none."""

    impl = sa.String(100)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Secret | None:
        """As a string that does not say itself."""
        return None if value is None else Secret(value)


def _one_of(column: str, values: type[StrEnum]) -> sa.CheckConstraint:
    allowed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({allowed})", name=column)


_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_Ref = sa.String(200)

products = sa.Table(
    "encore_products",
    metadata,
    sa.Column("sku", _Ref, primary_key=True),
    sa.Column("title", sa.String(300), nullable=False),
    sa.Column("price_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("stock", sa.BigInteger, nullable=True),
    sa.Column("category", sa.String(200)),
    sa.Column("image_url", sa.Text),
    sa.Column("cost_minor", sa.BigInteger),
    sa.Column("active", sa.Boolean, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("parent", _Ref),
    sa.Column("options", sa.JSON),
    sa.Column("was_minor", sa.BigInteger),
    # Two shoppers on the last unit: one of them gets here.
    sa.CheckConstraint("stock IS NULL OR stock >= 0", name="stock"),
    sa.CheckConstraint("price_minor >= 0", name="price"),
    sa.Index("ix_encore_products_parent", "parent"),
)

orders = sa.Table(
    "encore_orders",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("order_ref", _Ref, primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("placed_at", Instant, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("total_minor", sa.BigInteger, nullable=False),
    sa.Column("lines", sa.JSON, nullable=False),
    sa.Column("customer_ref", _Ref),
    sa.Column("country", sa.String(8)),
    sa.Column("locale", sa.String(35), nullable=False),
    sa.Column("payment_intent_ref", _Ref, nullable=False),
    sa.Column("stripe_customer_ref", _Ref),
    sa.Column("payment_method_ref", _Ref),
    sa.Column("payment_method_type", sa.String(40), nullable=False),
    sa.Column("card_brand", sa.String(40), nullable=False),
    sa.Column("card_last4", sa.String(4), nullable=False),
    sa.Column("ineligible_reason", sa.String(40), nullable=False),
    sa.Column("candidates", sa.JSON, nullable=False),
    sa.Column("candidate_skus", sa.JSON, nullable=False),
    sa.Column("model_version", sa.String(80), nullable=False),
    sa.Column("recorded_at", Instant, nullable=False),
    # What targeting rules may ask about the shopper, as it was when the order was paid.
    sa.Column("facts", sa.JSON),
    # One payment pays one order: a second order_ref for it is a mistake of the caller's, or worse.
    sa.UniqueConstraint("account", "payment_intent_ref"),
    sa.Index("ix_encore_orders_customer", "account", "customer_ref"),
    # The recommender asks every few minutes for what is new.
    sa.Index("ix_encore_orders_recorded_at", "account", "recorded_at"),
    # The sweeper asks every few seconds for orders whose payment nobody could be asked about; mostly there are none.
    sa.Index("ix_encore_orders_reason", "ineligible_reason", "recorded_at"),
)

decisions = sa.Table(
    "encore_decisions",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("order_ref", _Ref, nullable=False),
    sa.Column("placement", sa.String(40), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("customer_ref", _Ref),
    sa.Column("sku", _Ref),
    sa.Column("quantity", sa.Integer),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("total_minor", sa.BigInteger),
    sa.Column("candidates", sa.JSON, nullable=False),
    sa.Column("snapshot", sa.JSON, nullable=False),
    sa.Column("model_version", sa.String(80), nullable=False),
    sa.Column("latency_us", sa.Integer, nullable=False),
    sa.Column("decided_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("shown_at", Instant),
    sa.Column("declined_at", Instant),
    sa.Column("sold_out_at", Instant),
    # How likely the policy was to choose this product here; without it no other policy can be judged on this log.
    sa.Column("propensity", sa.Double),
    # NULL in decisions of releases without campaigns.
    sa.Column("campaign_ref", sa.String(64)),
    sa.Column("campaign_version", sa.Integer),
    # The other product of a bundle; of each there are `quantity` pieces.
    sa.Column("second_sku", _Ref),
    # Which campaigns were asked, what each answered, and what was seen: the decision can be made again from it.
    sa.Column("trace", sa.JSON),
    # The shopper asked for more time, once.
    sa.Column("extended_at", Instant),
    # Basis points of shoppers held out when this one was dealt their arm.
    sa.Column("holdout_bp", sa.Integer),
    # Experiment -> variant of every experiment this decision took part in, whatever came of it.
    sa.Column("exposures", sa.JSON(none_as_null=True)),
    # When it was counted into the days of the reports; NULL since it changed. A mark on the row, not a time to compare
    # with: clocks differ, and transactions are not committed in their order.
    sa.Column("counted_at", Instant),
    # Exactly one decision per order, placement and step, however often the page is loaded (invariant I1).
    sa.UniqueConstraint("account", "order_ref", "placement", "step", name="uq_encore_decisions_once"),
    _one_of("outcome", Outcome),
    sa.CheckConstraint(
        "outcome <> 'offered' OR (sku IS NOT NULL AND total_minor IS NOT NULL AND quantity >= 1)", name="offer_complete"
    ),
    sa.CheckConstraint("propensity > 0 AND propensity <= 1", name="propensity"),
    sa.CheckConstraint("holdout_bp BETWEEN 0 AND 10000", name="holdout_bp"),
    sa.Index("ix_encore_decisions_decided_at", "decided_at"),
    sa.Index(
        "ix_encore_decisions_uncounted",
        "account",
        "decided_at",
        sqlite_where=sa.text("counted_at IS NULL"),
        postgresql_where=sa.text("counted_at IS NULL"),
    ),
    # What one customer was offered lately.
    sa.Index("ix_encore_decisions_customer", "account", "customer_ref", "decided_at"),
)

charges = sa.Table(
    "encore_charges",
    metadata,
    # The decision's id: an offer cannot be accepted into two charges.
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("order_ref", _Ref, nullable=False),
    sa.Column("placement", sa.String(40), nullable=False),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("sku", _Ref, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("customer_ref", _Ref, nullable=False),
    sa.Column("payment_method_ref", _Ref, nullable=False),
    sa.Column("payment_method_type", sa.String(40), nullable=False),
    sa.Column("card_brand", sa.String(40), nullable=False),
    sa.Column("card_last4", sa.String(4), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    # Committed by compare-and-swap before it is confirmed (invariant I2); one intent belongs to one charge.
    sa.Column("payment_intent_ref", _Ref, unique=True),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("failure_code", sa.String(80), nullable=False),
    sa.Column("consent_version", sa.String(80), nullable=False),
    sa.Column("snapshot", sa.JSON, nullable=False),
    sa.Column("accepted_at", Instant, nullable=False),
    sa.Column("expires_at", Instant, nullable=False),
    sa.Column("charged_at", Instant),
    sa.Column("undo_until", Instant),
    sa.Column("hold_released_at", Instant),
    sa.Column("quarantine_reason", sa.String(80), nullable=False),
    sa.Column("lease_token", sa.String(32)),
    sa.Column("lease_until", Instant),
    # When the sweeper looks at it again; NULL when nothing is left to do.
    sa.Column("next_run_at", Instant),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("campaign_ref", sa.String(64)),
    sa.Column("second_sku", _Ref),
    # Every change of its state, a line each, appended by the UPDATE that makes it (`domain.timeline`).
    sa.Column("timeline", sa.Text, nullable=False, server_default=sa.text("''")),
    # What its goods cost the shop, and the tax within *amount_minor* or added to it; NULL where nobody told.
    sa.Column("cost_minor", sa.BigInteger),
    sa.Column("tax_minor", sa.BigInteger),
    # What Stripe kept, in the currency it settles in; NULL until Stripe told.
    sa.Column("fee_minor", sa.BigInteger),
    sa.Column("fee_currency", sa.String(3)),
    # When Stripe is asked for the fee; NULL when it is known, or there is none to be known.
    sa.Column("fee_due_at", Instant),
    # Somebody looked at a quarantined charge and settled it by hand.
    sa.Column("reviewed_at", Instant),
    # As of a decision.
    sa.Column("counted_at", Instant),
    sa.UniqueConstraint("account", "order_ref", "placement", "step", name="uq_encore_charges_once"),
    _one_of("status", ChargeStatus),
    sa.CheckConstraint("amount_minor >= 0", name="amount"),
    # Nothing beyond a claim can exist without the id that is charged; what is free is never charged.
    sa.CheckConstraint(
        "payment_intent_ref IS NOT NULL OR amount_minor = 0 OR status IN ('claimed', 'unknown', 'canceled')",
        name="intent_first",
    ),
    sa.CheckConstraint("payment_intent_ref IS NULL OR amount_minor > 0", name="free"),
    sa.CheckConstraint(
        "status NOT IN ('succeeded', 'refunding', 'refunded', 'disputed') OR charged_at IS NOT NULL", name="charged"
    ),
    sa.CheckConstraint("(fee_minor IS NULL) = (fee_currency IS NULL)", name="fee"),
    sa.Index(
        "ix_encore_charges_due",
        "next_run_at",
        sqlite_where=sa.text("next_run_at IS NOT NULL"),
        postgresql_where=sa.text("next_run_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_encore_charges_fee_due",
        "fee_due_at",
        sqlite_where=sa.text("fee_due_at IS NOT NULL"),
        postgresql_where=sa.text("fee_due_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_encore_charges_uncounted",
        "account",
        "id",
        sqlite_where=sa.text("counted_at IS NULL"),
        postgresql_where=sa.text("counted_at IS NULL"),
    ),
    # Lists of them, newest first.
    sa.Index("ix_encore_charges_accepted_at", "account", "accepted_at"),
    # What a campaign with a budget has sold.
    sa.Index("ix_encore_charges_campaign", "account", "campaign_ref"),
)

refunds = sa.Table(
    "encore_refunds",
    metadata,
    sa.Column("charge_id", sa.String(32), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("cause", sa.String(20), nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("refund_ref", _Ref, unique=True),
    sa.Column("requested_at", Instant, nullable=False),
    sa.Column("settled_at", Instant),
    sa.CheckConstraint("status IN ('requested', 'pending', 'succeeded', 'failed')", name="status"),
    sa.CheckConstraint("cause IN ('undo', 'merchant')", name="cause"),
    # Two undos at one time: one refund. After a failed one it may be asked for again under the next seq.
    sa.Index(
        "uq_encore_refunds_one_open",
        "charge_id",
        unique=True,
        sqlite_where=sa.text("status IN ('requested', 'pending')"),
        postgresql_where=sa.text("status IN ('requested', 'pending')"),
    ),
)

events = sa.Table(
    "encore_events",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("event_id", _Ref, primary_key=True),
    sa.Column("type", sa.String(80), nullable=False),
    sa.Column("object_ref", _Ref, nullable=False),
    sa.Column("effect", sa.String(20), nullable=False),
    sa.Column("received_at", Instant, nullable=False),
    sa.Index("ix_encore_events_object", "object_ref", "type"),
)

outbox = sa.Table(
    "encore_outbox",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    # charge id, kind and attempt: the same outcome reported twice is one message.
    sa.Column("dedupe", sa.String(120), nullable=False, unique=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("order_ref", _Ref, nullable=False),
    sa.Column("charge_id", sa.String(32), nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_run_at", Instant),
    sa.Column("delivered_at", Instant),
    sa.Column("last_error", sa.String(300), nullable=False),
    # When it was handed to the webhooks that want it. A mark on the row, because ids are not committed in their order.
    sa.Column("hooked_at", Instant),
    sa.Index(
        "ix_encore_outbox_unhooked",
        "account",
        "created_at",
        sqlite_where=sa.text("hooked_at IS NULL"),
        postgresql_where=sa.text("hooked_at IS NULL"),
    ),
    sa.Index(
        "ix_encore_outbox_due",
        "next_run_at",
        sqlite_where=sa.text("delivered_at IS NULL"),
        postgresql_where=sa.text("delivered_at IS NULL"),
    ),
    sa.Index("ix_encore_outbox_order", "account", "order_ref", "id"),
)

# Where a merchant's own systems are told what handlers are told; never read by a page of the shop.
webhooks = sa.Table(
    "encore_webhooks",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("url", sa.String(2000), nullable=False),
    sa.Column("secret", Hidden, nullable=False),
    # The one before the last rotation, which signs too for a while.
    sa.Column("previous_secret", Hidden),
    sa.Column("previous_until", Instant),
    # Kinds of events; an empty list is every one.
    sa.Column("kinds", sa.JSON, nullable=False),
    # NULL while it is paused.
    sa.Column("active_since", Instant),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Index("ix_encore_webhooks_account", "account"),
    # The id of one that was removed is in the audit log, and must not become another's.
    sqlite_autoincrement=True,
)

webhook_deliveries = sa.Table(
    "encore_webhook_deliveries",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("webhook_id", sa.BigInteger, nullable=False),
    # The outbox's row; the message is read from there.
    sa.Column("message_id", sa.BigInteger, nullable=False),
    sa.Column("order_ref", _Ref, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_run_at", Instant),
    sa.Column("give_up_at", Instant, nullable=False),
    sa.Column("response_code", sa.Integer),
    sa.Column("last_error", sa.String(300), nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("delivered_at", Instant),
    # However many workers hand messages out at one time: one delivery of each.
    sa.UniqueConstraint("webhook_id", "message_id"),
    _one_of("status", DeliveryStatus),
    sa.CheckConstraint("(status = 'waiting') = (next_run_at IS NOT NULL)", name="waiting"),
    sa.Index(
        "ix_encore_webhook_deliveries_due",
        "webhook_id",
        "next_run_at",
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    ),
    # Of one order the next message waits for the one before it.
    sa.Index("ix_encore_webhook_deliveries_order", "webhook_id", "order_ref", "message_id"),
    sqlite_autoincrement=True,
)

history_lines = sa.Table(
    "encore_history_lines",
    metadata,
    sa.Column("order_ref", _Ref, primary_key=True),
    sa.Column("sku", _Ref, primary_key=True),
    sa.Column("placed_at", sa.Double),
    sa.Column("customer_ref", _Ref),
    sa.Column("quantity", sa.BigInteger, nullable=False),
    sa.Column("unit_price_minor", sa.BigInteger),
    sa.Column("currency", sa.String(3)),
    # What a known customer bought before is asked for whenever they pay.
    sa.Index("ix_encore_history_lines_customer", "customer_ref", "placed_at"),
)

# What every training learned and whether it was put live: written once, never changed.
trainings = sa.Table(
    "encore_trainings",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("trained_at", Instant, nullable=False),
    # Empty when nothing was put live; then `doubt` says why.
    sa.Column("version", sa.String(80), nullable=False),
    sa.Column("doubt", sa.String(300), nullable=False),
    sa.Column("report", sa.JSON, nullable=False),
    sa.CheckConstraint("version <> '' OR doubt <> ''", name="live_or_doubted"),
    sa.Index("ix_encore_trainings_trained_at", "trained_at"),
)

campaigns = sa.Table(
    "encore_campaigns",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("campaign_ref", sa.String(64), primary_key=True),
    # Counts the changes: who saves an older one than there is overwrites somebody's work, and is refused.
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("definition", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("updated_by", sa.String(200), nullable=False),
    sa.CheckConstraint("version >= 1", name="version"),
)

# One row per account, read with every page: a switch works everywhere at once.
switches = sa.Table(
    "encore_switches",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("off", sa.Boolean, nullable=False),
    sa.Column("shadow", sa.Boolean, nullable=False),
    # Changes with every change of a campaign: processes that hold an older one read the campaigns anew.
    sa.Column("revision", sa.Integer, nullable=False),
    # What the merchant set on the settings page; NULL where the app's configuration counts.
    sa.Column("holdout_bp", sa.Integer),
    sa.Column("undo_seconds", sa.Integer),
    sa.Column("retention_days", sa.Integer),
    sa.CheckConstraint("holdout_bp BETWEEN 0 AND 5000", name="holdout_bp"),
    sa.CheckConstraint("undo_seconds BETWEEN 0 AND 1209600", name="undo_seconds"),
    sa.CheckConstraint("retention_days = 0 OR retention_days >= 30", name="retention_days"),
)

# Who is shown which variant; the definition says what each one changes, and stays as it is once it has begun.
experiments = sa.Table(
    "encore_experiments",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("experiment_ref", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("definition", sa.JSON, nullable=False),
    # Deals its variants independently of every other experiment's; never changed.
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("started_at", Instant),
    sa.Column("ended_at", Instant),
    # What was concluded, in the merchant's words, when it was stopped; and the variant that was rolled out, if any.
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("rolled_out", sa.String(64)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("updated_at", Instant, nullable=False),
    sa.Column("updated_by", sa.String(200), nullable=False),
    sa.CheckConstraint("version >= 1", name="version"),
    sa.CheckConstraint("status IN ('draft', 'running', 'stopped', 'archived')", name="status"),
    sa.CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name="started"),
    sa.CheckConstraint("status <> 'stopped' OR ended_at IS NOT NULL", name="ended"),
)

# Who may use the API. Of the token itself only a hash is kept: whoever reads this table can use none of them.
api_tokens = sa.Table(
    "encore_api_tokens",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("token_hash", sa.String(64), nullable=False, unique=True),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("created_by", sa.String(200), nullable=False),
    sa.Column("expires_at", Instant),
    sa.Column("last_used_at", Instant),
    sa.Column("revoked_at", Instant),
    sa.Index("ix_encore_api_tokens_account", "account"),
)

# What a POST with an Idempotency-Key was answered, so that its repetition is answered the same.
api_answers = sa.Table(
    "encore_api_answers",
    metadata,
    sa.Column("token_id", sa.String(32), primary_key=True),
    sa.Column("idempotency_key", sa.String(255), primary_key=True),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    # NULL while the first request is under way.
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.JSON(none_as_null=True)),
    sa.Column("location", sa.String(2000)),
    sa.Column("created_at", Instant, nullable=False),
    sa.Index("ix_encore_api_answers_created_at", "created_at"),
)

# Which days of the shop's calendar are in the two tables below. One of them is only believed while no decision of that
# day, and no charge of one, says that it changed since (`counted_at IS NULL`).
counted_days = sa.Table(
    "encore_counted_days",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("zone", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
)

# A day's decisions, counted by what is known of them: the columns of `domain.funnel.Facts` and `Group`.
day_counts = sa.Table(
    "encore_day_counts",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("zone", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    # Its place among the day's, by what it is about.
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("currency", sa.String(3), nullable=False),
    sa.Column("campaign_ref", sa.String(64), nullable=False),
    sa.Column("arm", sa.String(20), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("reason", sa.String(40), nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("seen", "declined", "sold_out", "expired")),
    sa.Column("status", sa.String(20)),
    sa.Column("failure_code", sa.String(80), nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("attempted", "undone")),
    sa.Column("fee_currency", sa.String(3), nullable=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False)
        for name in (
            *("decisions", "charged_minor", "refunded_minor"),
            *("fee_minor", "without_fee", "profit_of", "profit_minor"),
        )
    ),
)

# What moved because of a day's orders, by the day it moved: what a month's net is restated from.
day_movements = sa.Table(
    "encore_day_movements",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("zone", sa.String(64), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("booked", sa.Date, primary_key=True),
    sa.Column("currency", sa.String(3), primary_key=True),
    sa.Column("cause", sa.String(20), primary_key=True),
    sa.Column("amount_minor", sa.BigInteger, nullable=False),
)

# Answers that are too dear for a page, with the moment they were true.
report_snapshots = sa.Table(
    "encore_report_snapshots",
    metadata,
    sa.Column("account", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("as_of", Instant, nullable=False),
    sa.Column("body", sa.JSON, nullable=False),
)

# Who changed what a merchant can change: written once, never changed.
audit = sa.Table(
    "encore_audit",
    metadata,
    sa.Column("id", _Id, primary_key=True, autoincrement=True),
    sa.Column("account", sa.String(64), nullable=False),
    sa.Column("at", Instant, nullable=False),
    sa.Column("actor", sa.String(200), nullable=False),
    sa.Column("action", sa.String(40), nullable=False),
    # A campaign_ref, an experiment_ref, or what else was changed, such as "switches".
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("before", sa.JSON(none_as_null=True)),
    sa.Column("after", sa.JSON(none_as_null=True)),
    sa.Index("ix_encore_audit_subject", "account", "subject", "id"),
)

heartbeats = sa.Table(
    "encore_heartbeats",
    metadata,
    sa.Column("name", sa.String(40), primary_key=True),
    sa.Column("at", Instant, nullable=False),
)

"""Encore's first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the tables forward."""
    op.create_table(
        "encore_charges",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("placement", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("sku", sa.String(length=200), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("customer_ref", sa.String(length=200), nullable=False),
        sa.Column("payment_method_ref", sa.String(length=200), nullable=False),
        sa.Column("payment_method_type", sa.String(length=40), nullable=False),
        sa.Column("card_brand", sa.String(length=40), nullable=False),
        sa.Column("card_last4", sa.String(length=4), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("payment_intent_ref", sa.String(length=200), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("failure_code", sa.String(length=80), nullable=False),
        sa.Column("consent_version", sa.String(length=80), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("charged_at", sa.BigInteger(), nullable=True),
        sa.Column("undo_until", sa.BigInteger(), nullable=True),
        sa.Column("hold_released_at", sa.BigInteger(), nullable=True),
        sa.Column("quarantine_reason", sa.String(length=80), nullable=False),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "payment_intent_ref IS NOT NULL OR status IN ('claimed', 'unknown', 'canceled')",
            name=op.f("ck_encore_charges_intent_first"),
        ),
        sa.CheckConstraint(
            "status IN ('claimed', 'intent', 'confirming', 'action_required', 'processing', 'unknown', 'failed', 'succeeded', 'canceled', 'refunding', 'refunded', 'disputed')",
            name=op.f("ck_encore_charges_status"),
        ),
        sa.CheckConstraint(
            "status NOT IN ('succeeded', 'refunding', 'refunded', 'disputed') OR charged_at IS NOT NULL",
            name=op.f("ck_encore_charges_charged"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_encore_charges_amount")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_charges")),
        sa.UniqueConstraint("account", "order_ref", "placement", "step", name="uq_encore_charges_once"),
        sa.UniqueConstraint("payment_intent_ref", name=op.f("uq_encore_charges_payment_intent_ref")),
    )
    with op.batch_alter_table("encore_charges", schema=None) as batch_op:
        batch_op.create_index(
            "ix_encore_charges_due",
            ["next_run_at"],
            unique=False,
            sqlite_where=sa.text("next_run_at IS NOT NULL"),
            postgresql_where=sa.text("next_run_at IS NOT NULL"),
        )

    op.create_table(
        "encore_decisions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("placement", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("arm", sa.String(length=20), nullable=False),
        sa.Column("customer_ref", sa.String(length=200), nullable=True),
        sa.Column("sku", sa.String(length=200), nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=True),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.Column("model_version", sa.String(length=80), nullable=False),
        sa.Column("latency_us", sa.Integer(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("shown_at", sa.BigInteger(), nullable=True),
        sa.Column("declined_at", sa.BigInteger(), nullable=True),
        sa.Column("sold_out_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "outcome <> 'offered' OR (sku IS NOT NULL AND total_minor IS NOT NULL AND quantity >= 1)",
            name=op.f("ck_encore_decisions_offer_complete"),
        ),
        sa.CheckConstraint(
            "outcome IN ('offered', 'held_out', 'ineligible', 'error')", name=op.f("ck_encore_decisions_outcome")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_decisions")),
        sa.UniqueConstraint("account", "order_ref", "placement", "step", name="uq_encore_decisions_once"),
    )
    with op.batch_alter_table("encore_decisions", schema=None) as batch_op:
        batch_op.create_index("ix_encore_decisions_decided_at", ["decided_at"], unique=False)

    op.create_table(
        "encore_events",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=80), nullable=False),
        sa.Column("object_ref", sa.String(length=200), nullable=False),
        sa.Column("effect", sa.String(length=20), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "event_id", name=op.f("pk_encore_events")),
    )
    with op.batch_alter_table("encore_events", schema=None) as batch_op:
        batch_op.create_index("ix_encore_events_object", ["object_ref", "type"], unique=False)

    op.create_table(
        "encore_heartbeats",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_encore_heartbeats")),
    )
    op.create_table(
        "encore_history_lines",
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("sku", sa.String(length=200), nullable=False),
        sa.Column("placed_at", sa.Double(), nullable=True),
        sa.Column("customer_ref", sa.String(length=200), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.PrimaryKeyConstraint("order_ref", "sku", name=op.f("pk_encore_history_lines")),
    )
    op.create_table(
        "encore_orders",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.JSON(), nullable=False),
        sa.Column("customer_ref", sa.String(length=200), nullable=True),
        sa.Column("country", sa.String(length=8), nullable=True),
        sa.Column("locale", sa.String(length=35), nullable=False),
        sa.Column("payment_intent_ref", sa.String(length=200), nullable=False),
        sa.Column("stripe_customer_ref", sa.String(length=200), nullable=True),
        sa.Column("payment_method_ref", sa.String(length=200), nullable=True),
        sa.Column("payment_method_type", sa.String(length=40), nullable=False),
        sa.Column("card_brand", sa.String(length=40), nullable=False),
        sa.Column("card_last4", sa.String(length=4), nullable=False),
        sa.Column("ineligible_reason", sa.String(length=40), nullable=False),
        sa.Column("candidates", sa.JSON(), nullable=False),
        sa.Column("candidate_skus", sa.JSON(), nullable=False),
        sa.Column("model_version", sa.String(length=80), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "order_ref", name=op.f("pk_encore_orders")),
        sa.UniqueConstraint("account", "payment_intent_ref", name=op.f("uq_encore_orders_account_payment_intent_ref")),
    )
    with op.batch_alter_table("encore_orders", schema=None) as batch_op:
        batch_op.create_index("ix_encore_orders_customer", ["account", "customer_ref"], unique=False)
        batch_op.create_index("ix_encore_orders_reason", ["ineligible_reason", "recorded_at"], unique=False)

    op.create_table(
        "encore_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("dedupe", sa.String(length=120), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("charge_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_outbox")),
        sa.UniqueConstraint("dedupe", name=op.f("uq_encore_outbox_dedupe")),
    )
    with op.batch_alter_table("encore_outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_encore_outbox_due",
            ["next_run_at"],
            unique=False,
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )
        batch_op.create_index("ix_encore_outbox_order", ["account", "order_ref", "id"], unique=False)

    op.create_table(
        "encore_products",
        sa.Column("sku", sa.String(length=200), nullable=False),
        sa.Column("title", sa.String(length=300), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("stock", sa.BigInteger(), nullable=True),
        sa.Column("category", sa.String(length=200), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("cost_minor", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("price_minor >= 0", name=op.f("ck_encore_products_price")),
        sa.CheckConstraint("stock IS NULL OR stock >= 0", name=op.f("ck_encore_products_stock")),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_encore_products")),
    )
    op.create_table(
        "encore_refunds",
        sa.Column("charge_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("refund_ref", sa.String(length=200), nullable=True),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("cause IN ('undo', 'merchant')", name=op.f("ck_encore_refunds_cause")),
        sa.CheckConstraint(
            "status IN ('requested', 'pending', 'succeeded', 'failed')", name=op.f("ck_encore_refunds_status")
        ),
        sa.PrimaryKeyConstraint("charge_id", "seq", name=op.f("pk_encore_refunds")),
        sa.UniqueConstraint("refund_ref", name=op.f("uq_encore_refunds_refund_ref")),
    )
    with op.batch_alter_table("encore_refunds", schema=None) as batch_op:
        batch_op.create_index(
            "uq_encore_refunds_one_open",
            ["charge_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('requested', 'pending')"),
            postgresql_where=sa.text("status IN ('requested', 'pending')"),
        )


def downgrade() -> None:
    """Move the tables back."""
    with op.batch_alter_table("encore_refunds", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_encore_refunds_one_open",
            sqlite_where=sa.text("status IN ('requested', 'pending')"),
            postgresql_where=sa.text("status IN ('requested', 'pending')"),
        )

    op.drop_table("encore_refunds")
    op.drop_table("encore_products")
    with op.batch_alter_table("encore_outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_encore_outbox_order")
        batch_op.drop_index(
            "ix_encore_outbox_due",
            sqlite_where=sa.text("delivered_at IS NULL"),
            postgresql_where=sa.text("delivered_at IS NULL"),
        )

    op.drop_table("encore_outbox")
    with op.batch_alter_table("encore_orders", schema=None) as batch_op:
        batch_op.drop_index("ix_encore_orders_reason")
        batch_op.drop_index("ix_encore_orders_customer")

    op.drop_table("encore_orders")
    op.drop_table("encore_history_lines")
    op.drop_table("encore_heartbeats")
    with op.batch_alter_table("encore_events", schema=None) as batch_op:
        batch_op.drop_index("ix_encore_events_object")

    op.drop_table("encore_events")
    with op.batch_alter_table("encore_decisions", schema=None) as batch_op:
        batch_op.drop_index("ix_encore_decisions_decided_at")

    op.drop_table("encore_decisions")
    with op.batch_alter_table("encore_charges", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_encore_charges_due",
            sqlite_where=sa.text("next_run_at IS NOT NULL"),
            postgresql_where=sa.text("next_run_at IS NOT NULL"),
        )

    op.drop_table("encore_charges")

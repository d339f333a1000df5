"""Outbound webhooks: the merchant's endpoints, and what was delivered to each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the tables forward. What was told before there were webhooks is nobody's."""
    op.add_column("encore_outbox", sa.Column("hooked_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE encore_outbox SET hooked_at = created_at")
    op.create_index(
        "ix_encore_outbox_unhooked",
        "encore_outbox",
        ["account", "created_at"],
        sqlite_where=sa.text("hooked_at IS NULL"),
        postgresql_where=sa.text("hooked_at IS NULL"),
    )
    op.create_table(
        "encore_webhooks",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.String(length=100), nullable=False),
        sa.Column("previous_secret", sa.String(length=100), nullable=True),
        sa.Column("previous_until", sa.BigInteger(), nullable=True),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("active_since", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_webhooks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_encore_webhooks_account", "encore_webhooks", ["account"])
    op.create_table(
        "encore_webhook_deliveries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("webhook_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("order_ref", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_run_at", sa.BigInteger(), nullable=True),
        sa.Column("give_up_at", sa.BigInteger(), nullable=False),
        sa.Column("response_code", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=300), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("delivered_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'delivered', 'failed')", name=op.f("ck_encore_webhook_deliveries_status")
        ),
        sa.CheckConstraint(
            "(status = 'waiting') = (next_run_at IS NOT NULL)", name=op.f("ck_encore_webhook_deliveries_waiting")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_webhook_deliveries")),
        sa.UniqueConstraint(
            "webhook_id", "message_id", name=op.f("uq_encore_webhook_deliveries_webhook_id_message_id")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_encore_webhook_deliveries_due",
        "encore_webhook_deliveries",
        ["webhook_id", "next_run_at"],
        sqlite_where=sa.text("status = 'waiting'"),
        postgresql_where=sa.text("status = 'waiting'"),
    )
    op.create_index(
        "ix_encore_webhook_deliveries_order", "encore_webhook_deliveries", ["webhook_id", "order_ref", "message_id"]
    )


def downgrade() -> None:
    """Move the tables back. Endpoints, their secrets and the delivery log go; what handlers wait for stays."""
    op.drop_table("encore_webhook_deliveries")
    op.drop_table("encore_webhooks")
    op.drop_index("ix_encore_outbox_unhooked", "encore_outbox")
    op.drop_column("encore_outbox", "hooked_at")

"""What the recommender is told, and what it leaves behind: parents, customers' history, propensity, trainings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Move the tables forward."""
    op.add_column("encore_products", sa.Column("parent", sa.String(length=200), nullable=True))
    # In one statement: SQLite adds a column with its rule in place, and a rule alone only by copying every decision.
    double = sa.Double().compile(op.get_bind().dialect)
    op.execute(
        f"ALTER TABLE encore_decisions ADD COLUMN propensity {double} "
        "CONSTRAINT ck_encore_decisions_propensity CHECK (propensity > 0 AND propensity <= 1)"
    )
    op.create_index("ix_encore_history_lines_customer", "encore_history_lines", ["customer_ref", "placed_at"])
    op.create_index("ix_encore_orders_recorded_at", "encore_orders", ["account", "recorded_at"])
    op.create_table(
        "encore_trainings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("trained_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("doubt", sa.String(length=300), nullable=False),
        sa.Column("report", sa.JSON(), nullable=False),
        sa.CheckConstraint("version <> '' OR doubt <> ''", name=op.f("ck_encore_trainings_live_or_doubted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_trainings")),
    )
    op.create_index("ix_encore_trainings_trained_at", "encore_trainings", ["trained_at"])


def downgrade() -> None:
    """Move the tables back."""
    op.drop_table("encore_trainings")
    op.drop_index("ix_encore_orders_recorded_at", "encore_orders")
    op.drop_index("ix_encore_history_lines_customer", "encore_history_lines")
    op.drop_column("encore_decisions", "propensity")
    op.drop_column("encore_products", "parent")

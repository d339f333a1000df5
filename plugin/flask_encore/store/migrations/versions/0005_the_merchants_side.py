"""The merchant's side: what reports count by, a charge's history and costs, settings, experiments, the API's tokens."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

#: Columns that bring a rule with them. Written out, because a rule that comes with its column needs no new table on
#: SQLite, and Alembic has no words for one.
_RULED = (
    ("encore_decisions", "holdout_bp", "holdout_bp", "holdout_bp BETWEEN 0 AND 10000"),
    ("encore_switches", "holdout_bp", "holdout_bp", "holdout_bp BETWEEN 0 AND 5000"),
    ("encore_switches", "undo_seconds", "undo_seconds", "undo_seconds BETWEEN 0 AND 1209600"),
    ("encore_switches", "retention_days", "retention_days", "retention_days = 0 OR retention_days >= 30"),
)

_INSTANT = sa.BigInteger()


def _null(column: str) -> dict[str, Any]:
    where = sa.text(f"{column} IS NULL")
    return {"sqlite_where": where, "postgresql_where": where}


def upgrade() -> None:
    """Move the tables forward. What earlier releases decided has no exposures, and is counted anew."""
    for table, column, name, rule in _RULED:
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER CONSTRAINT ck_{table}_{name} CHECK ({rule})")
    op.add_column("encore_decisions", sa.Column("exposures", sa.JSON(), nullable=True))
    op.add_column("encore_decisions", sa.Column("counted_at", _INSTANT, nullable=True))
    op.create_index(
        "ix_encore_decisions_uncounted", "encore_decisions", ["account", "decided_at"], **_null("counted_at")
    )
    op.add_column("encore_charges", sa.Column("timeline", sa.Text(), nullable=False, server_default=sa.text("''")))
    for name in ("cost_minor", "tax_minor", "fee_minor"):
        op.add_column("encore_charges", sa.Column(name, sa.BigInteger(), nullable=True))
    op.execute(
        "ALTER TABLE encore_charges ADD COLUMN fee_currency VARCHAR(3) "
        "CONSTRAINT ck_encore_charges_fee CHECK ((fee_minor IS NULL) = (fee_currency IS NULL))"
    )
    for name in ("fee_due_at", "reviewed_at", "counted_at"):
        op.add_column("encore_charges", sa.Column(name, _INSTANT, nullable=True))
    # What was charged before is asked about too: once, when it is older than the time after which fees are given up.
    op.execute("UPDATE encore_charges SET fee_due_at = charged_at WHERE payment_intent_ref IS NOT NULL")
    due = sa.text("fee_due_at IS NOT NULL")
    op.create_index(
        "ix_encore_charges_fee_due", "encore_charges", ["fee_due_at"], sqlite_where=due, postgresql_where=due
    )
    op.create_index("ix_encore_charges_uncounted", "encore_charges", ["account", "id"], **_null("counted_at"))
    op.create_index("ix_encore_charges_accepted_at", "encore_charges", ["account", "accepted_at"])
    op.create_table(
        "encore_experiments",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("experiment_ref", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("salt", sa.String(length=64), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("rolled_out", sa.String(length=64), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_encore_experiments_version")),
        sa.CheckConstraint(
            "status IN ('draft', 'running', 'stopped', 'archived')", name=op.f("ck_encore_experiments_status")
        ),
        sa.CheckConstraint("status <> 'running' OR started_at IS NOT NULL", name=op.f("ck_encore_experiments_started")),
        sa.CheckConstraint("status <> 'stopped' OR ended_at IS NOT NULL", name=op.f("ck_encore_experiments_ended")),
        sa.PrimaryKeyConstraint("account", "experiment_ref", name=op.f("pk_encore_experiments")),
    )
    op.create_table(
        "encore_api_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("last_used_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_api_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_encore_api_tokens_token_hash")),
    )
    op.create_index("ix_encore_api_tokens_account", "encore_api_tokens", ["account"])
    op.create_table(
        "encore_api_answers",
        sa.Column("token_id", sa.String(length=32), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.JSON(), nullable=True),
        sa.Column("location", sa.String(length=2000), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("token_id", "idempotency_key", name=op.f("pk_encore_api_answers")),
    )
    op.create_index("ix_encore_api_answers_created_at", "encore_api_answers", ["created_at"])
    _reports()


def _reports() -> None:
    """Days counted beforehand, and answers too dear for a page."""

    def of_day(name: str, *more: sa.Column[Any], key: tuple[str, ...] = ()) -> None:
        op.create_table(
            name,
            sa.Column("account", sa.String(length=64), nullable=False),
            sa.Column("zone", sa.String(length=64), nullable=False),
            sa.Column("day", sa.Date(), nullable=False),
            *more,
            sa.PrimaryKeyConstraint("account", "zone", "day", *key, name=op.f(f"pk_{name}")),
        )

    def text(name: str, length: int, *, nullable: bool = False) -> sa.Column[Any]:
        return sa.Column(name, sa.String(length=length), nullable=nullable)

    def flags(*names: str) -> list[sa.Column[Any]]:
        return [sa.Column(name, sa.Integer(), nullable=False) for name in names]

    of_day("encore_counted_days")
    of_day(
        "encore_day_counts",
        sa.Column("place", sa.Integer(), nullable=False),
        text("currency", 3),
        text("campaign_ref", 64),
        text("arm", 20),
        text("outcome", 20),
        text("reason", 40),
        *flags("seen", "declined", "sold_out", "expired"),
        text("status", 20, nullable=True),
        text("failure_code", 80),
        *flags("attempted", "undone"),
        text("fee_currency", 3),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in (
                *("decisions", "charged_minor", "refunded_minor"),
                *("fee_minor", "without_fee", "profit_of", "profit_minor"),
            )
        ),
        key=("place",),
    )
    of_day(
        "encore_day_movements",
        sa.Column("booked", sa.Date(), nullable=False),
        text("currency", 3),
        text("cause", 20),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        key=("booked", "currency", "cause"),
    )
    op.create_table(
        "encore_report_snapshots",
        text("account", 64),
        text("name", 200),
        sa.Column("as_of", _INSTANT, nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_encore_report_snapshots")),
    )


def downgrade() -> None:
    """Move the tables back. Experiments, tokens, settings made on the page and every charge's history go."""
    for table in ("report_snapshots", "day_movements", "day_counts", "counted_days"):
        op.drop_table(f"encore_{table}")
    for table in ("encore_api_answers", "encore_api_tokens", "encore_experiments"):
        op.drop_table(table)
    for table, indices, columns in (
        (
            "encore_charges",
            ("uncounted", "fee_due", "accepted_at"),
            # What names another column goes first.
            [
                "fee_currency",
                "fee_minor",
                "tax_minor",
                "cost_minor",
                "fee_due_at",
                "reviewed_at",
                "counted_at",
                "timeline",
            ],
        ),
        ("encore_decisions", ("uncounted",), ["counted_at", "exposures", "holdout_bp"]),
        ("encore_switches", (), ["holdout_bp", "undo_seconds", "retention_days"]),
    ):
        for index in indices:
            op.drop_index(f"ix_{table}_{index}", table)
        for column in columns:
            op.drop_column(table, column)

"""Campaigns: what the merchant offers, the switches, the audit, what decisions and charges keep of it, and free offers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: The rules of the two tables whose rules change, before and after.
_DECISIONS = {
    "ck_encore_decisions_offer_complete": "outcome <> 'offered' OR (sku IS NOT NULL AND total_minor IS NOT NULL "
    "AND quantity >= 1)",
    "ck_encore_decisions_propensity": "propensity > 0 AND propensity <= 1",
}
_DECISIONS_BEFORE = _DECISIONS | {
    "ck_encore_decisions_outcome": "outcome IN ('offered', 'held_out', 'ineligible', 'error')"
}
_DECISIONS_AFTER = _DECISIONS | {
    "ck_encore_decisions_outcome": "outcome IN ('offered', 'shadowed', 'held_out', 'ineligible', 'error')"
}
_CHARGES = {
    "ck_encore_charges_charged": "status NOT IN ('succeeded', 'refunding', 'refunded', 'disputed') "
    "OR charged_at IS NOT NULL",
    "ck_encore_charges_status": "status IN ('claimed', 'intent', 'confirming', 'action_required', 'processing', "
    "'unknown', 'failed', 'succeeded', 'canceled', 'refunding', 'refunded', 'disputed')",
}
_CHARGES_BEFORE = _CHARGES | {
    "ck_encore_charges_amount": "amount_minor > 0",
    "ck_encore_charges_intent_first": "payment_intent_ref IS NOT NULL OR status IN ('claimed', 'unknown', 'canceled')",
}
_CHARGES_AFTER = _CHARGES | {
    "ck_encore_charges_amount": "amount_minor >= 0",
    "ck_encore_charges_intent_first": "payment_intent_ref IS NOT NULL OR amount_minor = 0 "
    "OR status IN ('claimed', 'unknown', 'canceled')",
    "ck_encore_charges_free": "payment_intent_ref IS NULL OR amount_minor > 0",
}


def _rule(table: str, before: dict[str, str], after: dict[str, str]) -> None:
    """Replace a table's CHECKs; SQLite can only do that by copying the table."""
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table(table, copy_from=_copy(table, after), recreate="always"):
            return
    for name, rule in before.items():
        if after.get(name) != rule:
            op.drop_constraint(op.f(name), table, type_="check")
    for name, rule in after.items():
        if before.get(name) != rule:
            op.create_check_constraint(op.f(name), table, sa.text(rule))


def _copy(table: str, rules: dict[str, str]) -> sa.Table:
    """The table as it is, with *rules* for its CHECKs: which of them are read from SQLite depends on the release."""
    copy = sa.Table(table, sa.MetaData(), autoload_with=op.get_bind())
    copy.constraints -= {rule for rule in copy.constraints if isinstance(rule, sa.CheckConstraint)}
    for name, rule in rules.items():
        check = sa.CheckConstraint(sa.text(rule), name=op.f(name))
        if name == "ck_encore_decisions_propensity":
            # Within its column, as 0002 made it: SQLite drops no column that a rule of the table speaks of.
            copy.append_column(sa.Column("propensity", sa.Double(), check), replace_existing=True)
        else:
            copy.append_constraint(check)
    return copy


def upgrade() -> None:
    """Move the tables forward."""
    op.add_column("encore_products", sa.Column("options", sa.JSON(), nullable=True))
    op.add_column("encore_products", sa.Column("was_minor", sa.BigInteger(), nullable=True))
    op.create_index("ix_encore_products_parent", "encore_products", ["parent"])
    op.add_column("encore_orders", sa.Column("facts", sa.JSON(), nullable=True))

    _rule("encore_decisions", _DECISIONS_BEFORE, _DECISIONS_AFTER)
    op.add_column("encore_decisions", sa.Column("campaign_ref", sa.String(length=64), nullable=True))
    op.add_column("encore_decisions", sa.Column("campaign_version", sa.Integer(), nullable=True))
    op.add_column("encore_decisions", sa.Column("second_sku", sa.String(length=200), nullable=True))
    op.add_column("encore_decisions", sa.Column("trace", sa.JSON(), nullable=True))
    op.add_column("encore_decisions", sa.Column("extended_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_encore_decisions_customer", "encore_decisions", ["account", "customer_ref", "decided_at"])

    _rule("encore_charges", _CHARGES_BEFORE, _CHARGES_AFTER)
    op.add_column("encore_charges", sa.Column("campaign_ref", sa.String(length=64), nullable=True))
    op.add_column("encore_charges", sa.Column("second_sku", sa.String(length=200), nullable=True))
    op.create_index("ix_encore_charges_campaign", "encore_charges", ["account", "campaign_ref"])

    op.create_table(
        "encore_campaigns",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("campaign_ref", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_encore_campaigns_version")),
        sa.PrimaryKeyConstraint("account", "campaign_ref", name=op.f("pk_encore_campaigns")),
    )
    op.create_table(
        "encore_switches",
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("off", sa.Boolean(), nullable=False),
        sa.Column("shadow", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_encore_switches")),
    )
    op.create_table(
        "encore_audit",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encore_audit")),
    )
    op.create_index("ix_encore_audit_subject", "encore_audit", ["account", "subject", "id"])


def downgrade() -> None:
    """Move the tables back. Free offers and shadowed decisions have no place there, so they go."""
    op.drop_table("encore_audit")
    op.drop_table("encore_switches")
    op.drop_table("encore_campaigns")
    op.drop_index("ix_encore_charges_campaign", "encore_charges")
    op.drop_column("encore_charges", "second_sku")
    op.drop_column("encore_charges", "campaign_ref")
    op.execute("DELETE FROM encore_charges WHERE amount_minor = 0")
    _rule("encore_charges", _CHARGES_AFTER, _CHARGES_BEFORE)
    op.drop_index("ix_encore_decisions_customer", "encore_decisions")
    for column in ("extended_at", "trace", "second_sku", "campaign_version", "campaign_ref"):
        op.drop_column("encore_decisions", column)
    op.execute("DELETE FROM encore_decisions WHERE outcome = 'shadowed'")
    _rule("encore_decisions", _DECISIONS_AFTER, _DECISIONS_BEFORE)
    op.drop_column("encore_orders", "facts")
    op.drop_index("ix_encore_products_parent", "encore_products")
    op.drop_column("encore_products", "was_minor")
    op.drop_column("encore_products", "options")

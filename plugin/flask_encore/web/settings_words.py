"""What the settings pages say, and numbers as people type them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from flask_encore.domain.hooks import DeliveryStatus
from flask_encore.domain.rights import Right
from flask_encore.domain.scopes import Scope
from flask_encore.web.dashboard_words import Tone

#: What each scope lets a token do; it stands after "may".
SCOPES = {
    Scope.PRODUCTS_READ: "see the catalogue",
    Scope.PRODUCTS_WRITE: "change products, prices and stock",
    Scope.ORDERS_READ: "see paid orders and what became of them",
    Scope.ORDERS_WRITE: "hand over paid orders",
    Scope.DECISIONS_READ: "see what was decided about each order, and why",
    Scope.CAMPAIGNS_READ: "see the campaigns",
    Scope.CAMPAIGNS_WRITE: "create, change, pause and end campaigns",
    Scope.EXPERIMENTS_READ: "see the experiments and their figures",
    Scope.EXPERIMENTS_WRITE: "create, start, stop and roll out experiments",
    Scope.CHARGES_READ: "see the charges",
    Scope.CHARGES_REFUND: "give shoppers’ money back",
    Scope.MODELS_READ: "see the recommender’s models",
    Scope.MODELS_WRITE: "train, and put another model live",
    Scope.REPORTS_READ: "see figures and reports",
}

#: How long a token is good for, days -> its name in the form; empty is for ever.
TERMS = {"30": "30 days", "90": "90 days", "365": "A year", "": "No end"}

#: What each right lets somebody do.
RIGHTS = {
    Right.READ: "See every page and every figure",
    Right.EDIT: "Change campaigns, experiments, models, settings, tokens and webhooks",
    Right.REFUND: "Give shoppers’ money back",
}

DELIVERIES = {
    DeliveryStatus.WAITING: ("Waiting", Tone.WAIT),
    DeliveryStatus.DELIVERED: ("Delivered", Tone.GOOD),
    DeliveryStatus.FAILED: ("Given up", Tone.BAD),
}

#: Field of the form -> (setting, units of the setting in one of the field's, what is wrong when it is no such number).
FIELDS = {
    "holdout_percent": ("holdout_bp", 100, "A percentage from 0 to 50, with two decimals at most, such as 12.5."),
    "undo_minutes": ("undo_seconds", 60, "Minutes from 0 to 20,160, which is fourteen days."),
    "retention_days": ("retention_days", 1, "Whole days from 30 to 36,500, or 0 to keep everything."),
}

#: Ten characters hold every number of the form; a longer one is none.
_NUMBER = re.compile(r"[0-9]{1,6}([.,][0-9]{1,4})?", re.ASCII)


def number_in(text: str, *, units: int) -> int | None:
    """A typed number in whole *units* of it: ``12.5`` percent are 1,250 basis points. ``None`` when it is none."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text.replace(",", ".")) * units
    return int(value) if value == value.to_integral_value() else None


def typed(value: int | None, *, units: int) -> str:
    """A setting as the form shows it; empty when it is not set."""
    return "" if value is None else f"{(Decimal(value) / units).normalize():f}"


def minutes(seconds: int) -> str:
    """A stretch of time as a sentence says it."""
    if seconds == 0:
        return "no undo"
    if seconds % 86_400 == 0:
        return _counted(seconds // 86_400, "day")
    if seconds % 3_600 == 0:
        return _counted(seconds // 3_600, "hour")
    return _counted(seconds // 60, "minute") if seconds % 60 == 0 else _counted(seconds, "second")


def percent(basis_points: int) -> str:
    """A share as a sentence says it: ``12.5%``."""
    return f"{typed(basis_points, units=100)}%"


def keeping(days: int) -> str:
    """How long details are kept."""
    return f"for {_counted(days, 'day')}" if days else "for ever"


def in_force(values: Mapping[str, int]) -> dict[str, str]:
    """The three settings as sentences say them, by field of the form."""
    return {
        "holdout_percent": percent(values["holdout_bp"]),
        "undo_minutes": minutes(values["undo_seconds"]),
        "retention_days": keeping(values["retention_days"]),
    }


def _counted(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"

"""What the merchant reads about experiments: what varies, how one stands, and what can be said of it. English."""

from __future__ import annotations

from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.domain.experiment import MIN_BUYERS, MIN_CUSTOMERS, Estimate, Lack
from flask_encore.domain.experiments import HOLDOUT, Experiment, ExperimentStatus, Variant, Varies
from flask_encore.domain.money import Money
from flask_encore.services.experiment_figures import Judged
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.phrases import phrases_for

_say = phrases_for("en")

STATUSES = {
    ExperimentStatus.DRAFT: ("Draft", Tone.PLAIN),
    ExperimentStatus.RUNNING: ("Running", Tone.GOOD),
    ExperimentStatus.STOPPED: ("Stopped", Tone.WAIT),
    ExperimentStatus.ARCHIVED: ("Archived", Tone.PLAIN),
}

#: What varies -> its name, and what it is.
VARIES = {
    Varies.COPY: ("Words", "The headline and the text beside the offer"),
    Varies.DISCOUNT: ("Discount", "What is taken off the price"),
    Varies.CAMPAIGN: ("Offer", "Another campaign makes its offer in place of this one"),
    Varies.MODEL: ("Recommender", "Another saved model ranks the products"),
}

#: A status -> what the last click did.
MOVED = {
    ExperimentStatus.DRAFT: "is saved as a draft: nobody takes part yet",
    ExperimentStatus.RUNNING: "is running",
    ExperimentStatus.STOPPED: "is stopped",
    ExperimentStatus.ARCHIVED: "is archived",
}

_LACKS = {
    Lack.NO_ORDERS: "no order yet",
    Lack.FEW_CUSTOMERS: f"fewer than {MIN_CUSTOMERS} customers, each counted as if they ordered alike",
    Lack.FEW_BUYERS: f"fewer than {MIN_BUYERS} customers bought an offer",
    Lack.NO_VARIATION: "every order is worth the same so far",
}

FIELDS = {
    "ref": "Ref",
    "name": "Name",
    "varies": "What varies",
    "campaign": "Campaign",
    "holdout": "Holdout",
    "worth": "Difference worth knowing",
    "baseline": "Baseline",
    "variants": "Variants",
}


def about(experiment: Experiment, names: dict[str, str]) -> str:
    """What it is about, in a few words."""
    what = VARIES[experiment.varies][0]
    if experiment.campaign is None:
        return what
    if experiment.campaign == BUILT_IN:
        return f"{what} of the built-in offer"
    return f"{what} of “{names.get(experiment.campaign, experiment.campaign)}”"


def changes(variant: Variant, varies: Varies, names: dict[str, str]) -> list[str]:
    """What a variant changes, a line each."""
    if variant.said(varies) is None:
        return ["The live model" if varies is Varies.MODEL else "As it is"]
    if variant.wording is not None:
        return [
            f"{language}: {' · '.join(part for part in (words.headline, words.body) if part) or 'no words'}"
            for language, words in variant.wording.items()
        ]
    if variant.discount is not None:
        amounts = [f"{_say.money(amount)} off" for amount in variant.discount.amounts.values()]
        return amounts or [f"{variant.discount.percent}% off" if variant.discount.percent else "No discount"]
    if variant.campaign is not None:
        return [f"What “{names.get(variant.campaign, variant.campaign)}” offers"]
    return [f"Model {variant.model}"]


def variant_name(name: str) -> str:
    """A variant as tables call it."""
    return "Holdout" if name == HOLDOUT else name


def amount(minor_units: float, currency: str, *, signed: bool = False) -> str:
    """A mean or a difference, rounded to the smallest coin."""
    whole = round(minor_units)
    plus = "+" if signed and whole > 0 else ""
    return plus + _say.money(Money(whole, currency))


def verdict(judged: Judged) -> str:
    """What can be said of one comparison, as a sentence. It never names a winner."""
    comparison = judged.comparison
    result, any_day = comparison.result, comparison.any_day
    if not isinstance(result, Estimate) or any_day is None:
        where = "the baseline" if not isinstance(result, Estimate) and result.in_baseline else "this variant"
        lack = _LACKS[result.lack] if not isinstance(result, Estimate) else ""
        return f"Not enough data: {lack} in {where}."
    low, high = (amount(end, result.currency, signed=True) for end in (any_day.low, any_day.high))
    if 0 in any_day:
        return f"The difference lies between {low} and {high} an order: more, less and no difference are all possible."
    return f"The difference lies between {low} and {high} an order."


def missing(judged: Judged, currency: str) -> str:
    """How many orders are missing, as a sentence; empty where a difference shows already, or nothing can tell."""
    any_day = judged.comparison.any_day
    if judged.more_orders is None or (any_day is not None and 0 not in any_day):
        return ""
    if judged.worth_minor is None:
        return f"About {judged.more_orders:,} more orders are needed before anything can be said."
    worth = amount(judged.worth_minor, currency)
    if not judged.more_orders:
        return f"There are enough orders to notice a difference of {worth} an order."
    return f"Needs about {judged.more_orders:,} more orders to notice a difference of {worth} an order."


def field_name(name: str) -> str:
    """A field as the list of errors calls it."""
    if not name.startswith("v."):
        return FIELDS.get(name, name)
    _, row, *rest = name.split(".")
    part = {"weight": "share"}.get(rest[-1], rest[-1])
    return f"Variant {int(row) + 1}, {part}"


def sentence(told: str) -> str:
    """A refusal as it stands alone: it begins with a capital."""
    return told[:1].upper() + told[1:]

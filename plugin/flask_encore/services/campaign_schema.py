"""Campaigns as JSON: read strictly, with every error at once and its path, and written in one canonical form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING
from dataclasses import fields as fields_of
from functools import reduce
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, post_load, validates_schema
from marshmallow import fields as ma

from flask_encore.domain import pressure, rules
from flask_encore.domain.campaigns import (
    MAX_NAME,
    MAX_PRIORITY,
    Budget,
    Campaign,
    CampaignStatus,
    Limits,
    checked_campaign_ref,
)
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.kinds import (
    KINDS,
    MAX_LABEL,
    MAX_PIECES,
    MAX_TEXT,
    Bundle,
    BuyGet,
    Complementary,
    Discount,
    Fixed,
    MoreOfTheSame,
    Service,
    TextField,
)
from flask_encore.domain.money import Money
from flask_encore.domain.offers import Placement
from flask_encore.domain.rule_json import short
from flask_encore.domain.wording import MAX_BODY, MAX_HEADLINE, Wording
from flask_encore.services.campaign_fields import (
    WHOLE,
    Amounts,
    ByLanguage,
    Checked,
    Flag,
    OneOf,
    Pairs,
    Path,
    Refs,
    RuleOf,
    Text,
    Texts,
    Told,
    Wall,
    meant,
    positive,
)
from flask_encore.services.campaign_fields import Whole as Number

#: Fields of one object that are told to be unknown, one by one; a file of another kind has thousands.
MAX_UNKNOWN = 20

#: Errors in the message of one refusal; `CampaignRefused.errors` has all.
MAX_IN_MESSAGE = 3

#: A name that can stand in a path as it is.
_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class DefinitionRefused(InvalidInput):
    """What a merchant wrote cannot be used as it is written.

    Attributes:
        errors: Path, such as ``offer.discount.percent``, -> sentences that say what is wrong and the fix.
    """

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        self.errors = dict(errors)
        told = self.sentences()
        more = f" (and {len(told) - MAX_IN_MESSAGE} more)" if len(told) > MAX_IN_MESSAGE else ""
        super().__init__(" ".join(told[:MAX_IN_MESSAGE]) + more)

    def sentences(self) -> list[str]:
        """Every error as one line that begins with its path."""
        return [f"{path}: {told}" if path else told for path, sentences in self.errors.items() for told in sentences]


class CampaignRefused(DefinitionRefused):
    """A campaign cannot be used as it is written."""


class Strict(Schema):
    """Refuses fields it does not know, and puts what the domain refuses where it belongs."""

    class Meta:
        unknown = EXCLUDE  # they are refused below, with what was meant

    makes: ClassVar[type]
    error_messages = {"type": "has to be an object with fields."}  # noqa: RUF012 - marshmallow's own way to say it

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _no_unknown(self, data: Any, original: Any, **kwargs: Any) -> None:
        if not isinstance(original, Mapping):
            return
        known = [field.data_key or name for name, field in self.fields.items()]
        unknown = [key for key in original if key not in known]
        wrong = {key: [f"is not known here.{_meant_or_listed(key, known)}"] for key in unknown[:MAX_UNKNOWN]}
        if len(unknown) > MAX_UNKNOWN:
            wrong[WHOLE] = [f"has {len(unknown) - MAX_UNKNOWN} more fields that are not known here."]
        if wrong:
            raise ValidationError(wrong)

    @post_load
    def _make(self, data: dict[str, Any], **kwargs: Any) -> Any:
        try:
            return self.makes(**data)
        except InvalidInput as refusal:
            raise ValidationError(self._placed(str(refusal))) from None

    def _placed(self, told: str) -> dict[str, list[str]]:
        """By the field its first word names; by the object when it names none."""
        word, _, rest = told.partition(" ")
        return {word: [rest]} if word in self.fields else {WHOLE: [told]}


def _meant_or_listed(key: object, known: list[str]) -> str:
    return meant(key, known) or f" There are {', '.join(known)}."


class DiscountJson(Strict):
    makes = Discount
    percent = Number(0, 100)
    amounts = Amounts()


class _TextField(Strict):
    makes = TextField
    label = Texts(MAX_LABEL, required=True)
    max_length = Number(1, MAX_TEXT)
    required = Flag()


class _Complementary(Strict):
    makes = Complementary
    discount = ma.Nested(DiscountJson)
    only_categories = Refs()
    never_categories = Refs()
    price_cap_percent = Number(0, 10_000, allow_none=True)
    margin_floor_percent = Number(0, 100, allow_none=True)
    pinned = Pairs()
    blocked = Pairs()


class _Fixed(Strict):
    makes = Fixed
    skus = Refs(1, required=True)
    discount = ma.Nested(DiscountJson)


class _Service(Strict):
    makes = Service
    sku = Checked(required=True)
    discount = ma.Nested(DiscountJson)
    text = ma.Nested(_TextField, allow_none=True)


class _BuyGet(Strict):
    makes = BuyGet
    buy = Number(0, MAX_PIECES)
    get = Number(1, MAX_PIECES)
    percent_off = Number(1, 100)
    skus = Refs()


class _Bundle(Strict):
    makes = Bundle
    skus = Refs(2, required=True)
    prices = Amounts(required=True)


class _More(Strict):
    makes = MoreOfTheSame
    minimum = Number(1, MAX_PIECES)
    maximum = Number(1, MAX_PIECES)
    step = Number(1, MAX_PIECES)
    skus = Refs()
    discount = ma.Nested(DiscountJson)


_OFFERS: Mapping[str, Schema] = {
    schema.makes.kind: schema() for schema in (_Complementary, _Fixed, _Service, _BuyGet, _Bundle, _More)
}


class _Offer(Told):
    """One of the kinds, each with fields of its own."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError(f"has to be an object with a kind, got {short(value)}.")
        kind = value.get("kind")
        if not isinstance(kind, str) or kind not in _OFFERS:
            raise ValidationError(
                {"kind": [f"has to be one of {', '.join(_OFFERS)}, got {short(kind)}.{meant(kind, _OFFERS)}"]}
            )
        return _OFFERS[kind].load({key: told for key, told in value.items() if key != "kind"})


class _Limits(Strict):
    makes = Limits
    offers = Number(1, 1000, allow_none=True)
    days = Number(1, 3650, allow_none=True)
    once_per_customer = Flag()
    group = Checked(lambda name, value: Limits(group=value).group, allow_none=True)  # type: ignore[arg-type]
    group_days = Number(1, 3650)


class _Budget(Strict):
    makes = Budget
    units = Number(1, 1_000_000_000)
    amount = Told()
    currency = Told()

    @post_load
    def _make(self, data: dict[str, Any], **kwargs: Any) -> Any:
        if "amount" in data or "currency" in data:
            for name, other in (("amount", "currency"), ("currency", "amount")):
                if name not in data:
                    raise ValidationError({name: [f"is missing: {other} needs it."]})
            try:
                data["amount"] = positive(data["amount"], data.pop("currency"))
            except InvalidInput as refusal:
                raise ValidationError({"amount": [str(refusal).removeprefix("amount ")]}) from None
        try:
            return Budget(**data)
        except InvalidInput as refusal:
            raise ValidationError(str(refusal)) from None


class WordingJson(Strict):
    makes = Wording
    headline = Text(MAX_HEADLINE)
    body = Text(MAX_BODY)


class _Campaign(Strict):
    makes = Campaign
    ref = Checked(checked_campaign_ref, required=True)
    name = Text(MAX_NAME, least=1, required=True)
    status = OneOf(CampaignStatus)
    priority = Number(-MAX_PRIORITY, MAX_PRIORITY)
    placement = OneOf(Placement)
    begins = Flag()
    rule = RuleOf()
    offer = _Offer(required=True)
    on_accept = Checked(checked_campaign_ref, allow_none=True)
    on_decline = Checked(checked_campaign_ref, allow_none=True)
    starts_at = Wall(allow_none=True)
    ends_at = Wall(allow_none=True)
    limits = ma.Nested(_Limits)
    budget = ma.Nested(_Budget, allow_none=True)
    timer_minutes = Number(2, 60, allow_none=True)
    wording = ByLanguage(WordingJson(), data_key="copy")


_CAMPAIGN = _Campaign()


# Reading


def campaign_of(definition: object, *, at: str = "", linted: bool = False) -> Campaign:
    """The campaign that *definition*, JSON values that anybody may have written, describes.

    Args:
        at: Where the definition stands in a file, such as ``campaigns[3]``; paths of errors begin with it.
        linted: Refuse words that press, see `domain.pressure`: for what a merchant saves, not for what is stored. A
            longer list in a later release must not take a campaign away that is live.

    Raises:
        CampaignRefused: With every error, by its path.
    """
    campaign, errors = loaded(_CAMPAIGN, definition)
    for path, sentence in _pressing(definition) if linted else ():
        errors.setdefault(path, []).append(sentence)
    if errors:
        raise CampaignRefused({_joined(at, path): told for path, told in errors.items()})
    assert isinstance(campaign, Campaign)
    return campaign


def loaded(schema: Schema, definition: object) -> tuple[Any, dict[str, list[str]]]:
    """What *schema* reads of *definition*, and every error by its path; ``None`` when there is one."""
    try:
        return schema.load(definition), {}  # type: ignore[arg-type]  # what is no object is refused
    except ValidationError as refusal:
        errors: dict[str, list[str]] = {}
        for path, sentence in _flat(refusal.messages, ""):
            errors.setdefault(path, []).append(sentence)
        return None, errors


def pressing_copy(definition: object, *at: object) -> Iterator[tuple[str, str]]:
    """Words of the copy of *definition*, which stands at *at*, that press; path and sentence."""
    for tag, words in _object(definition, "copy").items():
        for name in ("headline", "body"):
            yield from _hits(words.get(name) if isinstance(words, Mapping) else None, tag, *at, "copy", tag, name)


def _pressing(definition: object) -> Iterator[tuple[str, str]]:
    """Words of the copy, and of the text field's label, that press; path and sentence."""
    yield from pressing_copy(definition)
    for tag, label in _object(definition, "offer", "text", "label").items():
        yield from _hits(label, tag, "offer", "text", "label", tag)


def _hits(text: object, tag: object, *path: object) -> Iterator[tuple[str, str]]:
    # Longer ones are refused for their length: no need to read all of a book.
    if isinstance(text, str) and isinstance(tag, str) and len(text) <= MAX_BODY:
        for hit in pressure.hits(text, tag):
            yield reduce(_joined, map(_step, path)), str(hit)


def _object(value: object, *names: str) -> Mapping[Any, Any]:
    """What stands at *names*, as far as there are objects."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _flat(messages: Any, path: str) -> Iterator[tuple[str, str]]:
    """marshmallow's nested errors as path and sentence."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _flat(inner, path if key == WHOLE else _joined(path, _step(key)))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flat(inner, path)
    else:
        yield path, str(messages)


def _step(key: object) -> str:
    """One step of a path: a place in a list, a name, or what somebody wrote for a name."""
    if isinstance(key, int):
        return f"[{key}]"
    return str(key) if isinstance(key, Path) or (isinstance(key, str) and _PLAIN.match(key)) else f"[{short(key)}]"


def _joined(path: str, deeper: str) -> str:
    return path + deeper if not path or not deeper or deeper.startswith("[") else f"{path}.{deeper}"


# Writing


def definition_of(campaign: Campaign, *, whole: bool = False) -> dict[str, Any]:
    """*campaign* as JSON values, in one order of fields: `campaign_of` reads the same campaign back.

    Args:
        whole: With the fields that have their default too; they are left out otherwise.
    """
    written = _written(campaign, always=("ref", "name", "status", "offer"), whole=whole)
    named = {"wording": "copy"}
    return {named.get(field, field): written[field] for field in _CAMPAIGN.fields if field in written}


def _written(value: Any, *, always: tuple[str, ...] = (), whole: bool) -> dict[str, Any]:
    """The fields of a dataclass that differ from their default."""
    told: dict[str, Any] = {}
    for field in fields_of(value):
        held = getattr(value, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if whole or field.name in always or held != default:
            told[field.name] = _value(field.name, held, whole)
    return told


def json_of(held: Discount | Mapping[str, Wording]) -> dict[str, Any]:
    """A discount, or words by language, as a campaign's definition has them."""
    written: dict[str, Any] = _value("", held, False)
    return written


def _value(name: str, held: Any, whole: bool) -> Any:
    if isinstance(held, rules.Rule):
        return rules.to_json(held)
    if name == "offer":
        return {"kind": held.kind} | _written(held, whole=whole)
    if isinstance(held, Budget):
        return _budget(held)
    if isinstance(held, Discount | TextField | Limits | Wording):
        return _written(held, whole=whole)
    if isinstance(held, Mapping):
        return {key: _value("", held[key], whole) for key in sorted(held)}
    if isinstance(held, Money):
        return str(held.decimal)
    if isinstance(held, tuple):
        return [_value("", one, whole) for one in held]
    if name in ("starts_at", "ends_at") and held is not None:
        return held.isoformat(timespec="auto" if held.second or held.microsecond else "minutes")
    return held.value if isinstance(held, CampaignStatus | Placement) else held


def _budget(held: Budget) -> dict[str, Any]:
    if held.amount is None:
        return {"units": held.units}
    return {"amount": str(held.amount.decimal), "currency": held.amount.currency}


assert set(_OFFERS) == set(KINDS)

"""What a rule can ask, one question each: answered true, false or unknown, with what was seen and a sentence.

Every condition knows its own JSON value; `rules` puts the kind in front and joins conditions by AND, OR and NOT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.facts import AMOUNTS, COLLECTIONS, CONTENTS, COUNTS, FIELDS, NEVER, WORDS, RuleFacts
from flask_encore.domain.money import Money
from flask_encore.domain.orders import checked_ref
from flask_encore.domain.rule_json import amount, fields_of, listed, one_of, plainly, short, values_of

#: A sentence names so many values of a list; the rest is counted.
NAMED = 5

#: Counts beyond it are typing mistakes.
MAX_COUNT = 1_000_000

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z")


class Answer(StrEnum):
    """What a condition says; Kleene's strong logic of three values."""

    TRUE = "true"  #: it holds
    FALSE = "false"  #: it does not
    UNKNOWN = "unknown"  #: nobody can tell from what is known, and its opposite cannot be told either

    @classmethod
    def of(cls, holds: bool) -> Answer:
        return cls.TRUE if holds else cls.FALSE


class Finding(NamedTuple):
    """One answer, with its evidence."""

    answer: Answer
    observed: Any
    """What was seen, in JSON values; None where nothing was."""
    sentence: str
    """For the decision log: ``order total 12.50 GBP is not ≥ 20.00 GBP``."""


class How(StrEnum):
    """How many of a list."""

    ANY = "any"  #: one of them at least
    ALL = "all"  #: every one
    NONE = "none"  #: not one


@dataclass(frozen=True, slots=True, kw_only=True)
class AmountIs:
    """An amount within bounds of one currency, both included. An order paid in another currency gives no answer.

    The lifetime value is that in this currency: other currencies do not count, and without any it is zero.
    """

    field: str
    at_least: Money | None = None
    at_most: Money | None = None

    def __post_init__(self) -> None:
        one_of("field", self.field, AMOUNTS)
        _check_bounds(self.at_least, self.at_most, _is_amount, "amounts of at least 0")

    def ask(self, facts: RuleFacts) -> Finding:
        words, attribute = AMOUNTS[self.field]
        currency = (self.at_least or self.at_most or facts.total).currency
        seen = getattr(facts, attribute)
        if isinstance(seen, Mapping):
            seen = seen.get(currency, Money(0, currency))
        if seen is None:
            return _unknown(words)
        if seen.currency != currency:
            return Finding(Answer.UNKNOWN, str(seen), f"{words} {seen} says nothing about {currency.upper()}")
        return _within(words, seen, self.at_least, self.at_most, observed=str(seen))

    def as_json(self) -> Any:
        bounds = _bounds(self.at_least, self.at_most)
        (currency,) = {bound.currency for bound in bounds.values()}
        return {**{name: str(bound.decimal) for name, bound in bounds.items()}, "currency": currency}

    @classmethod
    def from_json(cls, kind: str, value: Any) -> AmountIs:
        fields = fields_of(value, "at_least", "at_most", "currency")
        if "currency" not in fields:
            raise InvalidInput("currency is missing.")
        bounds = {name: amount(name, fields[name], fields["currency"]) for name in fields if name != "currency"}
        return cls(field=kind, **bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class CountIs:
    """A whole number within bounds, both included. A customer without earlier orders has no days since the last."""

    field: str
    at_least: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        one_of("field", self.field, COUNTS)
        _check_bounds(self.at_least, self.at_most, _is_count, f"whole numbers from 0 to {MAX_COUNT}")

    def ask(self, facts: RuleFacts) -> Finding:
        words, attribute = COUNTS[self.field]
        seen = getattr(facts, attribute)
        if seen is None:
            return _unknown(words)
        if seen == NEVER:
            return Finding(Answer.FALSE, NEVER, f"{words}: there is no earlier order")
        return _within(words, seen, self.at_least, self.at_most, observed=seen)

    def as_json(self) -> Any:
        return _bounds(self.at_least, self.at_most)

    @classmethod
    def from_json(cls, kind: str, value: Any) -> CountIs:
        return cls(field=kind, **fields_of(value, "at_least", "at_most"))


@dataclass(frozen=True, slots=True, kw_only=True)
class WordIs:
    """One of a few words. A locale of a language alone, such as ``de``, holds for all of its regions."""

    field: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        one_of("field", self.field, WORDS)
        object.__setattr__(self, "values", values_of(self.field, self.values))

    def ask(self, facts: RuleFacts) -> Finding:
        words, attribute = WORDS[self.field]
        seen = facts.total.currency if self.field == "currency" else getattr(facts, attribute)
        if seen is None:
            return _unknown(words)
        plain = plainly(self.field)(seen) if seen else ""
        holds = plain in self.values
        if self.field == "locale":
            holds = any(plain == value or plain.startswith(f"{value}-") for value in self.values)
        verb = "is" if holds else "is not"
        return Finding(Answer.of(holds), seen, f"{words} {seen or 'none'} {verb} {_named(self.values, 'one of ')}")

    def as_json(self) -> Any:
        return list(self.values)

    @classmethod
    def from_json(cls, kind: str, value: Any) -> WordIs:
        return cls(field=kind, values=listed(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Has:
    """Any, all or none of a list, in the order or in what is known of the customer.

    In the order a value counts from *quantity* pieces on, added up over its lines. Pieces of products that the
    catalogue does not have may or may not be of a category, and then the answer may be unknown.
    """

    field: str
    how: How
    values: tuple[str, ...]
    quantity: int = 1

    def __post_init__(self) -> None:
        one_of("field", self.field, {**CONTENTS, **COLLECTIONS})
        one_of("how", self.how, How)
        object.__setattr__(self, "how", How(self.how))
        object.__setattr__(self, "values", values_of(self.field, self.values))
        if type(self.quantity) is not int or not 1 <= self.quantity <= MAX_COUNT:
            raise InvalidInput(f"quantity has to be a whole number from 1 to {MAX_COUNT}, got {self.quantity!r}.")
        if self.quantity > 1 and self.field not in CONTENTS:
            raise InvalidInput(f"{self.field} has no quantity: nothing says how many there were.")

    def ask(self, facts: RuleFacts) -> Finding:
        words, attribute = FIELDS[self.field]
        pieces: Mapping[str, int]
        if self.field in CONTENTS:
            pieces, unknown = facts.pieces(attribute)
        else:
            held = getattr(facts, attribute)
            if held is None:
                return _unknown(words)
            plain = plainly(self.field)
            pieces, unknown = dict.fromkeys(map(plain, held), 1), 0
        surely = [value for value in self.values if pieces.get(value, 0) >= self.quantity]
        maybe = [value for value in self.values if pieces.get(value, 0) + unknown >= self.quantity]
        answers = {self._answer(len(surely)), self._answer(len(maybe))}
        answer = answers.pop() if len(answers) == 1 else Answer.UNKNOWN
        found = {value: pieces[value] for value in self.values if pieces.get(value, 0)}
        return Finding(answer, found if self.field in CONTENTS else list(found), self._sentence(words, answer, found))

    def _answer(self, reached: int) -> Answer:
        if self.how is How.ALL:
            return Answer.of(reached == len(self.values))
        return Answer.of((reached > 0) is (self.how is How.ANY))

    def _sentence(self, words: str, answer: Answer, found: Mapping[str, int]) -> str:
        asked = f"{self.how} of {_named(self.values)}" + (f" ({self.quantity} each)" if self.quantity > 1 else "")
        if answer is Answer.UNKNOWN:
            return f"{words}: some are not known, so {asked} cannot be told"
        pieces = [f"{value} ×{n}" if self.field in CONTENTS else value for value, n in found.items()]
        seen = _named(pieces) if pieces else "none of them"
        return f"{words} include {seen}: {asked} is {'' if answer is Answer.TRUE else 'not '}met"

    def as_json(self) -> Any:
        return {self.how.value: list(self.values)} | ({"quantity": self.quantity} if self.quantity > 1 else {})

    @classmethod
    def from_json(cls, kind: str, value: Any) -> Has:
        fields = fields_of(value, *How, *(["quantity"] if kind in CONTENTS else []))
        quantity = {"quantity": fields.pop("quantity")} if "quantity" in fields else {}
        if len(fields) != 1:
            raise InvalidInput("needs exactly one of any, all and none.")
        ((how, values),) = fields.items()
        return cls(field=kind, how=How(how), values=listed(values), **quantity)


@dataclass(frozen=True, slots=True)
class CustomerIs:
    """``new`` without an earlier order, ``returning`` with one."""

    kind: ClassVar[str] = "customer"
    value: str

    def __post_init__(self) -> None:
        one_of(self.kind, self.value, ("new", "returning"))

    def ask(self, facts: RuleFacts) -> Finding:
        if facts.order_count is None:
            return _unknown("whether the customer is new")
        seen = "returning" if facts.order_count else "new"
        holds = seen == self.value
        return Finding(Answer.of(holds), seen, f"customer is {seen}" + ("" if holds else f", not {self.value}"))

    def as_json(self) -> Any:
        return self.value

    @classmethod
    def from_json(cls, kind: str, value: Any) -> CustomerIs:
        return cls(value)


@dataclass(frozen=True, slots=True)
class TimeIs:
    """By the shop's wall clock from *start* until just before *until*; past midnight where *until* is not later."""

    kind: ClassVar[str] = "time"
    start: str
    until: str

    def __post_init__(self) -> None:
        for name, value in (("from", self.start), ("until", self.until)):
            if not isinstance(value, str) or not _TIME.match(value):
                raise InvalidInput(f"{name} has to be a time such as '18:30', got {short(value)}.")
        if self.start == self.until:
            raise InvalidInput(f"from and until are both {self.start}: leave the condition out for the whole day.")

    def ask(self, facts: RuleFacts) -> Finding:
        now = facts.local_now.time()
        start, until = time.fromisoformat(self.start), time.fromisoformat(self.until)
        holds = start <= now < until if start < until else now >= start or now < until
        seen = f"{now:%H:%M}"
        verb = "is" if holds else "is not"
        return Finding(Answer.of(holds), seen, f"time {seen} {verb} from {self.start} until {self.until}")

    def as_json(self) -> Any:
        return {"from": self.start, "until": self.until}

    @classmethod
    def from_json(cls, kind: str, value: Any) -> TimeIs:
        fields = fields_of(value, "from", "until")
        return cls(fields.get("from"), fields.get("until"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class WeekdayIs:
    """One of these days in the shop's time zone: ``mon`` to ``sun``."""

    kind: ClassVar[str] = "weekday"
    days: tuple[str, ...]

    def __post_init__(self) -> None:
        days = values_of(self.kind, self.days)
        for day in days:
            one_of(self.kind, day, DAYS)
        object.__setattr__(self, "days", tuple(day for day in DAYS if day in days))

    def ask(self, facts: RuleFacts) -> Finding:
        seen = DAYS[facts.local_now.weekday()]
        holds = seen in self.days
        verb = "is" if holds else "is not"
        return Finding(Answer.of(holds), seen, f"weekday {seen} {verb} {_named(self.days, 'one of ')}")

    def as_json(self) -> Any:
        return list(self.days)

    @classmethod
    def from_json(cls, kind: str, value: Any) -> WeekdayIs:
        return cls(listed(value))


@dataclass(frozen=True, slots=True)
class Sample:
    """A share of all subjects, drawn by a keyed hash: who is in for 10 % is in for 20 %, and *name* draws anew."""

    kind: ClassVar[str] = "sample"
    percent: int
    name: str

    def __post_init__(self) -> None:
        if type(self.percent) is not int or not 0 <= self.percent <= 100:
            raise InvalidInput(f"percent has to be a whole number from 0 to 100, got {short(self.percent)}.")
        checked_ref("name", self.name)

    def ask(self, facts: RuleFacts) -> Finding:
        seen = facts.draw(self.name)
        holds = seen < self.percent
        # The number itself is kept, rounded down, so that it stays on its side of a whole percentage.
        shown = int(seen * 10_000) / 10_000
        return Finding(Answer.of(holds), shown, f"draw {shown:.4f} is {'' if holds else 'not '}below {self.percent}")

    def as_json(self) -> Any:
        return {"percent": self.percent, "name": self.name}

    @classmethod
    def from_json(cls, kind: str, value: Any) -> Sample:
        fields = fields_of(value, "percent", "name")
        return cls(fields.get("percent"), fields.get("name"))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a field is known at all; never unknown itself. ``not known order_count`` is how to reach guests."""

    kind: ClassVar[str] = "known"
    field: str

    def __post_init__(self) -> None:
        one_of(self.kind, self.field, FIELDS)

    def ask(self, facts: RuleFacts) -> Finding:
        words, attribute = FIELDS[self.field]
        if self.field in CONTENTS:
            _, unknown = facts.pieces(attribute)
            holds = not unknown
        else:
            holds = getattr(facts, attribute) is not None
        return Finding(Answer.of(holds), holds, f"{words} known" if holds else f"{words} not known")

    def as_json(self) -> Any:
        return self.field

    @classmethod
    def from_json(cls, kind: str, value: Any) -> Known:
        return cls(value)


Condition = AmountIs | CountIs | WordIs | Has | CustomerIs | TimeIs | WeekdayIs | Sample | Known

#: Kind, as JSON names it -> how to read its value.
READERS: Mapping[str, Callable[[str, Any], Condition]] = {
    **dict.fromkeys(AMOUNTS, AmountIs.from_json),
    **dict.fromkeys(COUNTS, CountIs.from_json),
    **dict.fromkeys(WORDS, WordIs.from_json),
    **dict.fromkeys([*CONTENTS, *COLLECTIONS], Has.from_json),
    **{condition.kind: condition.from_json for condition in (CustomerIs, TimeIs, WeekdayIs, Sample, Known)},
}


def kind_of(condition: Condition) -> str:
    """What JSON calls it."""
    return condition.field if isinstance(condition, AmountIs | CountIs | WordIs | Has) else condition.kind


def _bounds(at_least: Any, at_most: Any) -> dict[str, Any]:
    return {name: bound for name, bound in (("at_least", at_least), ("at_most", at_most)) if bound is not None}


def _check_bounds(at_least: Any, at_most: Any, fits: Callable[[Any], bool], wanted: str) -> None:
    bounds = _bounds(at_least, at_most)
    if not bounds or not all(map(fits, bounds.values())):
        raise InvalidInput(f"needs at_least, at_most or both, {wanted}.")
    if len(bounds) == 2 and at_most < at_least:
        raise InvalidInput(f"at_least {at_least} is more than at_most {at_most}.")


def _is_amount(value: Any) -> bool:
    return isinstance(value, Money) and value.minor_units >= 0


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_COUNT


def _within(words: str, seen: Any, at_least: Any, at_most: Any, *, observed: Any) -> Finding:
    """Names the bound that is broken, or all of them."""
    if at_least is not None and seen < at_least:
        return Finding(Answer.FALSE, observed, f"{words} {seen} is not ≥ {at_least}")
    if at_most is not None and at_most < seen:
        return Finding(Answer.FALSE, observed, f"{words} {seen} is not ≤ {at_most}")
    bounds = [f"{sign} {bound}" for sign, bound in (("≥", at_least), ("≤", at_most)) if bound is not None]
    return Finding(Answer.TRUE, observed, f"{words} {seen} is {' and '.join(bounds)}")


def _unknown(words: str) -> Finding:
    return Finding(Answer.UNKNOWN, None, f"{words} not known")


def _named(values: Sequence[str], several: str = "") -> str:
    """The first few of a list; *several* in front where there is more than one."""
    rest = f" and {len(values) - NAMED} more" if len(values) > NAMED else ""
    return (several if len(values) > 1 else "") + ", ".join(values[:NAMED]) + rest

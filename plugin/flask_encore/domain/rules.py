"""Targeting rules: conditions joined by AND, OR and NOT, answered with a trace that explains itself.

    {"all": [{"order_total": {"at_least": "20.00", "currency": "gbp"}},
             {"sku": {"any": ["teapot"]}},
             {"not": {"country": ["US"]}}]}

A rule is asked for three answers, as in SQL (Kleene's strong logic): what is not known is neither true nor false, and
nor is its opposite. A campaign applies only where its rule is true, so nobody is taken for a new customer, or for one
who never bought a thing, because nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from flask_encore.domain.conditions import READERS, Answer, Condition, Has, How, kind_of
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.facts import CONTENTS, RuleFacts
from flask_encore.domain.rule_json import short

#: Deeper nesting than this nobody reads; and no JSON can make Python run out of stack.
MAX_DEPTH = 8

#: Conditions in one rule. A thousand campaigns of this size still fit the decision's budget.
MAX_CONDITIONS = 64


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where every part is; false where any is. Without parts it is true of every order."""

    parts: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        _check(self)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where any part is; false where all are. Without parts it would be true of no order, and is refused."""

    parts: tuple[Rule, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts:
            raise InvalidInput("any needs at least one part: without one it is true of no order.")
        _check(self)


@dataclass(frozen=True, slots=True)
class Not:
    """True where its part is false, false where it is true, and unknown where it is unknown."""

    part: Rule

    @property
    def parts(self) -> tuple[Rule, ...]:
        return (self.part,)

    def __post_init__(self) -> None:
        _check(self)


Rule = AllOf | AnyOf | Not | Condition


def _check(rule: AllOf | AnyOf | Not) -> None:
    for part in rule.parts:
        if not isinstance(part, Rule):
            raise InvalidInput(f"a rule is made of conditions, AllOf, AnyOf and Not, not of {short(part)}.")
    if _depth(rule) > MAX_DEPTH:
        raise InvalidInput(f"a rule may be nested {MAX_DEPTH} deep at most.")
    if sum(1 for _ in conditions(rule)) > MAX_CONDITIONS:
        raise InvalidInput(f"a rule may have {MAX_CONDITIONS} conditions at most.")


def _depth(rule: Rule) -> int:
    return 1 + max(map(_depth, rule.parts), default=0) if isinstance(rule, AllOf | AnyOf | Not) else 1


def conditions(rule: Rule) -> Iterator[Condition]:
    """Every condition of a rule, from left to right."""
    if isinstance(rule, AllOf | AnyOf | Not):
        for part in rule.parts:
            yield from conditions(part)
    else:
        yield rule


#: True of every order.
ALWAYS = AllOf()


# Asking


@dataclass(frozen=True, slots=True)
class Trace:
    """What one part of a rule answered. Only conditions have seen something; the others follow from their parts."""

    kind: str
    """``all``, ``any``, ``not``, or what JSON calls the condition."""
    answer: Answer
    observed: Any = None
    sentence: str = ""
    parts: tuple[Trace, ...] = ()

    def because(self) -> tuple[str, ...]:
        """The sentences that decide the answer, left to right: of an AND that failed, those that made it fail."""
        if not self.parts:
            return (self.sentence,) if self.sentence else ()
        decisive = [part for part in self.parts if self.kind == "not" or part.answer is self.answer]
        return tuple(sentence for part in decisive for sentence in part.because())

    def as_json(self) -> dict[str, Any]:
        """As the decision log keeps it."""
        told: dict[str, Any] = {"kind": self.kind, "answer": self.answer.value}
        if self.kind in _JOINED:
            return told | {"parts": [part.as_json() for part in self.parts]}
        return told | {"observed": self.observed, "sentence": self.sentence}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Trace:
        """What `as_json` wrote; for our own log, not for strangers."""
        parts = tuple(cls.from_json(part) for part in told.get("parts", ()))
        return cls(told["kind"], Answer(told["answer"]), told.get("observed"), told.get("sentence", ""), parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says of one order, and why."""

    trace: Trace

    @property
    def answer(self) -> Answer:
        return self.trace.answer

    @property
    def applies(self) -> bool:
        """Whether the rule is true; unknown does not apply."""
        return self.trace.answer is Answer.TRUE

    @property
    def because(self) -> tuple[str, ...]:
        """The sentences that decided."""
        return self.trace.because()


def evaluate(rule: Rule, facts: RuleFacts) -> Verdict:
    """Ask every condition, also those that can no longer change the answer: the log tells all that was seen."""
    return Verdict(_ask(rule, facts))


def _ask(rule: Rule, facts: RuleFacts) -> Trace:
    if not isinstance(rule, AllOf | AnyOf | Not):
        return Trace(kind_of(rule), *rule.ask(facts))
    kind = _KIND[type(rule)]
    parts = tuple(_ask(part, facts) for part in rule.parts)
    return Trace(kind, _JOINED[kind]([part.answer for part in parts]), parts=parts)


def replayed(trace: Trace) -> Answer:
    """The answer that follows from what the conditions of a stored trace said."""
    if trace.kind not in _JOINED:
        return trace.answer
    return _JOINED[trace.kind]([replayed(part) for part in trace.parts])


def _all(answers: Iterable[Answer]) -> Answer:
    found = set(answers)
    if Answer.FALSE in found:
        return Answer.FALSE
    return Answer.UNKNOWN if Answer.UNKNOWN in found else Answer.TRUE


def _not(answers: Iterable[Answer]) -> Answer:
    (answer,) = answers
    return {Answer.TRUE: Answer.FALSE, Answer.FALSE: Answer.TRUE}.get(answer, Answer.UNKNOWN)


def _any(answers: Iterable[Answer]) -> Answer:
    return _not([_all(_not([answer]) for answer in answers)])


_KIND = {AllOf: "all", AnyOf: "any", Not: "not"}
_JOINED = {"all": _all, "any": _any, "not": _not}


# Choosing between rules


class Specificity(NamedTuple):
    """How narrowly a rule aims; larger is narrower, compared from left to right.

    Parts of an AND add up; an OR is as narrow as the widest of its parts; of NOT the opposite is measured, by De
    Morgan. What is ruled out (`none of`, NOT) narrows little and counts as ``others``, whatever it names.
    """

    products: int = 0
    """Conditions that ask for a product, in the order or bought before."""
    groups: int = 0
    """That ask for a category, or for a variant of a parent product."""
    others: int = 0


def specificity(rule: Rule) -> Specificity:
    """Which of two campaigns of one priority speaks: the one whose rule is narrower."""
    return _specificity(rule, wanted=True)


def _specificity(rule: Rule, *, wanted: bool) -> Specificity:
    if isinstance(rule, Not):
        return _specificity(rule.part, wanted=not wanted)
    if isinstance(rule, AllOf | AnyOf):
        parts = [_specificity(part, wanted=wanted) for part in rule.parts]
        if isinstance(rule, AllOf) is wanted:
            return Specificity(*map(sum, zip(*parts, strict=True))) if parts else Specificity()
        return min(parts, default=Specificity())
    if isinstance(rule, Has) and (rule.how is not How.NONE) is wanted:
        if rule.field in ("sku", "bought_sku"):
            return Specificity(products=1)
        if rule.field in ("category", "variant_of", "bought_category"):
            return Specificity(groups=1)
    return Specificity(others=1)


class Key(NamedTuple):
    """Something an order holds or not: a ``sku``, a ``category`` or what it is a ``variant_of``."""

    field: str
    value: str


def keys(rule: Rule) -> frozenset[Key] | None:
    """A set of which an order needs at least one for the rule to be true; None where it needs none of any.

    For an index: of a thousand campaigns only those are asked that have a key of the order, or need none.
    """
    return _keys(rule, wanted=True)


def _keys(rule: Rule, *, wanted: bool) -> frozenset[Key] | None:
    if isinstance(rule, Not):
        return _keys(rule.part, wanted=not wanted)
    if isinstance(rule, AllOf | AnyOf):
        parts = [_keys(part, wanted=wanted) for part in rule.parts]
        named = [part for part in parts if part is not None]
        if isinstance(rule, AllOf) is wanted:  # the keys of any one part will do: take the fewest
            return min(named, key=lambda part: (len(part), sorted(part)), default=None)
        return frozenset(key for part in named for key in part) if len(named) == len(parts) else None
    if not isinstance(rule, Has) or rule.field not in CONTENTS or (rule.how is How.NONE) is wanted:
        return None
    values = (min(rule.values),) if rule.how is How.ALL else rule.values
    return frozenset(Key(rule.field, value) for value in values)


def keys_of(facts: RuleFacts) -> frozenset[Key]:
    """AllOf keys of an order."""
    return frozenset(Key(field, value) for field, (_, at) in CONTENTS.items() for value in facts.pieces(at)[0])


# JSON


def to_json(rule: Rule) -> dict[str, Any]:
    """A rule as it is stored and kept in git; `from_json` reads it back."""
    if isinstance(rule, Not):
        return {"not": to_json(rule.part)}
    if isinstance(rule, AllOf | AnyOf):
        return {_KIND[type(rule)]: [to_json(part) for part in rule.parts]}
    return {kind_of(rule): rule.as_json()}


def from_json(value: Any) -> Rule:
    """A rule from JSON values that anybody may have written.

    Raises:
        InvalidInput: With the path to what is wrong, such as ``all[1].not.sku``, and what would be right.
    """
    return _read(value, path="", depth=1)


def _read(value: Any, *, path: str, depth: int) -> Rule:
    with _at(path):
        if depth > MAX_DEPTH:
            raise InvalidInput(f"a rule may be nested {MAX_DEPTH} deep at most.")
        if not isinstance(value, Mapping) or len(value) != 1:
            raise InvalidInput(f"needs an object with one field, its kind, got {short(value)}.")
        ((kind, content),) = value.items()
        if kind not in _JOINED and kind not in READERS:
            raise InvalidInput(f"does not know {short(kind)}; it knows {', '.join([*_JOINED, *READERS])}.")
    here = f"{path}.{kind}" if path else kind
    if kind == "not":
        return Not(_read(content, path=here, depth=depth + 1))
    if kind in READERS:
        with _at(here):
            return READERS[kind](kind, content)
    with _at(here):
        if not isinstance(content, list | tuple) or len(content) > MAX_CONDITIONS:
            raise InvalidInput(f"needs a list of at most {MAX_CONDITIONS} parts, got {short(content)}.")
    parts = tuple(_read(part, path=f"{here}[{i}]", depth=depth + 1) for i, part in enumerate(content))
    with _at(here):
        return AllOf(parts) if kind == "all" else AnyOf(parts)


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Put the path in front of what is refused."""
    try:
        yield
    except InvalidInput as refusal:
        raise InvalidInput(f"{path or 'rule'}: {refusal}") from None

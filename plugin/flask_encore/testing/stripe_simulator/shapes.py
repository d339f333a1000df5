"""Are these parameters Stripe's? Asked of the SDK's own TypedDicts, so always in step with its version.

The one module of the simulator that imports ``stripe`` (and pydantic), and only when it is asked.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
from collections.abc import Mapping
from typing import Any, Protocol

from flask_encore.testing.stripe_simulator.errors import Json, StripeError, invalid

#: Names the SDK's request options mention but import only while types are checked.
_ONLY_FOR_TYPE_CHECKERS = {"StripeContext": str, "Mapping": Mapping}


class ShapeChecker(Protocol):
    """Refuses parameters Stripe does not know."""

    def check(self, shape: str, params: Json, *, version: str | None) -> None:
        """Raise `StripeError` 400 when `params` do not fit the TypedDict named `shape`.

        Requests in another API `version` than the SDK's own pass: its types do not describe them.
        """
        ...


@functools.cache
def load() -> ShapeChecker | None:
    """A checker; None when pydantic is missing or the SDK is too old to ship ``stripe.params``."""
    try:
        pydantic = importlib.import_module("pydantic")
        params = importlib.import_module("stripe.params")
    except ImportError:
        return None
    return _PydanticChecker(pydantic, params)


class _PydanticChecker:
    """One adapter per TypedDict, built when first needed."""

    def __init__(self, pydantic: Any, params: Any) -> None:
        self._pydantic = pydantic
        self._params = params
        self._adapters: dict[str, Any] = {}
        # The SDK's parameter classes inherit its per-request options; on the wire those are headers.
        sdk = importlib.import_module("stripe")
        self._options = frozenset(sdk.RequestOptions.__annotations__)
        self._version = sdk.api_version
        self._building = threading.Lock()

    def check(self, shape: str, params: Json, *, version: str | None) -> None:
        if version not in (None, self._version):
            return
        for name in params:
            if name in self._options:
                raise _unknown(name)
        adapter = self._adapters.get(shape)
        if adapter is None:
            with self._building:
                adapter = self._adapters.get(shape) or self._build(shape)
        try:
            adapter.validate_python(params)
        except self._pydantic.ValidationError as error:
            # Inside a union every arm complains; an unknown name is the complaint that helps.
            problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
            raise _explain(problems[0]) from None

    def _build(self, shape: str) -> Any:
        holder = self._params
        *packages, name = shape.split(".")
        for package in packages:
            holder = importlib.import_module(f"{holder.__name__}.{package}")
        typed_dict = getattr(holder, name)
        module = sys.modules[typed_dict.__module__]
        config = self._pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True)
        for value in vars(module).values():
            if isinstance(value, type) and hasattr(value, "__total__"):
                value.__pydantic_config__ = config  # type: ignore[attr-defined]
        adapter = self._pydantic.TypeAdapter(typed_dict, _parent_depth=0)
        adapter.rebuild(force=True, _types_namespace={**vars(module), **_ONLY_FOR_TYPE_CHECKERS})
        self._adapters[shape] = adapter
        return adapter


def _explain(problem: Any) -> StripeError:
    steps = [str(step) for step in problem["loc"]]
    # Arms of a union appear in the path with the name of a type; a parameter never has those marks.
    steps = [step for step in steps if not any(mark in step for mark in "[(,") and not step[:1].isupper()]
    name = steps[0] + "".join(f"[{step}]" for step in steps[1:]) if steps else ""
    if problem["type"] == "extra_forbidden":
        return _unknown(name)
    if problem["type"] == "missing":
        return invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    if problem["type"].startswith("int_"):
        message = f"Invalid integer: {problem['input']}"
        return invalid(message, param=name, code="parameter_invalid_integer")
    return invalid(f"Invalid {name}: {problem['msg']}", param=name)


def _unknown(name: str) -> StripeError:
    return invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")

"""What every route says of itself: who may use it. A route that says nothing is refused by a test.

A policy stands on the view it is for, so that whoever reads the view reads it too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, g

from flask_encore.domain.rights import Right

View = TypeVar("View", bound=Callable[..., Any])

#: Where a view keeps its policy.
ATTRIBUTE = "encore_policy"

#: What the present actor lacks is answered by whoever draws the page.
Refusal = Callable[[Right], Any]


def needs(right: Right, refusal: Refusal) -> Callable[[View], View]:
    """Let in whom the guard gave *right*; everybody else gets what *refusal* answers. Place it outermost."""

    def wrap(view: View) -> View:
        @wraps(view)
        def answer(**arguments: Any) -> Any:
            return view(**arguments) if right in g.encore_rights else refusal(right)

        setattr(answer, ATTRIBUTE, right.value)
        return answer  # type: ignore[return-value]

    return wrap


def open_to(whom: str) -> Callable[[View], View]:
    """Say who may use a route that no guard stands before, such as ``"the holder of the offer's signed token"``."""

    def wrap(view: View) -> View:
        setattr(view, ATTRIBUTE, whom)
        return view

    return wrap


class Room(Blueprint):
    """A blueprint that says of its assets, too, who may have them."""

    @open_to("everybody: assets hold nothing of the shop's")
    def send_static_file(self, filename: str) -> Response:
        """An asset."""
        return super().send_static_file(filename)


def policy_of(view: Callable[..., Any]) -> str | None:
    """What *view* says of itself; ``None`` when it says nothing."""
    return getattr(view, ATTRIBUTE, None)

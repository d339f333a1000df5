"""The two switches for everything at once, each asked once more before it is turned."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g

from flask_encore.domain.rights import Right
from flask_encore.services import switching
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import ask, changes_something, is_sealed, message, needs, on_database, see, url

#: Switch and what it is turned to -> what the page that asks says: question, what happens, the button.
SWITCHES = {
    ("off", True): (
        "Stop all offers?",
        "Within a second no thank-you page shows an offer, and offers that are on screen cannot be accepted any more. "
        "What was charged already stays charged. You can turn offers on again at any time.",
        "Stop all offers",
    ),
    ("off", False): (
        "Turn offers on again?",
        "Pages opened from now on get their offers; orders that were refused one meanwhile stay without.",
        "Turn offers on",
    ),
    ("shadow", True): (
        "Turn shadow mode on?",
        "Offers are decided and written down as always, and shown to nobody. Use it to watch what would be offered.",
        "Turn shadow mode on",
    ),
    ("shadow", False): (
        "Turn shadow mode off?",
        "From now on shoppers see the offers that are decided for them.",
        "Turn shadow mode off",
    ),
}


def add_to(blueprint: Blueprint) -> None:
    """One page for each way a switch can be turned."""
    blueprint.get("/dashboard/switches/<switch>/<turned>")(ask_switch)
    blueprint.post("/dashboard/switches/<switch>/<turned>")(turn_switch)


@needs(Right.EDIT)
@on_database
def ask_switch(switch: str, turned: str) -> Response:
    """Ask once more. Changes nothing."""
    asked = _switch(switch, turned)
    return _no_such_switch() if asked is None else ask(*SWITCHES[asked], stale=False, danger=asked == ("off", True))


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was changed")
def turn_switch(switch: str, turned: str) -> Response:
    """Turn a switch. A second click finds it turned."""
    asked = _switch(switch, turned)
    if asked is None:
        return _no_such_switch()
    if not is_sealed():
        return ask(*SWITCHES[asked], stale=True, danger=asked == ("off", True))
    name, on = asked
    values: dict[str, Any] = {name: on}
    switching.turn(state().runtime, actor=g.encore_actor, **values)
    return see(url("campaigns"))


def _switch(switch: str, turned: str) -> tuple[str, bool] | None:
    found = (switch, turned == "on")
    return found if turned in {"on", "off"} and found in SWITCHES else None


def _no_such_switch() -> Response:
    return message(404, "There is no such switch", "Nothing was changed. There are two: all offers, and shadow mode.")

"""How the shop is, line by line, each with its fix; one sentence at the top sums it up. Changes nothing."""

from __future__ import annotations

from flask import Blueprint, Response

from flask_encore.domain.rights import Right
from flask_encore.services import checkup
from flask_encore.services.checkup import Checkup
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import needs, on_database, page
from flask_encore.web.dashboard_words import Tone

HERE = "health"

#: Severity of a finding -> its word, its colour.
SEVERITIES = {
    "ok": ("Fine", Tone.GOOD),
    "warning": ("Look", Tone.WAIT),
    "problem": ("Broken", Tone.BAD),
}


def add_to(blueprint: Blueprint) -> None:
    """The one page."""
    blueprint.get("/dashboard/health")(health)


@needs(Right.READ)
@on_database
def health() -> Response:
    """Everything that can be told without asking Stripe."""
    app = state()
    found = checkup.checkup(
        app.runtime,
        guarded=app.admin_guard is not None,
        is_working=app.worker.is_alive,
    )
    sentence, tone = summed_up(found)
    return page("health.html", here=HERE, checkup=found, sentence=sentence, tone=tone, severities=SEVERITIES)


def summed_up(found: Checkup) -> tuple[str, Tone]:
    """The whole page in a sentence."""
    broken, looks = found.how_many("problem"), found.how_many("warning")
    if broken:
        rest = f", and {_things(looks)} a look" if looks else ""
        return (f"{broken} {'thing is' if broken == 1 else 'things are'} broken{rest}.", Tone.BAD)
    if looks:
        return (f"Nothing is broken; {_things(looks)} a look.", Tone.WAIT)
    return ("Everything is fine.", Tone.GOOD)


def _things(looks: int) -> str:
    return "1 thing wants" if looks == 1 else f"{looks} things want"

"""The merchant's campaigns: the list, and what a button does to one of them."""

from __future__ import annotations

from babel.dates import format_datetime
from flask import Blueprint, Response, g, request

from flask_encore.domain.campaigns import BUILT_IN, MAX_NAME, Campaign, CampaignState, CampaignStatus
from flask_encore.domain.rights import Right
from flask_encore.services import campaign_doubts, campaign_figures, campaigning
from flask_encore.services.campaign_figures import Figures
from flask_encore.services.campaign_schema import CampaignRefused
from flask_encore.services.campaigning import Conflict, NotFound, Saved
from flask_encore.services.runtime import Runtime
from flask_encore.web import campaign_tables, campaign_words
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import (
    ask,
    changes_something,
    is_sealed,
    message,
    needs,
    on_database,
    page,
    see,
    url,
)
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.downloads import offered

#: Campaigns on one page of the list; each is asked for its doubts.
LIST_PAGE = 50

#: What a campaign in each status can be made by one click; ending it for good is asked once more.
BUTTONS = {
    CampaignStatus.DRAFT: (CampaignStatus.LIVE,),
    CampaignStatus.LIVE: (CampaignStatus.PAUSED, CampaignStatus.ENDED),
    CampaignStatus.PAUSED: (CampaignStatus.LIVE, CampaignStatus.ENDED),
    CampaignStatus.ENDED: (),
}

#: The order in which the list shows campaigns.
_STATES = (
    CampaignState.LIVE,
    CampaignState.SCHEDULED,
    CampaignState.PAUSED,
    CampaignState.DRAFT,
    CampaignState.ENDED,
)

NOT_CHANGED = "Nothing was changed"
NO_DRAFT = "Only drafts can be deleted: orders were decided by this campaign. End it instead."


def add_to(blueprint: Blueprint) -> None:
    """The routes below ``/dashboard/campaigns``. What belongs to one campaign has a slash after its ref, so that no
    ref can hide a page: ``campaigns/new`` is the form, ``campaigns/new/`` the campaign called new."""
    blueprint.get("/dashboard/campaigns/")(campaigns)
    blueprint.get("/dashboard/campaigns/<ref>/status/<status>")(ask_status)
    blueprint.post("/dashboard/campaigns/<ref>/status/<status>")(set_status)
    blueprint.get("/dashboard/campaigns/<ref>/duplicate")(ask_duplicate)
    blueprint.post("/dashboard/campaigns/<ref>/duplicate")(duplicate)
    blueprint.get("/dashboard/campaigns/<ref>/delete")(ask_delete)
    blueprint.post("/dashboard/campaigns/<ref>/delete")(delete)


# The list


@needs(Right.READ)
@on_database
def campaigns() -> Response:
    """Every campaign, how it stands and what it did lately."""
    rt = state().runtime
    saved = campaigning.listed(rt)
    everything = [one.campaign for one in saved]
    wanted = request.args.get("q", "").strip()[:MAX_NAME]
    found = [
        (campaign.state(rt.clock(), zone=rt.settings.zone), campaign)
        for campaign in everything
        if wanted.casefold() in f"{campaign.name} {campaign.ref}".casefold()
    ]
    found.sort(key=lambda pair: (_STATES.index(pair[0]), pair[1].precedence))
    figures = campaign_figures.figures(rt)
    answer = offered(campaign_tables.campaigns(found, figures, built_in=not wanted))
    if answer is not None:
        return answer
    number = version_of(request.args.get("page", "1")) or 1
    first = (number - 1) * LIST_PAGE
    return page(
        "campaigns.html",
        here="campaigns",
        rows=[
            {
                "campaign": campaign,
                "state": how,
                "figures": figures.get(campaign.ref, Figures()),
                "doubts": doubts_of(rt, campaign, everything),
                "buttons": BUTTONS[campaign.status],
            }
            for how, campaign in found[first : first + LIST_PAGE]
        ],
        any_campaign=bool(saved),
        wanted=wanted,
        many=len(saved) > LIST_PAGE,
        newer=number - 1 if number > 1 else None,
        older=number + 1 if len(found) > first + LIST_PAGE else None,
        built_in=figures.get(BUILT_IN, Figures()),
        told=_told(saved),
        wall=lambda moment: format_datetime(moment, "d MMM y, HH:mm", locale="en"),
        campaign_words=campaign_words,
    )


def _told(saved: list[Saved]) -> tuple[str, Tone] | None:
    """What the last click did, read from how things stand and not from the address."""
    deleted = request.args.get("deleted", "")
    by_ref = {one.campaign.ref: one.campaign for one in saved}
    if deleted and deleted not in by_ref:
        return (f"The draft “{deleted[:64]}” is deleted.", Tone.GOOD)
    changed = by_ref.get(request.args.get("changed", ""))
    if changed is None:
        return None
    tone = Tone.GOOD if changed.status is CampaignStatus.LIVE else Tone.PLAIN
    return (f"“{changed.name}” {campaign_words.MOVED[changed.status]}.", tone)


# One campaign


@needs(Right.EDIT)
@on_database
def ask_status(ref: str, status: str) -> Response:
    """Ask once more. Changes nothing."""
    saved, wanted = find(state().runtime, ref), _status(status)
    if saved is None or wanted is None:
        return no_such_campaign()
    return _ask_status(saved, wanted)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
def set_status(ref: str, status: str) -> Response:
    """Set a campaign live, pause it or end it. A second click finds it done."""
    rt = state().runtime
    saved, wanted = find(rt, ref), _status(status)
    if saved is None or wanted is None:
        return no_such_campaign()
    if not is_sealed():
        return _ask_status(saved, wanted, stale=True)
    try:
        campaigning.set_status(rt, ref, wanted, actor=g.encore_actor)
    except NotFound:
        return no_such_campaign()
    except CampaignRefused as refusal:
        return message(409, NOT_CHANGED, f"“{saved.campaign.name}”: {' '.join(refusal.sentences())}")
    return see(url("campaigns", changed=ref))


def _ask_status(saved: Saved, wanted: CampaignStatus, *, stale: bool = False) -> Response:
    name = saved.campaign.name
    question, what, button = {
        CampaignStatus.LIVE: (f"Set “{name}” live?", "It is offered from its start to its end.", "Set live"),
        CampaignStatus.PAUSED: (
            f"Pause “{name}”?",
            "Nobody is offered it until you set it live again. Offers on screen stay until they expire.",
            "Pause",
        ),
        CampaignStatus.ENDED: (
            f"End “{name}” for good?",
            "It stays in the reports and is never offered again. To offer it once more, duplicate it; to stop it only "
            "for a while, pause it.",
            "End for good",
        ),
    }.get(wanted, ("", "", ""))
    if not question:
        return message(409, NOT_CHANGED, "A campaign that was live does not become a draft again; duplicate it.")
    return ask(question, what, button, stale=stale, danger=wanted is CampaignStatus.ENDED)


@needs(Right.EDIT)
@on_database
def ask_duplicate(ref: str) -> Response:
    """Ask for the copy's ref. Changes nothing."""
    saved = find(state().runtime, ref)
    return no_such_campaign() if saved is None else _ask_duplicate(saved, f"{ref[:59]}-copy")


@needs(Right.EDIT)
@on_database
@changes_something(NOT_CHANGED)
def duplicate(ref: str) -> Response:
    """Copy a campaign into a draft."""
    rt = state().runtime
    saved, new_ref = find(rt, ref), request.form.get("ref", "").strip()
    if saved is None:
        return no_such_campaign()
    if not is_sealed():
        return _ask_duplicate(saved, new_ref, stale=True)
    try:
        made = campaigning.duplicate(rt, ref, new_ref=new_ref, actor=g.encore_actor)
    except NotFound:
        return no_such_campaign()
    except Conflict:
        return _ask_duplicate(saved, new_ref, refusal="There is a campaign with this ref already.")
    except CampaignRefused as refusal:
        told = refusal.errors.get("ref") or refusal.sentences()
        return _ask_duplicate(saved, new_ref, refusal=campaign_words.sentence(told[0]))
    return see(url("edit_campaign", ref=made.campaign.ref, saved="yes"))


def _ask_duplicate(saved: Saved, new_ref: str, *, refusal: str = "", stale: bool = False) -> Response:
    return page(
        "campaign_duplicate.html",
        status=403 if stale else 409 if refusal else 200,
        here="campaigns",
        campaign=saved.campaign,
        new_ref=new_ref,
        refusal=refusal,
        stale=stale,
    )


@needs(Right.EDIT)
@on_database
def ask_delete(ref: str) -> Response:
    """Ask once more. Changes nothing."""
    saved = find(state().runtime, ref)
    return no_such_campaign() if saved is None else _ask_delete(saved)


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was deleted")
def delete(ref: str) -> Response:
    """Delete a draft: the one that was on the page, and not what somebody made of it meanwhile."""
    rt = state().runtime
    saved = find(rt, ref)
    if saved is None:
        return no_such_campaign()
    if not is_sealed():
        return _ask_delete(saved, stale=True)
    try:
        campaigning.remove(rt, ref, actor=g.encore_actor, expected=version_of(request.form.get("version", "")))
    except NotFound:
        return no_such_campaign()
    except Conflict as conflict:
        return message(409, "Nothing was deleted", f"{conflict} Look at it again, and delete it if you still want to.")
    except CampaignRefused:
        return message(409, "Nothing was deleted", NO_DRAFT)
    return see(url("campaigns", deleted=ref))


def _ask_delete(saved: Saved, *, stale: bool = False) -> Response:
    if saved.campaign.status is not CampaignStatus.DRAFT:
        return message(409, "Nothing was deleted", NO_DRAFT)
    return ask(
        f"Delete the draft “{saved.campaign.name}”?",
        "It was never offered to anybody. The history keeps what it was.",
        "Delete",
        stale=stale,
        danger=True,
        version=saved.version,
    )


# Shared with the editor


def find(rt: Runtime, ref: str) -> Saved | None:
    """The campaign; one that this release cannot read is as good as none."""
    try:
        return campaigning.find(rt, ref) if is_readable(ref) else None
    except CampaignRefused:
        return None


def is_readable(ref: str) -> bool:
    """Whether a database can be asked for it at all: one of them takes no NUL in a text."""
    return "\0" not in ref


def doubts_of(rt: Runtime, campaign: Campaign, everything: list[Campaign]) -> list[str]:
    """What will keep it from selling; of one that has ended nobody has to know."""
    ended = campaign.status is CampaignStatus.ENDED
    return [] if ended else campaign_doubts.doubts(rt, campaign, everything)


def no_such_campaign() -> Response:
    """Of that ref, in this account."""
    return message(404, "There is no such campaign", "Nothing was changed. The list has all there are.")


def version_of(text: str) -> int:
    """The version a form was made of; one that never is where it does not say."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def _status(status: str) -> CampaignStatus | None:
    try:
        return CampaignStatus(status)
    except ValueError:
        return None

"""The form of a campaign: written, tried on a past order, saved, and never over somebody else's work unseen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g, request

from flask_encore.domain.campaigns import MAX_NAME, CampaignStatus
from flask_encore.domain.experiments import Experiment, ExperimentStatus
from flask_encore.domain.kinds import MAX_TEXT
from flask_encore.domain.money import Money
from flask_encore.domain.orders import MAX_REF
from flask_encore.domain.rights import Right
from flask_encore.domain.wording import MAX_BODY, MAX_HEADLINE
from flask_encore.services import campaign_figures, campaigning, experimenting, previewing
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of, definition_of
from flask_encore.services.campaigning import Conflict, Saved
from flask_encore.services.previewing import OrderUnknown, Preview
from flask_encore.services.runtime import Runtime
from flask_encore.web import campaign_form, campaign_rule_form, campaign_words
from flask_encore.web.campaign_pages import doubts_of, find, no_such_campaign, version_of
from flask_encore.web.catalogues import FALLBACK
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, needs, on_database, page, see, url
from flask_encore.web.languages import language_name
from flask_encore.web.sample_card import card_of_snapshot, inert

#: What the label preview is written with: an amount that shows how decimals are written.
EXAMPLE_MINOR_UNITS = 1290

NOT_SAVED = "Nothing was saved"

#: Characters of a pair that a new campaign can begin with: two of the longest SKUs, and what is between them.
MAX_PAIR = 2 * MAX_REF + 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is in the form.

    Attributes:
        saved: The campaign as it is stored; ``None`` for a new one.
        version: Of the campaign the form was filled from, which a save must still find; ``None`` for a new one.
        errors: By field, or by group of fields.
    """

    fields: Mapping[str, str]
    saved: Saved | None = None
    version: int | None = None
    errors: Mapping[str, list[str]]
    definition: Mapping[str, Any] | None = None


def add_to(blueprint: Blueprint) -> None:
    """The routes of the form."""
    blueprint.get("/dashboard/campaigns/new")(new_campaign)
    blueprint.post("/dashboard/campaigns/new")(create_campaign)
    blueprint.post("/dashboard/campaigns/preview")(preview_new)
    blueprint.get("/dashboard/campaigns/<ref>/")(edit_campaign)
    blueprint.post("/dashboard/campaigns/<ref>/")(save_campaign)
    blueprint.post("/dashboard/campaigns/<ref>/preview")(preview_campaign)


@needs(Right.EDIT)
@on_database
def new_campaign() -> Response:
    """An empty form; with the pairs of products that were asked for in it, what the built-in offer does with them."""
    fields = campaign_form.fields_of({})
    asked = {name: request.args.get(name, "").strip()[:MAX_PAIR] for name in ("pinned", "blocked")}
    pairs = {f"complementary.{name}": text for name, text in asked.items() if text}
    if pairs:
        fields |= pairs | {"complementary.discount.percent": str(state().runtime.settings.discount_percent)}
    return _editor(Draft(fields=fields, errors={}))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def create_campaign() -> Response:
    """Save a new campaign, as a draft or live."""
    return _save(_typed(None))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def preview_new() -> Response:
    """Try a new campaign on a past order. Saves nothing."""
    return _preview(_typed(None))


@needs(Right.READ)
@on_database
def edit_campaign(ref: str) -> Response:
    """The form, filled with the stored campaign."""
    saved = find(state().runtime, ref)
    if saved is None:
        return no_such_campaign()
    definition = definition_of(saved.campaign)
    draft = Draft(
        fields=campaign_form.fields_of(definition),
        saved=saved,
        version=saved.version,
        errors={},
        definition=definition,
    )
    return _editor(draft, told=request.args.get("saved") == "yes")


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def save_campaign(ref: str) -> Response:
    """Save over the version the form was made of."""
    saved = find(state().runtime, ref)
    return no_such_campaign() if saved is None else _save(_typed(saved))


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def preview_campaign(ref: str) -> Response:
    """Try what is in the form on a past order. Saves nothing."""
    saved = find(state().runtime, ref)
    return no_such_campaign() if saved is None else _preview(_typed(saved))


def _typed(saved: Saved | None) -> Draft:
    """The form as it was sent, checked as far as it can be without saving it."""
    # Browsers send a new line as two characters, and a campaign keeps one.
    fields = {name: text.replace("\r\n", "\n") for name, text in request.form.items()}
    if saved is not None:
        fields["ref"] = saved.campaign.ref
        if fields.get("then") == "edit":
            # Nobody launches a campaign by going on with it: the form's buttons ask again.
            fields["status"] = saved.campaign.status.value
    reading = campaign_form.read(fields)
    if request.form.get("then") == "launch":
        reading.definition["status"] = CampaignStatus.LIVE.value
    errors = dict(reading.errors)
    try:
        campaign_of(reading.definition, linted=True)
    except CampaignRefused as refusal:
        errors = dict(refusal.errors) | errors
    return Draft(
        fields=fields,
        saved=saved,
        version=None if saved is None else version_of(fields.get("version", "")),
        errors=campaign_form.errors_by_field(errors, fields=fields, places=reading.places),
        definition=reading.definition,
    )


def _save(draft: Draft) -> Response:
    rt = state().runtime
    if not is_sealed():
        return _editor(draft, status=403, stale=True)
    if request.form.get("then") == "edit":
        return _editor(draft)
    if draft.errors:
        return _editor(draft, status=422)
    try:
        saved = campaigning.save(rt, draft.definition, actor=g.encore_actor, expected=draft.version)
    except CampaignRefused as refusal:
        errors = campaign_form.errors_by_field(refusal.errors, fields=draft.fields, places=())
        return _editor(_with(draft, errors), status=422)
    except Conflict as conflict:
        if draft.version is None:
            return _editor(_with(draft, {"ref": ["There is a campaign with this ref already."]}), status=409)
        return difference(draft, conflict)
    return see(url("edit_campaign", ref=saved.campaign.ref, saved="yes"))


def _with(draft: Draft, errors: Mapping[str, list[str]]) -> Draft:
    return Draft(
        fields=draft.fields, saved=draft.saved, version=draft.version, errors=errors, definition=draft.definition
    )


def difference(draft: Draft, conflict: Conflict) -> Response:
    """The difference, and what can be done about it. What was typed travels along in hidden fields."""
    if conflict.current is None:
        return no_such_campaign()
    own = {name: text for name, text in draft.fields.items() if name not in {"seal", "version", "then"}}
    # Who wanted to set it live still does.
    own["status"] = (draft.definition or {}).get("status", "draft")
    return page(
        "campaign_conflict.html",
        status=409,
        here="campaigns",
        current=conflict.current,
        changes=conflict.changes,
        fields=own,
        as_text=campaign_words.as_text,
        campaign_words=campaign_words,
    )


def _preview(draft: Draft) -> Response:
    if not is_sealed():
        return _editor(draft, status=403, stale=True)
    order_ref = request.form.get("order_ref", "").replace("\0", "").strip()[:200]
    if draft.errors:
        return _editor(draft, status=422)
    if not order_ref:
        return _editor(_with(draft, {"order_ref": ["Name an order to try the campaign on."]}), status=422)
    try:
        return _editor(draft, preview=previewing.preview(state().runtime, draft.definition, order_ref))
    except OrderUnknown as refusal:
        return _editor(_with(draft, {"order_ref": [str(refusal)]}), status=422)


def _editor(
    draft: Draft, *, status: int = 200, told: bool = False, stale: bool = False, preview: Preview | None = None
) -> Response:
    rt = state().runtime
    saved = draft.saved
    everything = [one.campaign for one in campaigning.listed(rt)]
    newest = campaign_figures.newest_order(rt)
    currency = newest.currency if newest else "eur"
    return page(
        "campaign_editor.html",
        status=status,
        here="campaigns",
        fields=draft.fields,
        errors=draft.errors,
        saved=saved,
        version=draft.version,
        campaign=saved.campaign if saved else None,
        campaign_state=saved.campaign.state(rt.clock(), zone=rt.settings.zone) if saved else None,
        told=told and saved is not None,
        on_trial=_on_trial(rt, saved),
        stale=stale,
        doubts=doubts_of(rt, saved.campaign, everything) if saved else [],
        others=[one for one in everything if saved is None or one.ref != saved.campaign.ref],
        order_ref=draft.fields.get("order_ref") or (newest.order_ref if newest else ""),
        example=Money(EXAMPLE_MINOR_UNITS, currency),
        currency=currency,
        copies=_copies(draft.fields, Money(EXAMPLE_MINOR_UNITS, currency)),
        preview=preview,
        preview_card=_card(preview),
        campaign_words=campaign_words,
        rule_form=campaign_rule_form,
        rule_reference=[
            (kind, campaign_words.CONDITIONS[kind], campaign_words.as_line({kind: value}))
            for kind, value in campaign_rule_form.EXAMPLES.items()
        ],
        most={"name": MAX_NAME, "headline": MAX_HEADLINE, "body": MAX_BODY, "text": MAX_TEXT},
    )


def _on_trial(rt: Runtime, saved: Saved | None) -> Experiment | None:
    """The experiment that runs about the campaign."""
    if saved is None:
        return None
    running = (one.experiment for one in experimenting.listed(rt) if one.status is ExperimentStatus.RUNNING)
    return next((one for one in running if one.campaign == saved.campaign.ref), None)


def _card(preview: Preview | None) -> Any:
    if preview is None or preview.card is None or preview.total is None:
        return None
    app = state()
    card = card_of_snapshot(app, preview.card, order_ref=preview.order_ref, currency=preview.total.currency)
    return inert(app, card)


def _copies(fields: Mapping[str, str], example: Money) -> list[dict[str, Any]]:
    """One entry for each language we speak and each the campaign has words in, with its locked labels."""
    catalogues = state().catalogues
    written = {name.split(".")[1] for name, text in fields.items() if name.startswith("copy.") and text}
    spoken = {name.replace("_", "-") for name in catalogues.sentences}
    found = []
    for language in [FALLBACK, *sorted((spoken | written) - {FALLBACK, "new"})]:
        say = catalogues.phrases_for(language)
        found.append(
            {
                "language": language,
                "name": language_name(language),
                "direction": say.direction,
                "total": say.money(example),
                "accept": say.accept_label(example),
                "decline": say("decline"),
                "written": language in written,
                "spoken": say.language,
            }
        )
    return found

"""One pair of products: what the model saw of it, and the merchant's word on it, kept in a campaign."""

from __future__ import annotations

from flask import Blueprint, Response, g, request

from flask_encore.domain.orders import MAX_REF
from flask_encore.domain.rights import Right
from flask_encore.services import campaigning, pairing, recommender
from flask_encore.services.campaign_schema import CampaignRefused
from flask_encore.services.campaigning import Conflict, Saved
from flask_encore.services.pairing import Word
from flask_encore.web import campaign_editor, campaign_form, campaign_words
from flask_encore.web.campaign_pages import no_such_campaign, version_of
from flask_encore.web.current import state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, message, needs, on_database, page, see, url
from flask_encore.web.recommender_page import HERE, evidence

NOT_SAVED = "Nothing was saved"


def add_to(blueprint: Blueprint) -> None:
    """The page, and what its form does."""
    blueprint.get("/dashboard/recommender/pair")(pair_of_products)
    blueprint.post("/dashboard/recommender/pair")(save_pair)


@needs(Right.READ)
@on_database
def pair_of_products() -> Response:
    """The pair, the campaigns that can take it, and the way to a new one. Changes nothing."""
    asked = _pair()
    return _no_pair() if asked is None else _page(*asked)


@needs(Right.EDIT)
@on_database
@changes_something(NOT_SAVED)
def save_pair() -> Response:
    """Add the pair to a campaign, over the version that was on the page. A second click finds it there."""
    rt = state().runtime
    asked, chosen = _pair(), _chosen()
    if asked is None:
        return _no_pair()
    if not is_sealed():
        return _page(*asked, status=403, stale=True)
    ref = request.form.get("campaign", "")
    saved = next((one for one in pairing.campaigns(rt) if one.campaign.ref == ref), None)
    if chosen is None or not ref:
        return _page(*asked, status=422, refusal="Choose what is to happen, and in which campaign.")
    if saved is None:
        return no_such_campaign()
    word, backwards = chosen
    sku, other = reversed(asked) if backwards else asked
    definition = pairing.saying(saved.campaign, word, sku, other)
    version = version_of(request.form.get(f"version.{ref}", ""))
    try:
        campaigning.save(rt, definition, actor=g.encore_actor, expected=version)
    except CampaignRefused as refusal:
        told = campaign_words.sentence(refusal.sentences()[0])
        return _page(*asked, status=422, refusal=f"“{saved.campaign.name}” cannot say that: {told}")
    except Conflict as conflict:
        draft = campaign_editor.Draft(
            fields=campaign_form.fields_of(definition), saved=saved, version=version, errors={}, definition=definition
        )
        return campaign_editor.difference(draft, conflict)
    return see(url("pair_of_products", sku=asked[0], other=asked[1], saved=ref))


def _pair() -> tuple[str, str] | None:
    """The two SKUs of the address; ``None`` unless they are two."""
    sku, other = (request.args.get(name, "").replace("\0", "").strip()[:MAX_REF] for name in ("sku", "other"))
    return (sku, other) if sku and other and sku != other else None


def _chosen() -> tuple[Word, bool] | None:
    """What is to be said, and whether of the pair the other way round."""
    return {
        "pin": (Word.PINNED, False),
        "pin_back": (Word.PINNED, True),
        "block": (Word.BLOCKED, False),
    }.get(request.form.get("word", ""))


def _page(sku: str, other: str, *, status: int = 200, stale: bool = False, refusal: str = "") -> Response:
    rt = state().runtime
    known = recommender.pair(rt, sku, other)
    titles = recommender.titles(rt, sku, other)
    takers = pairing.campaigns(rt)
    arrow = campaign_form.ARROW
    return page(
        "recommender_pair.html",
        status=status,
        here=HERE,
        sku=sku,
        other=other,
        title=titles.get(sku, sku),
        other_title=titles.get(other, other),
        known=known,
        evidence=evidence,
        takers=[(one, _said(one, sku, other)) for one in takers],
        chosen=request.form.get("word", ""),
        chosen_campaign=request.form.get("campaign") or (takers[0].campaign.ref if len(takers) == 1 else ""),
        told=next((one.campaign for one in takers if one.campaign.ref == request.args.get("saved")), None),
        new={
            "pin": url("new_campaign", pinned=f"{sku} {arrow} {other}"),
            "pin_back": url("new_campaign", pinned=f"{other} {arrow} {sku}"),
            "block": url("new_campaign", blocked=f"{sku} {arrow} {other}"),
        },
        stale=stale,
        refusal=refusal,
        campaign_words=campaign_words,
    )


def _said(saved: Saved, sku: str, other: str) -> list[str]:
    """What a campaign says of the pair already: of `_chosen`'s keys."""
    found = {
        "pin": pairing.says(saved.campaign, Word.PINNED, sku, other),
        "pin_back": pairing.says(saved.campaign, Word.PINNED, other, sku),
        "block": pairing.says(saved.campaign, Word.BLOCKED, sku, other),
    }
    return [name for name, is_said in found.items() if is_said]


def _no_pair() -> Response:
    return message(404, "There is no such pair", "Nothing was changed. A pair is of two different products.")

"""``flask encore explain``: why an order was offered what it was, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click
from flask.cli import with_appcontext

from flask_encore.cli.terminal import AS_JSON, runtime, told
from flask_encore.domain.campaigns import BUILT_IN
from flask_encore.services import explaining
from flask_encore.services.explaining import Campaigned, Explained, TookPart
from flask_encore.services.reasons import REASONS, refusal
from flask_encore.services.runtime import Runtime

_PAGES = {"thank_you": "thank-you page", "order_status": "order page"}

#: `Explained.is_reproduced` -> how it reads.
_AGAIN = {
    True: "the same decision",
    False: "another decision! The log does not tell the truth; please report this",
    None: "not possible, the log has no trace of it",
}


_PURGED = "not possible, its details were purged: the shop does not keep them for so long"


@click.command()
@click.argument("order_ref")
@AS_JSON
@with_appcontext
def explain(order_ref: str, as_json: bool) -> None:
    """Say why an order was offered what it was, from the decision log alone, and whether the log leads there again.

    Exit status 1 when Encore was never told of the order.
    """
    rt = runtime()
    found = explaining.explain(rt, order_ref)
    if found is None:
        raise click.ClickException(f"Encore was never told of an order {order_ref!r}. Is the ref the shop's own?")
    if as_json:
        told({"order_ref": order_ref, "decisions": [one.as_json() for one in found]})
        return
    if not found:
        click.echo(f"Nothing was decided about order {order_ref} yet: its page was not opened.")
    for place, one in enumerate(found):
        click.echo(("\n" if place else "") + "\n".join(_lines(rt, order_ref, one)))


def _lines(rt: Runtime, order_ref: str, one: Explained) -> Iterator[str]:
    at = one.decided_at.astimezone(rt.settings.zone)
    page = _PAGES.get(one.page, one.page)
    took = f"decided in {one.latency_us / 1000:.1f} ms"
    yield f"Order {order_ref}, {page}, step {one.step + 1}, {at:%Y-%m-%d %H:%M:%S %Z}, {took}"
    yield f"  {one.outcome.replace('_', ' ')}: {REASONS[one.reason]}"
    if one.total is not None:
        yield f"  {one.title}, {one.total}, by {_named(one.campaign_ref)}"
    if one.charge_status:
        yield f"  accepted; the charge: {one.charge_status.replace('_', ' ')}"
    for part in one.experiments:
        yield f"  {_part(part)}"
    if one.asked:
        yield "  Campaigns that were asked, in this order:"
        if one.asked_before:
            yield f"    {one.asked_before:,} before these, of which only the number is kept"
        for campaign in one.asked:
            yield f"    {_answer(campaign)}"
    if one.tied:
        refs = ", ".join(one.tied)
        yield f"  A tie: {refs} could have spoken as well, and the refs decided. Give one of them a higher priority."
    if one.candidates:
        yield "  Products that were weighed:"
        for entry in one.candidates:
            yield f"    {_weighed(entry)}"
    again = _PURGED if one.is_purged else _AGAIN[one.is_reproduced]
    yield f"  made again from the log: {again}"


def _named(campaign_ref: str | None) -> str:
    return "the built-in offer" if campaign_ref in {None, BUILT_IN} else str(campaign_ref)


def _answer(campaign: Campaigned) -> str:
    """A campaign's answer: that it speaks, or each reason why not."""
    if campaign.result == "chosen":
        return f"✓ {_named(campaign.ref)} speaks"
    return f"– {_named(campaign.ref)}: {'; '.join(campaign.because) or campaign.result}"


def _part(part: TookPart) -> str:
    """Which variant of an experiment it was dealt."""
    about = "the recommender's model" if part.campaign is None else _named(part.campaign)
    left = "" if part.applied else "; its change could not be made, so it was left as it is"
    counted = "" if part.is_logged else "; not counted"
    return f"experiment {part.experiment_ref} about {about}: {part.variant}{left}{counted}"


def _weighed(entry: Mapping[str, Any]) -> str:
    if refused := refusal(entry):
        return f"– {entry['sku']} {refused}"
    worth = entry.get("worth")
    return f"✓ {entry['sku']} can be offered" + (f", worth {worth:.4g}" if worth is not None else "")

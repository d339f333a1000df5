"""An offer's card as JSON, for pages that draw it themselves: all a template is given, under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

from flask import Response, json
from markupsafe import Markup

from flask_encore.domain.money import Money
from flask_encore.web.card import context_of
from flask_encore.web.contexts import OfferCard
from flask_encore.web.current import AppState
from flask_encore.web.phrases import Phrases

PROBLEM = "application/problem+json"

#: What a browser needs nothing of. A bank that reports a card stolen must not be quoted: `failure` is the sentence.
_KEPT_BACK = frozenset({"failure_code", "csp_nonce"})


def as_json(app: AppState, card: OfferCard, *, html: Markup) -> dict[str, Any]:
    """The card, the labels nobody may change, and *html*, which is the same drawn."""
    context = context_of(card, app.catalogues)
    say = context.say
    told = {
        field.name: _value(getattr(card, field.name), say) for field in fields(card) if field.name not in _KEPT_BACK
    }
    return told | {
        "labels": {"accept": say.accept_label(card.total), "decline": say("decline")},
        "failure": say(context.failure) if context.view == "failed" else None,
        "html": str(html),
    }


def problem(
    status: int, detail: str, *, code: str = "", headers: Mapping[str, str] | None = None, **more: Any
) -> Response:
    """A refusal (RFC 9457)."""
    phrase = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": phrase, "status": status, "code": code or phrase.lower().replace(" ", "_")}
    told = json.dumps(body | {"detail": detail} | more, sort_keys=False)
    return Response(f"{told}\n", status=status, mimetype=PROBLEM, headers=dict(headers or {}))


def _value(value: Any, say: Phrases) -> Any:
    match value:
        case Money():
            return {
                "amount": str(value.decimal),
                "minor": value.minor_units,
                "currency": value.currency,
                "text": say.money(value),
            }
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case tuple():
            return [_value(one, say) for one in value]
    if is_dataclass(value):
        return {field.name: _value(getattr(value, field.name), say) for field in fields(value)}
    return value

"""The settings: what a merchant may set, what is configured and where it comes from, who may do what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from flask import Blueprint, Response, current_app, g, request, url_for

from flask_encore import config
from flask_encore.config import PREFIX, Settings
from flask_encore.domain.rights import Right
from flask_encore.services import api_tokens, hooking, shop_settings
from flask_encore.services.shop_settings import Overrides, SettingsChanged
from flask_encore.web import settings_words
from flask_encore.web.current import AppState, state
from flask_encore.web.dashboard_frame import changes_something, is_sealed, needs, on_database, page, see, url
from flask_encore.web.dashboard_words import Tone
from flask_encore.web.downloads import Column, Table, offered
from flask_encore.web.languages import language_name
from flask_encore.web.phrases import CATALOGUES
from flask_encore.web.settings_words import FIELDS

#: Keys a merchant has to set before money can move, or be watched -> what each is for.
KEYS = {
    "stripe_secret_key": "Asks Stripe to charge and refund. Without it no order is eligible.",
    "stripe_publishable_key": "The bank’s check and another card, in the page.",
    "stripe_webhook_secrets": "Proves that a webhook is Stripe’s.",
    "secret_keys": "Signs the offers’ tokens and these forms.",
    "metrics_token": "Lets a monitor read the metrics.",
}

#: What is not said although a ``repr`` says it: nobody needs it to understand a shop.
_HIDDEN = {"stripe_publishable_key"}

#: Field of the form -> (setting, the key it overrides).
_OVERRIDDEN = {
    "holdout_percent": ("holdout_bp", "holdout_percent"),
    "undo_minutes": ("undo_seconds", "undo_seconds"),
    "retention_days": ("retention_days", "retention_days"),
}

#: The settings somebody saw when the form was drawn, as it sends them back: ``1250,,90``.
_LONGEST_SEEN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One key of the configuration.

    Attributes:
        value: What is in force, or that it is set, of a secret.
        source: ``default``, ``configuration`` or ``page``.
    """

    key: str
    sentence: str
    value: str
    source: str


def add_to(blueprint: Blueprint) -> None:
    """The page, and its form."""
    blueprint.get("/dashboard/settings")(settings)
    blueprint.post("/dashboard/settings")(save_settings)


@needs(Right.READ)
@on_database
def settings() -> Response:
    """The page."""
    answer = offered(_configuration())
    if answer is not None:
        return answer
    told = [("Saved. It counts in every process from the next page on.", Tone.GOOD)] if "saved" in request.args else []
    return _page(told=told)


@needs(Right.EDIT)
@on_database
@changes_something("Nothing was changed")
def save_settings() -> Response:
    """Set the three numbers; what is wrong, or was changed by somebody else meanwhile, is said and nothing is lost."""
    rt, typed = state().runtime, {name: request.form.get(name, "").strip()[:100] for name in FIELDS}
    if not is_sealed():
        stale = "This page was open for too long. Nothing was changed yet; please save again."
        return _page(status=403, typed=typed, told=[(stale, Tone.WAIT)])
    errors, wanted = {}, {}
    for name, (setting, units, sentence) in FIELDS.items():
        wanted[setting] = settings_words.number_in(typed[name], units=units) if typed[name] else None
        if typed[name] and (wanted[setting] is None or not shop_settings.is_allowed(setting, wanted[setting])):
            errors[name] = sentence
    if errors:
        return _page(status=422, typed=typed, errors=errors)
    try:
        shop_settings.change(rt, actor=g.encore_actor, wanted=Overrides(**wanted), expected=_seen())
    except SettingsChanged:
        return _page(status=409, typed=typed, told=[(_CHANGED, Tone.WAIT)])
    return see(url("settings", saved=1))


_CHANGED = (
    "Somebody else changed the settings while this page was open. Nothing of yours was saved. What is in force now "
    "stands below each field, and what you typed is still in it: save again to set it all the same."
)


def _page(
    *,
    status: int = 200,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    told: list[tuple[str, Tone]] | None = None,
) -> Response:
    app = state()
    rt = app.runtime
    overrides = shop_settings.overrides(rt)
    current, configured = shop_settings.effective(rt, asdict(overrides)), shop_settings.configured(rt)
    stored = {
        name: settings_words.typed(getattr(overrides, setting), units=n) for name, (setting, n, _) in FIELDS.items()
    }
    now = rt.clock()
    return page(
        "settings.html",
        here="settings",
        api_docs_url=lambda: url_for("encore_api.documentation"),
        status=status,
        fields=stored if typed is None else typed,
        errors=errors or {},
        told=told or [],
        seen=",".join("" if value is None else str(value) for value in asdict(overrides).values()),
        in_force=settings_words.in_force(asdict(current)),
        configured=settings_words.in_force(asdict(configured)),
        is_measuring=current.holdout_bp > 0,
        keys=[(PREFIX + name.upper(), _is_set(getattr(rt.settings, name)), told_) for name, told_ in KEYS.items()],
        rows=list(_rows(app, overrides, settings_words.in_force(asdict(current)))),
        tokens=sum(token.is_usable(now) for token in api_tokens.listed(rt)),
        webhooks=hooking.listed(rt),
        languages=_languages(app),
        rights=[(right, sentence, right in g.encore_rights) for right, sentence in settings_words.RIGHTS.items()],
    )


def _configuration() -> Table:
    app = state()
    rt = app.runtime
    overrides = shop_settings.overrides(rt)
    in_force = settings_words.in_force(asdict(shop_settings.effective(rt, asdict(overrides))))
    columns = [Column("key", "Key"), Column("value", "In force"), Column("source", "From"), Column("sentence", "What")]
    # Read now: what is configured is asked of the app, and the file is sent when the request is over.
    rows = [asdict(row) for row in _rows(app, overrides, in_force)]
    return Table(name="configuration", columns=columns, rows=rows)


def _seen() -> Overrides:
    """What the sender of the form saw; what nobody can have set when it does not say."""
    parts = request.form.get("expected", "")[:_LONGEST_SEEN].split(",")
    names = [field.name for field in fields(Overrides)]
    if len(parts) != len(names) or not all(part == "" or (part.isascii() and part.isdecimal()) for part in parts):
        return Overrides(holdout_bp=-1)
    return Overrides(**{name: int(part) if part else None for name, part in zip(names, parts, strict=True)})


def _rows(app: AppState, overrides: Overrides, in_force: Mapping[str, str]) -> Iterator[Row]:
    """Every key, with what counts and where it comes from."""
    sentences, overriding = config.keys(), {key: (setting, field) for field, (setting, key) in _OVERRIDDEN.items()}
    for item in fields(Settings):
        key, value = PREFIX + item.name.upper(), getattr(app.runtime.settings, item.name)
        told, source = _as_text(value), "default" if current_app.config.get(key) is None else "configuration"
        if not item.repr or item.name in _HIDDEN:
            told = "set" if _is_set(value) else "not set"
        elif item.name in overriding:
            setting, field = overriding[item.name]
            told, source = in_force[field], source if getattr(overrides, setting) is None else "page"
        yield Row(key=key, sentence=sentences[key][1], value=told, source=source)


def _is_set(value: Any) -> bool:
    return bool(value) and any(value)


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{endpoint}: {argument}" for endpoint, argument in value.items()) or "none"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if callable(value):
        return "a function of the shop’s"
    return "none" if value in {None, ""} else f"{value:g}" if isinstance(value, float) else str(value)


def _languages(app: AppState) -> list[tuple[str, str, str]]:
    """(tag, name, where it comes from) of every language the card speaks."""
    spoken = app.catalogues.sentences

    def source(name: str) -> str:
        if name not in CATALOGUES:
            return "your own"
        return "shipped" if spoken[name] is CATALOGUES[name] else "shipped, reworded by you"

    tags = [(name.replace("_", "-"), source(name)) for name in spoken]
    return sorted(((tag, language_name(tag), origin) for tag, origin in tags), key=lambda one: one[1])

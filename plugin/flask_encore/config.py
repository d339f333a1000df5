"""Every ``ENCORE_*`` key: its default, its unit, its check. Read once in ``init_app`` into a frozen `Settings`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from marshmallow import RAISE, Schema, ValidationError, validate, validates_schema
from marshmallow import fields as ma

from flask_encore.domain.errors import ConfigurationError
from flask_encore.domain.prices import Quoter

PREFIX = "ENCORE_"

_ZONE = "has to be an IANA time zone such as Europe/London."
_DIAL = "has to be a number from 0 to 1."
_SHARE = "has to be a percentage from 0 to 50."
_KEEP = "has to be 0 to keep everything, or a whole number of days from 30 to 36500."
_PAGES = "has to be a dict of endpoint to view argument, such as dict([('shop.thank_you', 'order_id')])."

#: Where an app keeps Encore: ``app.extensions[EXTENSION]``.
EXTENSION = "flask-encore"

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

#: Secrets shorter than this can be guessed offline from one token; 16 random bytes cannot.
MIN_SECRET_LENGTH = 16

#: More than half is no holdout any more: the smaller side of an experiment is what its interval is paid for with.
MAX_HOLDOUT_PERCENT = 50
#: Fourteen days, as long as the EU's right of withdrawal. Offer tokens live for it, so that it can be set at any time.
MAX_UNDO_SECONDS = 1_209_600
#: A month: below it a purge would take what a merchant still asks about.
MIN_RETENTION_DAYS = 30

#: The Stripe.js release that matches the pinned API version ("endive" train); Stripe forbids self-hosting it.
STRIPE_JS = "https://js.stripe.com/endive/stripe.js"
STRIPE_API = "https://api.stripe.com"


def _key(default: Any, doc: str, *, secret: bool = False) -> Any:
    """A field of `Settings`; what is *secret* is not in its ``repr``, which ends up in logs and error trackers."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"doc": doc})
    return field(default=default, repr=not secret, metadata={"doc": doc})


def _is_live(key: str) -> bool:
    return key[2:].startswith("_live_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The configuration of one app, frozen. Field ``foo`` is config key ``ENCORE_FOO``; ``doc`` is its one sentence."""

    secret_keys: tuple[str, ...] = _key(
        (), "Keys that sign offer tokens, newest first; default is SECRET_KEY, SECRET_KEY_FALLBACKS.", secret=True
    )
    database_uri: str = _key(
        "", "SQLAlchemy URL of Encore's own tables; default is SQLite in the instance folder.", secret=True
    )
    stripe_secret_key: str = _key(
        "", "Stripe secret or restricted key (sk_…, rk_…). Without it no order is eligible.", secret=True
    )
    stripe_publishable_key: str = _key("", "Stripe publishable key (pk_…), for the bank's check in the page.")
    stripe_webhook_secrets: tuple[str, ...] = _key(
        (), "Signing secrets of the webhook endpoint (whsec_…), newest first.", secret=True
    )
    stripe_account: str = _key("", "Connected account (acct_…) the orders are paid to; empty for your own.")
    stripe_api_base: str = _key(STRIPE_API, "Where Stripe is; another address only on loopback and without a live key.")
    stripe_js_url: str = _key(STRIPE_JS, "Where Stripe.js is; another address only on loopback and without a live key.")
    thank_you: Mapping[str, str] = _key(
        {}, "Endpoint of a thank-you page -> its view argument that holds the order_ref."
    )
    discount_percent: int = _key(10, "Percent off the catalogue's price, 0 to 100.")
    holdout_percent: float = _key(10.0, "Percent of shoppers who never see an offer, so that uplift can be measured.")
    order_status: Mapping[str, str] = _key(
        {}, "Endpoint of an order page -> its view argument that holds the order_ref, for offers made there."
    )
    quote: Quoter | None = _key(  # noqa: RUF009 - a field, as the others are
        None, "Function of (PaidOrder, lines of an offer) that answers a Quote: the shop's own shipping and tax."
    )
    built_in_offer: bool = _key(True, "Offer the recommender's choice where no campaign of the merchant's applies.")
    price_guard_percent: int = _key(100, "An offer costs at most this percent of the order's total.")
    profit_dial: float = _key(0.5, "From 0, the most relevant offer, to 1, the most profitable one; needs known costs.")
    explore: bool = _key(False, "Show now and then another one of the best offers, to learn which is accepted more.")
    offer_ttl_seconds: int = _key(1800, "How long an offer can be accepted, seconds.")
    undo_seconds: int = _key(1800, "How long an accepted offer can be undone and fulfilment is held, seconds.")
    retention_days: int = _key(0, "After how many days the details of old decisions are purged, days; 0 keeps them.")
    order_max_age_seconds: int = _key(86400, "An order older than this gets no offer, seconds.")
    decision_budget_ms: int = _key(300, "How long deciding may take before the page goes out without an offer, ms.")
    max_concurrent_accepts: int = _key(4, "Accepts that may wait for Stripe at one time in one process.")
    payment_method_types: tuple[str, ...] = _key(("card",), "Kinds of payment method sold to with one click.")
    model_dir: str = _key("", "Folder of the recommender's models; default is in the instance folder.")
    url_prefix: str = _key("/encore", "Where Encore's own pages live.")
    locales: str = _key("", "Folder of your own .po files, which add a language or reword one of ours.")
    time_zone: str = _key("UTC", "The shop's time zone, for 'Undo until 14:33'.")
    worker: str = _key("embedded", "'embedded' runs the sweeper in the web process, 'external' leaves it to the CLI.")
    train_at: str = _key(
        "03:00", "When 'flask encore work' trains anew, HH:MM in the shop's time zone; empty for never."
    )
    learn_minutes: int = _key(15, "How often 'flask encore work' learns new orders in between, minutes; 0 for never.")
    metrics_token: str = _key(
        "", "Bearer token that may read /encore/metrics; without it only the admin_guard lets in.", secret=True
    )
    api: bool = _key(True, "Serve the REST API under /encore/api/v1, to holders of a token of the settings page.")
    api_requests_per_minute: int = _key(600, "How often one token may ask the API, requests a minute; 0 for no limit.")
    storefront_origins: tuple[str, ...] = _key(
        (), "Origins whose pages may show offers by script, such as https://www.shop.example; none by default."
    )
    rate_limit_storage: str = _key(
        "memory://", "Where requests are counted: memory:// for each process alone, or redis://….", secret=True
    )

    @property
    def livemode(self) -> bool:
        """Whether the key moves real money."""
        return _is_live(self.stripe_secret_key)

    @property
    def zone(self) -> ZoneInfo:
        """The shop's time zone."""
        return ZoneInfo(self.time_zone)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, instance_path: str | Path, secret_key: str | bytes | None
    ) -> Settings:
        """Read and check every ``ENCORE_*`` key of *config*. One that is ``None`` is not set.

        Raises:
            ConfigurationError: Naming every wrong key at once, each with its fix.
        """
        known = keys()
        given = {
            key: value
            for key, value in config.items()
            if key.startswith(PREFIX) and (value is not None or key not in known)
        }
        problems: dict[str, str] = {}
        values: dict[str, Any] = {}
        try:
            values = _SCHEMA.load(given)
        except ValidationError as error:
            problems = {key: _sentence(key, told) for key, told in error.messages_dict.items()}
        if not given.get("ENCORE_SECRET_KEYS"):
            key = secret_key.decode("latin-1") if isinstance(secret_key, bytes) else (secret_key or "")
            older = config.get("SECRET_KEY_FALLBACKS") or ()
            values["secret_keys"] = (key, *(one.decode("latin-1") if isinstance(one, bytes) else one for one in older))
            if len(key) < MIN_SECRET_LENGTH and "ENCORE_SECRET_KEYS" not in problems:
                problems["SECRET_KEY"] = (
                    f"is {'missing' if not key else 'too short'}; set SECRET_KEY (or ENCORE_SECRET_KEYS) to at least "
                    f"{MIN_SECRET_LENGTH} random characters: python -c 'import secrets; print(secrets.token_hex(32))'"
                )
        if problems:
            lines = "\n".join(f"  {key} {told}" for key, told in sorted(problems.items()))
            raise ConfigurationError(f"Encore cannot start, its configuration is wrong:\n{lines}")
        instance = Path(instance_path)
        values["database_uri"] = values.get("database_uri") or f"sqlite:///{instance / 'encore.sqlite3'}"
        values["model_dir"] = values.get("model_dir") or str(instance / "encore-models")
        return cls(**values)


def keys() -> dict[str, tuple[Any, str]]:
    """Every config key -> (default, its one sentence), in the order of the documentation."""
    blank = Settings()
    return {PREFIX + item.name.upper(): (getattr(blank, item.name), item.metadata["doc"]) for item in fields(Settings)}


def _sentence(key: str, told: Any) -> str:
    text = " ".join(dict.fromkeys(_leaves(told)))
    if text == "Unknown field.":
        near = difflib.get_close_matches(key, keys(), n=1)
        return "is not a key of Encore" + (f"; did you mean {near[0]}?" if near else "; remove it.")
    return text


def _leaves(told: Any) -> Iterator[str]:
    """The sentences in what marshmallow tells, however deep a dict put them."""
    for inner in told.values() if isinstance(told, dict) else told:
        if isinstance(inner, str):
            yield inner
        else:
            yield from _leaves(inner)


def _always(fix: str) -> dict[str, Any]:
    """The same sentence for everything a field can find wrong."""
    return dict.fromkeys(("invalid", "null", "special", "too_large"), fix)


def _known_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(_ZONE) from error


def _keeps_or_a_month(days: int) -> None:
    if days and not MIN_RETENTION_DAYS <= days <= 36_500:
        raise ValidationError(_KEEP)


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _whole(low: int, high: int, unit: str) -> ma.Integer:
    message = f"has to be a whole number of {unit} from {low} to {high}."
    return ma.Integer(strict=True, validate=validate.Range(low, high, error=message), error_messages=_always(message))


def _text(pattern: str, fix: str) -> ma.String:
    return ma.String(validate=validate.Regexp(pattern, error=fix), error_messages=_always(fix))


class _Texts(ma.Field[tuple[str, ...]]):
    """A list of strings; one comma-separated string is taken as such a list, for environment variables."""

    def __init__(self, pattern: str, fix: str) -> None:
        super().__init__()
        self._one, self._fix = validate.Regexp(pattern, error=fix), fix

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            raise ValidationError(self._fix)
        return tuple(str(self._one(item)) for item in items)


class _Function(ma.Field[Any]):
    """Something that can be called."""

    def __init__(self, fix: str) -> None:
        super().__init__()
        self._fix = fix

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not callable(value):
            raise ValidationError(self._fix)
        return value


class _SettingsSchema(Schema):
    """The checks of `Settings`, one field per key. Messages read on from the key's name."""

    class Meta:
        unknown = RAISE

    secret_keys = _Texts(rf"(?s).{{{MIN_SECRET_LENGTH},}}\Z", f"needs keys of at least {MIN_SECRET_LENGTH} characters.")
    database_uri = _text(r"\S+\Z", "has to be a SQLAlchemy URL such as postgresql+psycopg://localhost/shop.")
    stripe_secret_key = _text(
        r"((sk|rk)_(test|live)_\w+)?\Z", "has to start with sk_test_, rk_test_, sk_live_, rk_live_."
    )
    stripe_publishable_key = _text(r"(pk_(test|live)_\w+)?\Z", "has to start with pk_test_ or pk_live_.")
    stripe_webhook_secrets = _Texts(r"whsec_\S+\Z", "has to be a list of signing secrets that start with whsec_.")
    stripe_account = _text(r"(acct_\w+)?\Z", "has to be empty or start with acct_.")
    stripe_api_base = _text(r"https?://[^\s/?#]+/?\Z", "has to be a URL without a path.")
    stripe_js_url = _text(r"https?://\S+\Z", "has to be a URL.")
    thank_you = ma.Dict(
        keys=ma.String(error_messages=_always(_PAGES)),
        values=ma.String(error_messages=_always(_PAGES)),
        error_messages=_always(_PAGES),
    )
    discount_percent = _whole(0, 100, "percent")
    holdout_percent = ma.Float(
        validate=validate.Range(0, MAX_HOLDOUT_PERCENT, error=_SHARE), error_messages=_always(_SHARE)
    )
    order_status = ma.Dict(
        keys=ma.String(error_messages=_always(_PAGES)),
        values=ma.String(error_messages=_always(_PAGES)),
        error_messages=_always(_PAGES),
    )
    quote = _Function("has to be a function of (order, lines) that answers a Quote.")
    built_in_offer = ma.Boolean(error_messages=_always("has to be true or false."))
    price_guard_percent = _whole(1, 10_000, "percent")
    profit_dial = ma.Float(validate=validate.Range(0, 1, error=_DIAL), error_messages=_always(_DIAL))
    explore = ma.Boolean(error_messages=_always("has to be true or false."))
    offer_ttl_seconds = _whole(60, 86_400, "seconds")
    undo_seconds = _whole(0, MAX_UNDO_SECONDS, "seconds")
    retention_days = ma.Integer(strict=True, validate=_keeps_or_a_month, error_messages=_always(_KEEP))
    order_max_age_seconds = _whole(60, 31_536_000, "seconds")
    decision_budget_ms = _whole(10, 10_000, "milliseconds")
    max_concurrent_accepts = _whole(1, 1_000, "accepts")
    payment_method_types = _Texts(
        r"(card|link)\Z", "can hold 'card' and 'link'; other kinds cannot be charged at once."
    )
    model_dir = _text(r"[^\0]+\Z", "has to be a folder.")
    url_prefix = _text(r"(/[\w-]*\w)+\Z", "has to start with / and not end with it, such as /encore.")
    locales = _text(r"[^\0]*\Z", "has to be a folder, or empty.")
    time_zone = ma.String(validate=_known_zone, error_messages=_always(_ZONE))
    worker = _text(r"(embedded|external)\Z", "has to be 'embedded' or 'external'.")
    train_at = _text(r"(([01]\d|2[0-3]):[0-5]\d)?\Z", "has to be a time of day such as 03:00, or empty.")
    learn_minutes = _whole(0, 10_080, "minutes")
    metrics_token = _text(
        rf"([\x21-\x7e]{{{MIN_SECRET_LENGTH},}})?\Z",
        f"needs at least {MIN_SECRET_LENGTH} printable characters without a space, or none to turn it off.",
    )

    api = ma.Boolean(error_messages=_always("has to be true or false."))
    api_requests_per_minute = _whole(0, 1_000_000, "requests")
    storefront_origins = _Texts(
        r"https?://[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?\Z",
        "has to be a list of origins in lower case, such as https://www.shop.example, without a path or a star.",
    )
    rate_limit_storage = _text(
        r"[a-z][a-z0-9+.-]*://\S*\Z", "has to be memory:// or the address of a storage such as redis://localhost:6379."
    )

    @validates_schema(skip_on_field_errors=False)
    def _together(self, data: dict[str, Any], **_: Any) -> None:
        problems: dict[str, list[str]] = {}
        live = _is_live(data.get("stripe_secret_key", ""))
        for name, official in (("stripe_api_base", STRIPE_API), ("stripe_js_url", STRIPE_JS)):
            value = data.get(name, official)
            if value.rstrip("/") == official:
                continue
            if live:
                problems[PREFIX + name.upper()] = ["cannot be changed with a live key; remove it."]
            elif not _is_loopback(value):
                problems[PREFIX + name.upper()] = [f"has to be {official} or an address on 127.0.0.1."]
        public = data.get("stripe_publishable_key", "")
        if public and data.get("stripe_secret_key") and _is_live(public) != live:
            problems["ENCORE_STRIPE_PUBLISHABLE_KEY"] = [
                "and ENCORE_STRIPE_SECRET_KEY are of different modes; use both of test or both of live."
            ]
        if problems:
            raise ValidationError(problems)


for _name, _field in _SettingsSchema._declared_fields.items():
    _field.data_key = PREFIX + _name.upper()
_SCHEMA = _SettingsSchema()

"""The configuration: read once, every wrong key named at once with its fix, no secret ever repeated."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from flask_encore.config import STRIPE_API, STRIPE_JS, Settings, _SettingsSchema, keys
from flask_encore.domain.errors import ConfigurationError

SECRET_KEY = "sixteen characters and more"


def read(*, secret_key: str | bytes | None = SECRET_KEY, **given: Any) -> Settings:
    config = {f"ENCORE_{name.upper()}": value for name, value in given.items()}
    return Settings.from_config(config, instance_path="/srv/shop/instance", secret_key=secret_key)


def problems(*, secret_key: str | bytes | None = SECRET_KEY, **given: Any) -> list[str]:
    """What is told about a wrong configuration, a line per key, without the heading."""
    with pytest.raises(ConfigurationError) as wrong:
        read(secret_key=secret_key, **given)
    heading, *lines = str(wrong.value).splitlines()
    assert heading == "Encore cannot start, its configuration is wrong:"
    return [line.strip() for line in lines]


def test_without_any_key_everything_has_its_default() -> None:
    assert read() == Settings(
        secret_keys=(SECRET_KEY,),
        database_uri="sqlite:////srv/shop/instance/encore.sqlite3",
        model_dir="/srv/shop/instance/encore-models",
        stripe_secret_key="",
        stripe_publishable_key="",
        stripe_webhook_secrets=(),
        stripe_account="",
        stripe_api_base="https://api.stripe.com",
        stripe_js_url="https://js.stripe.com/endive/stripe.js",
        thank_you={},
        discount_percent=10,
        holdout_percent=10.0,
        price_guard_percent=100,
        profit_dial=0.5,
        explore=False,
        offer_ttl_seconds=1800,
        undo_seconds=1800,
        retention_days=0,
        order_max_age_seconds=86400,
        decision_budget_ms=300,
        max_concurrent_accepts=4,
        payment_method_types=("card",),
        url_prefix="/encore",
        locales="",
        time_zone="UTC",
        worker="embedded",
        train_at="03:00",
        learn_minutes=15,
        metrics_token="",
        api=True,
        api_requests_per_minute=600,
        rate_limit_storage="memory://",
        storefront_origins=(),
    )


#: A value other than the default for each key, as a host would write it, and how it is kept.
GIVEN: dict[str, tuple[Any, Any]] = {
    "secret_keys": (["a new key of enough characters", "an old key of enough characters"],) * 2,
    "database_uri": ("postgresql+psycopg://localhost/shop",) * 2,
    "stripe_secret_key": ("rk_test_abc",) * 2,
    "stripe_publishable_key": ("pk_test_abc",) * 2,
    "stripe_webhook_secrets": ("whsec_new, whsec_old", ("whsec_new", "whsec_old")),
    "stripe_account": ("acct_1",) * 2,
    "stripe_api_base": ("http://127.0.0.1:8420",) * 2,
    "stripe_js_url": ("http://localhost:8420/stripe.js",) * 2,
    "thank_you": ({"shop.thank_you": "order_id"},) * 2,
    "discount_percent": (0, 0),
    "holdout_percent": ("12.5", 12.5),
    "order_status": ({"shop.order": "order_id"},) * 2,
    "quote": (print, print),
    "built_in_offer": ("false", False),
    "price_guard_percent": (50, 50),
    "profit_dial": ("0.25", 0.25),
    "explore": ("true", True),
    "offer_ttl_seconds": (60, 60),
    "undo_seconds": (0, 0),
    "retention_days": (30, 30),
    "order_max_age_seconds": (3600, 3600),
    "decision_budget_ms": (10, 10),
    "max_concurrent_accepts": (1, 1),
    "payment_method_types": (["card", "link"], ("card", "link")),
    "model_dir": ("models of the shop",) * 2,
    "url_prefix": ("/one-more/thing",) * 2,
    "locales": ("words of the shop",) * 2,
    "time_zone": ("Europe/London",) * 2,
    "worker": ("external",) * 2,
    "train_at": ("23:59",) * 2,
    "learn_minutes": (0, 0),
    "metrics_token": ("0123456789abcdef",) * 2,
    "api": ("false", False),
    "api_requests_per_minute": (0, 0),
    "storefront_origins": ("https://a.example, http://b:8080", ("https://a.example", "http://b:8080")),
    "rate_limit_storage": ("redis://localhost:6379/1",) * 2,
}


def test_every_key_has_a_check_a_default_and_a_sentence() -> None:
    names = [item.name for item in dataclasses.fields(Settings)]
    assert list(keys()) == [f"ENCORE_{name.upper()}" for name in names]
    assert list(GIVEN) == sorted(GIVEN, key=names.index)
    assert set(_SettingsSchema().fields) == set(GIVEN) == set(names)
    for key, (default, sentence) in keys().items():
        assert sentence.endswith(".")
        assert default is not None or key == "ENCORE_QUOTE"


@pytest.mark.parametrize(("name", "given", "kept"), [(name, *pair) for name, pair in GIVEN.items()])
def test_every_key_can_be_set(name: str, given: Any, kept: Any) -> None:
    expected = tuple(kept) if isinstance(kept, list) else kept
    assert getattr(read(**{name: given}), name) == expected
    assert getattr(read(), name) != expected


@pytest.mark.parametrize("name", GIVEN)
def test_a_key_that_is_none_is_not_set(name: str) -> None:
    """``os.environ.get`` of a variable that is not there."""
    assert read(**{name: None}) == read()


def test_every_wrong_key_is_named_at_once_with_its_fix() -> None:
    assert problems(
        secret_key="short",
        discount_percent=101,
        holdout_percent=51,
        stripe_secret_key="pk_test_abc",
        stripe_js_url="https://stripe.example/v3",
        time_zone="Europe/Londn",
        undo_second=5,
        worker="celery",
    ) == [
        "ENCORE_DISCOUNT_PERCENT has to be a whole number of percent from 0 to 100.",
        "ENCORE_HOLDOUT_PERCENT has to be a percentage from 0 to 50.",
        "ENCORE_STRIPE_JS_URL has to be https://js.stripe.com/endive/stripe.js or an address on 127.0.0.1.",
        "ENCORE_STRIPE_SECRET_KEY has to start with sk_test_, rk_test_, sk_live_, rk_live_.",
        "ENCORE_TIME_ZONE has to be an IANA time zone such as Europe/London.",
        "ENCORE_UNDO_SECOND is not a key of Encore; did you mean ENCORE_UNDO_SECONDS?",
        "ENCORE_WORKER has to be 'embedded' or 'external'.",
        "SECRET_KEY is too short; set SECRET_KEY (or ENCORE_SECRET_KEYS) to at least 16 random characters: "
        "python -c 'import secrets; print(secrets.token_hex(32))'",
    ]


#: What is told of an origin that is none.
ORIGINS = "has to be a list of origins in lower case, such as https://www.shop.example, without a path or a star."

WRONG: list[tuple[str, Any, str]] = [
    ("secret_keys", ["short"], "needs keys of at least 16 characters."),
    ("secret_keys", 16, "needs keys of at least 16 characters."),
    ("secret_keys", [SECRET_KEY, "short"], "needs keys of at least 16 characters."),
    ("database_uri", "", "has to be a SQLAlchemy URL such as postgresql+psycopg://localhost/shop."),
    ("database_uri", 5, "has to be a SQLAlchemy URL such as postgresql+psycopg://localhost/shop."),
    ("stripe_secret_key", "sk_test_", "has to start with sk_test_, rk_test_, sk_live_, rk_live_."),
    ("stripe_secret_key", "sk_test_a\n", "has to start with sk_test_, rk_test_, sk_live_, rk_live_."),
    ("stripe_secret_key", 7, "has to start with sk_test_, rk_test_, sk_live_, rk_live_."),
    ("stripe_publishable_key", "sk_test_abc", "has to start with pk_test_ or pk_live_."),
    ("stripe_webhook_secrets", "abc", "has to be a list of signing secrets that start with whsec_."),
    ("stripe_webhook_secrets", ["whsec_a", 5], "has to be a list of signing secrets that start with whsec_."),
    ("stripe_webhook_secrets", {"whsec_a"}, "has to be a list of signing secrets that start with whsec_."),
    ("stripe_account", "1", "has to be empty or start with acct_."),
    ("stripe_api_base", "api.stripe.com", "has to be a URL without a path."),
    ("stripe_api_base", "http://127.0.0.1:8420/v1", "has to be a URL without a path."),
    ("stripe_js_url", "stripe.js", "has to be a URL."),
    *(
        (
            "thank_you",
            value,
            "has to be a dict of endpoint to view argument, such as dict([('shop.thank_you', 'order_id')]).",
        )
        for value in ("shop.thank_you", ["shop.thank_you"], {"shop.thank_you": 5}, {5: "order_id"}, {"a": None})
    ),
    ("discount_percent", 10.5, "has to be a whole number of percent from 0 to 100."),
    ("discount_percent", "10", "has to be a whole number of percent from 0 to 100."),
    ("discount_percent", -1, "has to be a whole number of percent from 0 to 100."),
    ("discount_percent", True, "has to be a whole number of percent from 0 to 100."),
    ("holdout_percent", "ten", "has to be a percentage from 0 to 50."),
    ("holdout_percent", float("nan"), "has to be a percentage from 0 to 50."),
    ("holdout_percent", float("inf"), "has to be a percentage from 0 to 50."),
    ("holdout_percent", 10**400, "has to be a percentage from 0 to 50."),
    ("holdout_percent", -0.1, "has to be a percentage from 0 to 50."),
    ("profit_dial", 1.1, "has to be a number from 0 to 1."),
    ("profit_dial", float("nan"), "has to be a number from 0 to 1."),
    ("explore", "perhaps", "has to be true or false."),
    ("price_guard_percent", 0, "has to be a whole number of percent from 1 to 10000."),
    ("offer_ttl_seconds", 59, "has to be a whole number of seconds from 60 to 86400."),
    ("offer_ttl_seconds", 86_401, "has to be a whole number of seconds from 60 to 86400."),
    ("undo_seconds", -1, "has to be a whole number of seconds from 0 to 1209600."),
    ("retention_days", 29, "has to be 0 to keep everything, or a whole number of days from 30 to 36500."),
    ("retention_days", 36_501, "has to be 0 to keep everything, or a whole number of days from 30 to 36500."),
    ("retention_days", "for ever", "has to be 0 to keep everything, or a whole number of days from 30 to 36500."),
    ("order_max_age_seconds", 59, "has to be a whole number of seconds from 60 to 31536000."),
    ("decision_budget_ms", 9, "has to be a whole number of milliseconds from 10 to 10000."),
    ("max_concurrent_accepts", 0, "has to be a whole number of accepts from 1 to 1000."),
    ("payment_method_types", ["sepa_debit"], "can hold 'card' and 'link'; other kinds cannot be charged at once."),
    ("payment_method_types", 1, "can hold 'card' and 'link'; other kinds cannot be charged at once."),
    ("model_dir", "", "has to be a folder."),
    ("model_dir", "a\0b", "has to be a folder."),
    ("url_prefix", "encore", "has to start with / and not end with it, such as /encore."),
    ("url_prefix", "/encore/", "has to start with / and not end with it, such as /encore."),
    ("url_prefix", "/", "has to start with / and not end with it, such as /encore."),
    ("url_prefix", "//evil.example", "has to start with / and not end with it, such as /encore."),
    ("url_prefix", "//evil", "has to start with / and not end with it, such as /encore."),
    ("url_prefix", "/en core", "has to start with / and not end with it, such as /encore."),
    ("locales", "a\0b", "has to be a folder, or empty."),
    ("locales", ["words"], "has to be a folder, or empty."),
    ("time_zone", "", "has to be an IANA time zone such as Europe/London."),
    ("time_zone", "../../etc/passwd", "has to be an IANA time zone such as Europe/London."),
    ("time_zone", "Europe", "has to be an IANA time zone such as Europe/London."),
    ("time_zone", 1, "has to be an IANA time zone such as Europe/London."),
    ("worker", "", "has to be 'embedded' or 'external'."),
    (
        "order_status",
        "order",
        "has to be a dict of endpoint to view argument, such as dict([('shop.thank_you', 'order_id')]).",
    ),
    ("quote", "shop.quote", "has to be a function of (order, lines) that answers a Quote."),
    ("built_in_offer", "perhaps", "has to be true or false."),
    ("train_at", "3:00", "has to be a time of day such as 03:00, or empty."),
    ("train_at", "24:00", "has to be a time of day such as 03:00, or empty."),
    ("train_at", 3, "has to be a time of day such as 03:00, or empty."),
    ("learn_minutes", -1, "has to be a whole number of minutes from 0 to 10080."),
    ("learn_minutes", "15", "has to be a whole number of minutes from 0 to 10080."),
    *(
        ("metrics_token", value, "needs at least 16 printable characters without a space, or none to turn it off.")
        for value in ("0123456789abcde", "0123456789 abcdef", "0123456789abcdef\n", "0123456789abcdéf", 10**16)
    ),
    ("api", "perhaps", "has to be true or false."),
    *(
        ("storefront_origins", wrong, ORIGINS)
        for wrong in ("*", "https://*.example", "https://a.example/", "https://A.example", "a.example", "null", 5)
    ),
    ("api_requests_per_minute", -1, "has to be a whole number of requests from 0 to 1000000."),
    (
        "rate_limit_storage",
        "redis",
        "has to be memory:// or the address of a storage such as redis://localhost:6379.",
    ),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG, ids=[f"{name}={value!r:.40}" for name, value, _ in WRONG])
def test_a_wrong_value_is_told_with_its_fix(name: str, value: Any, told: str) -> None:
    assert problems(**{name: value}) == [f"ENCORE_{name.upper()} {told}"]


def test_every_key_is_tested_with_a_wrong_value() -> None:
    assert {name for name, _, _ in WRONG} == set(GIVEN)


def test_an_unknown_key_near_to_none_is_told_to_go() -> None:
    assert problems(zzzzzzzzzz=1) == ["ENCORE_ZZZZZZZZZZ is not a key of Encore; remove it."]


def test_keys_of_others_are_not_ours() -> None:
    config = {"SECRET_KEY": SECRET_KEY, "ENCORES": 1, "STRIPE_SECRET_KEY": "nonsense", "encore_worker": 1}
    assert Settings.from_config(config, instance_path="/srv", secret_key=SECRET_KEY).worker == "embedded"


@pytest.mark.parametrize(
    ("secret_key", "told"),
    [(None, "is missing"), ("", "is missing"), (b"", "is missing"), ("fifteen chars !", "is too short")],
    ids=repr,
)
def test_a_guessable_secret_is_refused(secret_key: str | bytes | None, told: str) -> None:
    [problem] = problems(secret_key=secret_key)
    assert problem.startswith(f"SECRET_KEY {told}; set SECRET_KEY (or ENCORE_SECRET_KEYS) to at least 16")


def test_sixteen_characters_are_enough_and_bytes_are_taken() -> None:
    assert read(secret_key="sixteen chars !!").secret_keys == ("sixteen chars !!",)
    assert read(secret_key=b"\xff" * 16).secret_keys == ("\xff" * 16,)


def test_own_keys_stand_in_for_the_apps() -> None:
    own = ("a new key of enough characters", "an old key of enough characters")
    assert read(secret_key=None, secret_keys=own).secret_keys == own


def test_wrong_own_keys_are_one_problem_and_not_two() -> None:
    assert problems(secret_key=None, secret_keys=["short"]) == [
        "ENCORE_SECRET_KEYS needs keys of at least 16 characters."
    ]


ADDRESSES = {"stripe_api_base": STRIPE_API, "stripe_js_url": STRIPE_JS}
each_address = pytest.mark.parametrize(("name", "official"), ADDRESSES.items())


@each_address
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.1:8420", "LOCALHOST:1"])
def test_stripe_may_be_on_this_machine(name: str, official: str, host: str) -> None:
    assert getattr(read(**{name: f"http://{host}"}), name) == f"http://{host}"
    assert getattr(read(**{name: f"http://{host}/"}), name) == f"http://{host}/"


@each_address
@pytest.mark.parametrize(
    "value",
    [
        "https://api.stripe.example",
        "http://api.stripe.com",
        "https://api.stripe.com.evil.example",
        "https://127.0.0.1.evil.example",
        "https://127.0.0.1@evil.example",
        "https://localhost:80@evil.example",
        "https://evil.example\\@127.0.0.1.evil.example",
        "https://127.0.0.2",
        "https://0.0.0.0",
        "https://[::ffff:7f00:1]",
        "https://2130706433",
        "https://localhost.",
        "https://[::1",
        "https://]",
        "https://:80",
    ],
)
def test_stripe_may_be_nowhere_else(name: str, official: str, value: str) -> None:
    assert problems(**{name: value}) == [f"ENCORE_{name.upper()} has to be {official} or an address on 127.0.0.1."]


@each_address
@pytest.mark.parametrize("key", ["sk_live_abc", "rk_live_abc"])
def test_with_a_live_key_stripe_is_where_stripe_is(name: str, official: str, key: str) -> None:
    assert problems(stripe_secret_key=key, **{name: "http://127.0.0.1:8420"}) == [
        f"ENCORE_{name.upper()} cannot be changed with a live key; remove it."
    ]
    assert getattr(read(stripe_secret_key=key, **{name: official}), name) == official


@pytest.mark.parametrize(
    ("secret", "publishable"), [("sk_live_a", "pk_test_a"), ("sk_test_a", "pk_live_a"), ("rk_live_a", "pk_test_a")]
)
def test_keys_are_of_one_mode(secret: str, publishable: str) -> None:
    assert problems(stripe_secret_key=secret, stripe_publishable_key=publishable) == [
        "ENCORE_STRIPE_PUBLISHABLE_KEY and ENCORE_STRIPE_SECRET_KEY are of different modes; "
        "use both of test or both of live."
    ]


def test_a_publishable_key_alone_is_of_either_mode() -> None:
    assert read(stripe_publishable_key="pk_live_a").stripe_publishable_key == "pk_live_a"


@pytest.mark.parametrize(
    ("key", "live"),
    [("", False), ("sk_test_live", False), ("rk_test_a", False), ("sk_live_a", True), ("rk_live_a", True)],
)
def test_the_key_says_whether_money_is_real(key: str, live: bool) -> None:
    assert read(stripe_secret_key=key).livemode is live


def test_a_test_key_with_live_in_its_random_part_is_a_test_key() -> None:
    assert read(stripe_secret_key="sk_test_a_live_b").livemode is False
    assert read(stripe_secret_key="sk_test_a_live_b", stripe_api_base="http://127.0.0.1:1").livemode is False


def test_the_zone_is_a_time_zone() -> None:
    assert str(read(time_zone="Europe/London").zone) == "Europe/London"


SECRETS = {
    "secret_keys": ["a key nobody may read"],
    "stripe_secret_key": "sk_test_nobody",
    "stripe_webhook_secrets": ["whsec_nobody"],
    "database_uri": "postgresql://shop:nobody@localhost/shop",
    "metrics_token": "nobody-may-read-it",
    "rate_limit_storage": "redis://:nobody@localhost:6379",
}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_not_in_the_settings_representation(name: str) -> None:
    assert "nobody" not in repr(read(**{name: SECRETS[name]}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("secret_keys", ["nobody"]),
        ("stripe_secret_key", "pk_nobody"),
        ("stripe_webhook_secrets", ["nobody"]),
        ("database_uri", "postgresql://shop:nobody@local host/shop"),
        ("metrics_token", "nobody"),
    ],
)
def test_a_wrong_secret_is_not_repeated(name: str, value: Any) -> None:
    assert "nobody" not in " ".join(problems(**{name: value}))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read().worker = "external"  # type: ignore[misc]


def test_the_instance_folder_may_be_a_path() -> None:
    settings = Settings.from_config({}, instance_path=Path("/srv/shop"), secret_key=SECRET_KEY)
    assert settings.model_dir == "/srv/shop/encore-models"


def test_tokens_are_read_with_flasks_own_fallback_keys() -> None:
    settings = Settings.from_config(
        {"SECRET_KEY_FALLBACKS": ["an older key of the app", b"the oldest key of the app"]},
        instance_path="/instance",
        secret_key="the newest key of the app",
    )

    assert settings.secret_keys == (
        "the newest key of the app",
        "an older key of the app",
        "the oldest key of the app",
    )

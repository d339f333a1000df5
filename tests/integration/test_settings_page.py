"""The settings page: three numbers, who may do what, and what is configured without its secrets."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_pages import get, guarded, text_of
from dashboard_settings import HISTORY, SETTINGS, TOKENS, hidden, with_rights

from flask_encore.domain.rights import Right
from flask_encore.services import api_tokens, hooking, shop_settings, switching
from flask_encore.services.auditing import About
from flask_encore.services.shop_settings import Overrides
from flask_encore.web.history_page import ABOUT
from flask_encore.web.settings_words import DELIVERIES, FIELDS, RIGHTS, SCOPES, minutes, number_in, typed

BLANK = {"holdout_percent": "", "undo_minutes": "", "retention_days": ""}


def save(shop: Shop, *, seen: str | None = None, seal: str | None = None, **changes: str) -> Any:
    """Open the page, type, and save it."""
    opened = get(shop, SETTINGS)
    form = BLANK | {"expected": hidden(opened, "expected"), "seal": hidden(opened, "seal")} | changes
    if seen is not None:
        form["expected"] = seen
    if seal is not None:
        form["seal"] = seal
    return shop.app.test_client().post(SETTINGS, data=form)


def stored(shop: Shop) -> Overrides:
    return shop_settings.overrides(shop.rt)


# The three numbers


def test_what_is_typed_is_in_force_and_said(any_shop: Shop) -> None:
    shop = any_shop
    response = save(shop, holdout_percent="12.5", undo_minutes="90", retention_days="365")

    assert (response.status_code, response.location) == (303, f"{SETTINGS}?saved=1")
    assert stored(shop) == Overrides(holdout_bp=1250, undo_seconds=5400, retention_days=365)
    told = text_of(get(shop, response.location))
    assert "Saved. It counts in every process from the next page on." in told
    assert "In force: 12.5% . Empty: 0%, as configured." in told
    assert "In force: 90 minutes . Empty: 30 minutes, as configured." in told
    assert "In force: for 365 days . Empty: for ever, as configured." in told


def test_an_empty_field_is_the_configurations(shop: Shop) -> None:
    save(shop, holdout_percent="5")
    save(shop)
    assert stored(shop) == Overrides()
    assert [row["actor"] for row in shop.rows("audit")] == ["merchant", "merchant"]


def test_the_page_says_that_another_share_begins_a_new_measurement(shop: Shop) -> None:
    told = text_of(get(shop, SETTINGS))
    assert "Another holdout share begins a new measurement. Uplift counts only orders dealt under the share" in told


@pytest.mark.parametrize(
    ("field", "text", "sentence"),
    [
        ("holdout_percent", "51", "A percentage from 0 to 50, with two decimals at most, such as 12.5."),
        ("holdout_percent", "12.345", "A percentage from 0 to 50"),
        ("holdout_percent", "-1", "A percentage from 0 to 50"),
        ("holdout_percent", "ten", "A percentage from 0 to 50"),
        ("holdout_percent", "٥", "A percentage from 0 to 50"),
        ("undo_minutes", "20161", "Minutes from 0 to 20,160, which is fourteen days."),
        ("undo_minutes", "1e3", "Minutes from 0 to 20,160"),
        ("retention_days", "29", "Whole days from 30 to 36,500, or 0 to keep everything."),
        ("retention_days", "30.5", "Whole days from 30 to 36,500"),
        ("retention_days", "9" * 5000, "Whole days from 30 to 36,500"),
        ("retention_days", "\0", "Whole days from 30 to 36,500"),
        ("retention_days", "<script>", "Whole days from 30 to 36,500"),
    ],
)
def test_a_number_that_cannot_be_is_said_beside_its_field_and_everything_typed_is_kept(
    shop: Shop, field: str, text: str, sentence: str
) -> None:
    others = {"holdout_percent": "7", "undo_minutes": "8", "retention_days": "31"}
    response = save(shop, **others | {field: text})

    assert response.status_code == 422
    assert sentence in text_of(response)
    assert "<script>" not in response.text
    for name, value in others.items():
        assert name == field or f'id="{name}" name="{name}" value="{value}"' in response.text
    assert (shop.rows("switches"), shop.rows("audit")) == ([], [])


def test_who_saves_second_is_told_what_is_in_force_and_keeps_what_they_typed(any_shop: Shop) -> None:
    shop = any_shop
    opened = hidden(get(shop, SETTINGS), "expected")
    shop_settings.change(shop.rt, actor="ben", wanted=Overrides(undo_seconds=600))

    refused = save(shop, seen=opened, holdout_percent="5")

    assert refused.status_code == 409
    told = text_of(refused)
    assert "Somebody else changed the settings while this page was open. Nothing of yours was saved." in told
    assert "In force: 10 minutes ." in told
    assert 'name="holdout_percent" value="5"' in refused.text
    assert stored(shop) == Overrides(undo_seconds=600)

    again = save(shop, seen=hidden(refused, "expected"), holdout_percent="5")
    assert again.status_code == 303
    assert stored(shop) == Overrides(holdout_bp=500)


@pytest.mark.parametrize("seen", ["", "1", "a,b,c", ",,,,", "٣,,", "9" * 5000, "\0,,"])
def test_a_form_that_does_not_say_what_was_seen_changes_nothing(shop: Shop, seen: str) -> None:
    assert save(shop, seen=seen, holdout_percent="5").status_code == 409
    assert stored(shop) == Overrides()


def test_a_form_that_is_not_sealed_is_asked_for_again_with_what_was_typed(shop: Shop) -> None:
    response = save(shop, seal="forged", holdout_percent="5")
    assert response.status_code == 403
    assert 'name="holdout_percent" value="5"' in response.text
    assert stored(shop) == Overrides()


def test_a_form_from_another_site_is_refused(shop: Shop) -> None:
    response = shop.app.test_client().post(SETTINGS, data=BLANK, headers={"Origin": "https://evil.example"})
    assert response.status_code == 403
    assert stored(shop) == Overrides()


def test_who_may_only_look_sees_the_numbers_and_no_form(shop: Shop) -> None:
    shop_settings.change(shop.rt, actor="ben", wanted=Overrides(undo_seconds=600))
    with_rights(shop, [Right.READ])

    page = get(shop, SETTINGS)

    assert "<form" not in page.text
    assert "Undo and hold 10 minutes" in text_of(page)
    assert "Yes See every page and every figure read No Change campaigns," in text_of(page)
    refused = shop.app.test_client().post(SETTINGS, data=BLANK | {"holdout_percent": "5"})
    assert refused.status_code == 403
    assert stored(shop) == Overrides(undo_seconds=600)


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [("12,5", 100, 1250), ("0", 60, 0), ("1.5", 60, 90), ("0.01", 100, 1), ("0.001", 100, None), ("", 1, None)],
)
def test_a_typed_number_is_exact_or_none(text: str, units: int, value: int | None) -> None:
    assert number_in(text, units=units) == value


def test_numbers_are_shown_as_they_can_be_typed() -> None:
    assert [typed(value, units=100) for value in (None, 0, 1, 1000, 1250)] == ["", "0", "0.01", "10", "12.5"]
    assert [minutes(value) for value in (0, 59, 60, 90, 5400, 7200, 1_209_600)] == [
        "no undo",
        "59 seconds",
        "1 minute",
        "90 seconds",
        "90 minutes",
        "2 hours",
        "14 days",
    ]


# What is configured


def row_of(page: Any, key: str) -> str:
    found = re.search(rf"<code>{key}</code><small>.*?</tr>", page.text, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<small>.*?</small>|<[^>]+>", " ", found[0]).split())


def test_every_key_says_what_counts_and_where_it_comes_from(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_DISCOUNT_PERCENT=15, ENCORE_ORDER_STATUS={"look_up": "ref"})
    shop_settings.change(shop.rt, actor="ben", wanted=Overrides(undo_seconds=600))
    page = get(shop, SETTINGS)
    assert [
        row_of(page, f"ENCORE_{key}")
        for key in ("DISCOUNT_PERCENT", "OFFER_TTL_SECONDS", "UNDO_SECONDS", "HOLDOUT_PERCENT", "ORDER_STATUS", "QUOTE")
    ] == [
        "ENCORE_DISCOUNT_PERCENT 15 configuration",
        "ENCORE_OFFER_TTL_SECONDS 1800 default",
        "ENCORE_UNDO_SECONDS 10 minutes this page",
        "ENCORE_HOLDOUT_PERCENT 0% configuration",
        "ENCORE_ORDER_STATUS look_up: ref configuration",
        "ENCORE_QUOTE none default",
    ]


def test_no_secret_is_on_the_page(make_shop: ShopFactory, tmp_path: Any) -> None:
    secrets = {
        "ENCORE_SECRET_KEYS": ["newest-signing-key-of-32-letters", "oldest-signing-key-of-32-letters"],
        "ENCORE_METRICS_TOKEN": "metrics-token-of-enough-letters",
        "ENCORE_STRIPE_SECRET_KEY": "sk_test_verysecret",
        "ENCORE_STRIPE_PUBLISHABLE_KEY": "pk_test_nearlysecret",
        "ENCORE_STRIPE_WEBHOOK_SECRETS": ["whsec_verysecret"],
    }
    shop = make_shop(f"sqlite:///{tmp_path / 'hunter2' / 'encore.sqlite3'}", **secrets)
    page = get(shop, SETTINGS)
    for secret in ("signing-key", "metrics-token-of", "verysecret", "nearlysecret", "hunter2", "tests-only-secret"):
        assert secret not in page.text
    assert row_of(page, "ENCORE_STRIPE_SECRET_KEY") == "ENCORE_STRIPE_SECRET_KEY set configuration"
    assert "Test mode No real money" in text_of(page)


def test_without_a_stripe_key_the_page_says_what_that_means(make_shop: ShopFactory) -> None:
    shop = make_shop(ENCORE_STRIPE_SECRET_KEY="", ENCORE_STRIPE_PUBLISHABLE_KEY="")
    told = text_of(get(shop, SETTINGS))
    assert "No Stripe key No offers Encore decides nothing until ENCORE_STRIPE_SECRET_KEY is set." in told
    assert "ENCORE_STRIPE_SECRET_KEY Not set" in told


def test_live_mode_is_said(make_shop: ShopFactory) -> None:
    live = make_shop(
        ENCORE_STRIPE_SECRET_KEY="sk_live_x",
        ENCORE_STRIPE_PUBLISHABLE_KEY="pk_live_x",
        ENCORE_STRIPE_API_BASE="https://api.stripe.com",
        ENCORE_STRIPE_JS_URL="https://js.stripe.com/endive/stripe.js",
    )
    assert "Live mode Real money" in text_of(get(live, SETTINGS))


def test_every_language_leads_to_its_card(shop: Shop) -> None:
    page = get(shop, SETTINGS)
    for link in ("/encore/dashboard/patterns?locale=de", "/encore/dashboard/patterns?locale=ja"):
        assert f'href="{link}"' in page.text
        assert get(shop, link).status_code == 200


def test_the_switches_tokens_and_webhooks_are_one_click_away(shop: Shop) -> None:
    api_tokens.issue(shop.rt, name="Warehouse", scopes=["charges:read"], actor="ben")
    page = get(shop, SETTINGS)
    told = text_of(page)
    assert "All offers On" in told and "API tokens 1 usable" in told and "Webhooks 0" in told
    for view in ("/encore/dashboard/switches/off/on", TOKENS, f"{SETTINGS}/webhooks/", HISTORY):
        assert f'href="{view}"' in page.text
        assert get(shop, view).status_code == 200


def test_what_is_not_ours_to_decide_is_a_word_for_everything() -> None:
    assert list(SCOPES) == list(api_tokens.Scope)
    assert list(RIGHTS) == list(Right)
    assert list(DELIVERIES) == list(hooking.DeliveryStatus)
    assert [setting for setting, _, _ in FIELDS.values()] == ["holdout_bp", "undo_seconds", "retention_days"]
    assert list(ABOUT) == list(About)


# The history of everything


def test_the_history_shows_every_kind_of_change_and_filters_by_it(any_shop: Shop) -> None:
    shop = any_shop
    switching.turn(shop.rt, actor="ana", shadow=True)
    shop_settings.change(shop.rt, actor="ben", wanted=Overrides(undo_seconds=600))
    api_tokens.issue(shop.rt, name="Warehouse", scopes=["charges:read"], actor="cleo")

    everything = text_of(get(shop, HISTORY))
    assert "Created the token “Warehouse” by cleo" in everything
    assert "Changed the settings by ben, 2 Mar 2026, 14:03 undo_seconds — → 600" in everything
    assert "Turned a switch by ana" in everything

    for about, who in {"tokens": "cleo", "settings": "ben", "switches": "ana"}.items():
        told = text_of(get(shop, HISTORY, of=about))
        assert [actor for actor in ("ana", "ben", "cleo") if f"by {actor}" in told] == [who]
    for about in ("campaigns", "experiments", "webhooks", "catalogue", "models", "charges"):
        assert "Nothing was changed yet." in text_of(get(shop, HISTORY, of=about))


@pytest.mark.parametrize("about", ["banana", "\0", "'; DROP TABLE encore_audit; --", "x" * 5000])
def test_an_unknown_filter_of_the_history_shows_everything(shop: Shop, about: str) -> None:
    switching.turn(shop.rt, actor="ana", shadow=True)
    assert "by ana" in text_of(get(shop, HISTORY, of=about))


def test_what_a_later_release_did_is_shown_by_its_own_word(shop: Shop) -> None:
    switching.turn(shop.rt, actor="ana", shadow=True)
    with shop.rt.db.write() as connection:
        connection.execute(sa.text("UPDATE encore_audit SET action = 'teleport', subject = 'the moon'"))
    assert "teleport the moon by ana" in text_of(get(shop, HISTORY))


def test_tables_that_are_not_there_are_a_page_with_the_fix(make_shop: ShopFactory) -> None:
    shop = make_shop(upgrade=False)
    for path in (SETTINGS, TOKENS):
        response = get(shop, path)
        assert response.status_code == 503
        assert "flask encore db upgrade" in text_of(response)


def test_nobody_who_is_not_let_in_sees_any_of_it(shop: Shop) -> None:
    guarded(shop, lambda: None)
    paths = (SETTINGS, TOKENS, f"{SETTINGS}/webhooks/", f"{SETTINGS}/webhooks/1/")
    assert [get(shop, path).status_code for path in paths] == [403] * 4

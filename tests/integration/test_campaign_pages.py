"""The merchant's campaign pages over HTTP: written, tried, saved, never overwritten unseen, and nonsense refused."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_campaigns import FORM, LIST, TEA, form_in, post, save, stored
from dashboard_pages import get, text_of

from flask_encore import Money, Product
from flask_encore.domain.campaigns import CampaignStatus

# The list


def test_before_the_first_campaign_the_page_says_what_the_built_in_offer_does(shop: Shop) -> None:
    told = text_of(get(shop, LIST))
    assert "No campaigns yet Until there is one, every eligible order gets the built-in offer" in told
    assert "at 10% off" in told
    assert "Write the first campaign" in told


def test_without_the_built_in_offer_the_page_says_that_too(make_shop: ShopFactory) -> None:
    assert "The built-in offer is off" in text_of(get(make_shop(ENCORE_BUILT_IN_OFFER=False), LIST))


def test_the_list_says_how_each_campaign_stands_and_what_it_did(any_shop: Shop) -> None:
    shop = any_shop
    save(shop, priority=7)
    save(shop, ref="winter", name="Winter", starts_at="2026-12-01T09:00", ends_at="2026-12-24T18:00")
    save(shop, ref="draft", name="Being written", status="draft", placement="order_status", begins=False)
    shop.pay("1042")
    assert shop.accept(shop.token("1042")) == "charged"
    shop.pay("1043")
    shop.post(shop.token("1043"), "decline")

    told = text_of(get(shop, LIST))

    for words in (
        "Tea with every pot Live A product · Thank-you page · Priority 7",
        "2 shown 1 accepted 1 kept Not enough data for a rate: 100 shown orders are needed.",
        "Winter Scheduled A product · Thank-you page · Priority 0 "
        "From 1 Dec 2026, 09:00 until 24 Dec 2026, 18:00 (UTC)",
        "Being written Draft A product · Order page · Priority 0 · Only follows others",
        "Built-in offer Live The recommender’s choice at 10% off, where no campaign applies 0 shown",
    ):
        assert words in told
    assert told.index("Tea with every pot") < told.index("Winter") < told.index("Being written")


def test_from_a_hundred_shown_on_the_kept_rate_has_its_interval(shop: Shop) -> None:
    save(shop)
    shop.pay()
    assert shop.accept(shop.token()) == "charged"
    [row] = shop.rows("decisions")
    columns = ", ".join(f'"{name}"' for name in row if name not in {"id", "order_ref"})
    with shop.rt.db.write() as connection:
        for number in range(99):
            connection.execute(
                sa.text(
                    f"INSERT INTO encore_decisions (id, order_ref, {columns}) "
                    f"SELECT 'copy{number}', 'copy{number}', {columns} FROM encore_decisions WHERE order_ref = '1042'"
                )
            )
        connection.execute(sa.text("UPDATE encore_decisions SET shown_at = decided_at"))
    assert "100 shown 1 accepted 1 kept Kept rate 1.0%, 95% interval 0.2% to 5.4%" in text_of(get(shop, LIST))


def test_a_doubt_is_told_where_the_campaign_stands(shop: Shop) -> None:
    save(shop, offer={"kind": "fixed", "skus": ["vanished"]})
    told = text_of(get(shop, LIST))
    assert "1 doubt" in told
    assert "vanished" in told


def test_more_campaigns_than_a_page_holds_are_on_the_next_and_can_be_found(shop: Shop) -> None:
    document = {"format": 1, "campaigns": [TEA | {"ref": f"tea-{n:03}", "name": f"Tea {n:03}"} for n in range(51)]}
    post(shop, f"{LIST}import", {"confirmed": "yes", "document": json.dumps(document)})

    first, second = text_of(get(shop, LIST)), text_of(get(shop, LIST, page="2"))

    assert "Tea 049 Live" in first and "Tea 050" not in first and "Built-in offer" not in first
    assert "Tea 050 Live" in second and "Tea 049" not in second and "Built-in offer" in second
    assert "Tea 050 Live" in text_of(get(shop, LIST, q="TEA-050"))
    assert "No campaign has that" in text_of(get(shop, LIST, q="coffee"))


@pytest.mark.parametrize("page", ["0", "-1", "nonsense", "9" * 30, "%00", "²"])
def test_a_page_of_the_list_that_is_none_is_the_first(page: str, shop: Shop) -> None:
    save(shop)
    assert "Tea with every pot" in text_of(get(shop, LIST, page=page))


# The form


def test_a_new_campaign_is_saved_as_a_draft_and_shown_again(any_shop: Shop) -> None:
    shop = any_shop
    response = post(shop, f"{LIST}new", FORM)
    assert (response.status_code, response.location) == (303, f"{LIST}tea/?saved=yes")
    assert "Saved. It is a draft: nobody is offered it yet." in text_of(get(shop, response.location))
    campaign = stored(shop)
    assert (campaign.name, campaign.status, campaign.offer.skus) == (
        "Tea with every pot",
        CampaignStatus.DRAFT,
        ("tea",),
    )
    assert [row["updated_by"] for row in shop.rows("campaigns")] == ["merchant"]


def test_a_campaign_set_live_from_the_form_is_what_the_next_order_gets(shop: Shop) -> None:
    post(shop, f"{LIST}new", FORM | {"then": "launch"})
    shop.pay()
    assert "Assam tea" in shop.page().text


def test_the_form_of_a_stored_campaign_saved_unchanged_changes_nothing(shop: Shop) -> None:
    save(shop, copy={"de": {"headline": "Tee?"}}, limits={"offers": 2, "days": 30}, rule={"any": [{"country": ["GB"]}]})
    response = post(shop, f"{LIST}tea/", form_in(get(shop, f"{LIST}tea/")))
    assert response.status_code == 303
    assert [(row["version"], row["updated_by"]) for row in shop.rows("campaigns")] == [(1, "anna")]


def test_what_was_typed_is_kept_and_each_error_stands_beside_its_field(shop: Shop) -> None:
    wrong = {"name": "x" * 200, "fixed.discount.percent": "120", "rule.mode": "json", "rule": '{"all": [{"hue": 1}]}'}
    response = post(shop, f"{LIST}new", FORM | wrong)
    assert response.status_code == 422
    assert "Nothing was saved: 3 places need a change." in text_of(response)
    assert stored(shop) is None
    fields = form_in(response)
    assert {name: fields[name] for name in FORM | wrong} == FORM | wrong
    for name in ("name", "fixed.discount.percent", "rule"):
        assert f'id="{name}-error"' in response.text
        assert re.search(
            rf'name="{name}"[^>]* aria-describedby="[^"]*{name}-error"[^>]* aria-invalid="true"', response.text
        )


def test_dates_the_wrong_way_round_are_told_beside_the_end(shop: Shop) -> None:
    response = post(shop, f"{LIST}new", FORM | {"starts_at": "2026-12-01T09:00", "ends_at": "2026-11-01T09:00"})
    assert response.status_code == 422
    assert 'id="ends_at-error"' in response.text


def test_a_ref_that_is_taken_is_told_beside_it_and_overwrites_nothing(shop: Shop) -> None:
    save(shop)
    response = post(shop, f"{LIST}new", FORM | {"name": "Mine"})
    assert response.status_code == 409
    assert "There is a campaign with this ref already." in text_of(response)
    assert stored(shop).name == "Tea with every pot"


def test_the_ref_of_a_stored_campaign_cannot_be_typed(shop: Shop) -> None:
    version = save(shop)
    post(shop, f"{LIST}tea/", FORM | {"ref": "other", "version": str(version), "status": "live", "name": "Mine"})
    assert stored(shop, "other") is None
    assert stored(shop).name == "Mine"


def test_an_ended_campaign_is_not_brought_back_by_its_form(shop: Shop) -> None:
    version = save(shop, status="ended")
    response = post(shop, f"{LIST}tea/", FORM | {"version": str(version), "then": "launch"})
    assert response.status_code == 422
    assert stored(shop).status is CampaignStatus.ENDED


def test_a_campaign_called_like_a_page_has_a_page_of_its_own(shop: Shop) -> None:
    for ref in ("new", "history", "import", "export", "preview"):
        save(shop, ref=ref, name=f"Called {ref}")
        assert f"Called {ref}" in text_of(get(shop, f"{LIST}{ref}/"))


def test_labels_are_shown_as_they_are_locked_in_each_language(shop: Shop) -> None:
    told = text_of(get(shop, f"{LIST}new"))
    for words in ("Buy now · €12.90 No thanks", "Zahlungspflichtig bestellen Nein, danke", "Arabic ar"):
        assert words in told


def test_markup_in_a_campaign_is_text_on_every_page(shop: Shop) -> None:
    save(shop, name='Tea" & <3')
    for path in ("", "tea/", "tea/history", "tea/duplicate", "tea/status/ended"):
        page = get(shop, LIST + path).text
        assert "Tea&#34; &amp; &lt;3" in page
        assert 'Tea"' not in page and "<3" not in page


# The preview


def test_a_preview_shows_the_card_and_why_not_the_others_and_saves_nothing(any_shop: Shop) -> None:
    shop = any_shop
    save(shop, ref="mugs", name="A mug for the rich", rule={"order_total": {"at_least": "50.00", "currency": "gbp"}})
    shop.pay()
    response = post(shop, f"{LIST}preview", FORM | {"order_ref": "1042", "copy.en.headline": "Tea for your pot?"})
    told = text_of(response)
    assert response.status_code == 200
    assert "Order 1042: An offer Assam tea, 250 g, £7.65, by tea" in told
    assert "A mug for the rich mugs Does not apply order total 34.00 GBP is not ≥ 50.00 GBP" in told
    assert "Products weighed: 1 tea can be offered" in told
    assert "Tea for your pot?" in told and "Buy now · £7.65" in told
    assert stored(shop) is None
    assert shop.rows("decisions") == []


def test_a_preview_takes_the_form_in_place_of_what_is_stored(shop: Shop) -> None:
    version = save(shop, status="paused")
    shop.pay()
    typed = FORM | {"status": "paused", "version": str(version), "order_ref": "1042", "fixed.skus": "mug"}
    assert "Enamel mug, £11.61, by tea" in text_of(post(shop, f"{LIST}tea/preview", typed))
    assert stored(shop).offer.skus == ("tea",)


def test_the_previewed_card_can_neither_be_pressed_nor_run(shop: Shop) -> None:
    shop.pay()
    page = post(shop, f"{LIST}preview", FORM | {"order_ref": "1042"}).text
    assert '<div class="sample" inert>' in page
    assert re.findall(r"<script[^>]*>", page) == [
        found for found in re.findall(r"<script[^>]*>", page) if "dashboard.js" in found
    ]


@pytest.mark.parametrize(
    ("url", "is_shown"),
    [
        ("/pictures/tea.jpg", True),
        ("http://localhost/tea.jpg", True),
        ("https://cdn.example/tea.jpg", False),
        ("//cdn.example/tea.jpg", False),
    ],
)
def test_the_previewed_card_loads_no_picture_from_elsewhere(url: str, is_shown: bool, shop: Shop) -> None:
    tea = Product(sku="tea", title="Tea", price=Money(850, "gbp"), stock=None, image_url=url)
    with shop.app.app_context():
        shop.encore.catalog.upsert([tea])
    shop.pay()
    page = post(shop, f"{LIST}preview", FORM | {"order_ref": "1042"}).text
    [source] = set(re.findall(r'<img src="([^"]+)"', page))
    assert (source if is_shown else source[:11]) == (url if is_shown else "data:image/")


def test_an_order_without_an_offer_says_why(shop: Shop) -> None:
    shop.pay(intent=shop.stripe.paid_intent(amount=3400, currency="gbp", setup_future_usage=None))
    assert "No offer The card was not saved" in text_of(post(shop, f"{LIST}preview", FORM | {"order_ref": "1042"}))


@pytest.mark.parametrize("order_ref", ["9999", "", "\0", "x" * 3000, "' OR 1=1"])
def test_an_order_nobody_knows_is_told_beside_its_field(order_ref: str, any_shop: Shop) -> None:
    response = post(any_shop, f"{LIST}preview", FORM | {"order_ref": order_ref})
    assert response.status_code == 422
    assert 'id="order_ref-error"' in response.text


# Two merchants


def test_the_second_to_save_sees_the_difference_and_overwrites_nothing(any_shop: Shop) -> None:
    shop = any_shop
    save(shop)
    mine = form_in(get(shop, f"{LIST}tea/")) | {"name": "My tea"}
    save(shop, expected=1, actor="ben", priority=5)

    response = post(shop, f"{LIST}tea/", mine)

    told = text_of(response)
    assert response.status_code == 409
    assert "Somebody changed “Tea with every pot” meanwhile ben saved it at 2 Mar 2026, 14:03" in told
    assert "name Theirs: Tea with every pot Yours: My tea" in told
    assert "priority Theirs: 5 Yours: 0" in told
    assert [(row["version"], row["updated_by"]) for row in shop.rows("campaigns")] == [(2, "ben")]


def conflict(shop: Shop) -> Any:
    save(shop)
    mine = form_in(get(shop, f"{LIST}tea/")) | {"name": "My tea"}
    save(shop, expected=1, actor="ben", priority=5)
    return post(shop, f"{LIST}tea/", mine)


def test_mine_can_be_saved_over_theirs_once_the_difference_was_seen(shop: Shop) -> None:
    response = post(shop, f"{LIST}tea/", form_in(conflict(shop)) | {"then": "save"})
    assert response.status_code == 303
    assert (stored(shop).name, stored(shop).priority) == ("My tea", 0)
    assert [row["version"] for row in shop.rows("campaigns")] == [3]


def test_going_on_editing_mine_saves_nothing_and_keeps_what_was_typed(shop: Shop) -> None:
    response = post(shop, f"{LIST}tea/", form_in(conflict(shop)) | {"then": "edit"})
    assert response.status_code == 200
    assert form_in(response)["name"] == "My tea"
    assert stored(shop).name == "Tea with every pot"


def test_going_on_after_a_launch_that_met_a_conflict_launches_nothing_by_itself(shop: Shop) -> None:
    save(shop, status="draft")
    mine = form_in(get(shop, f"{LIST}tea/"))
    save(shop, expected=1, actor="ben", status="draft", priority=5)
    met = form_in(post(shop, f"{LIST}tea/", mine | {"then": "launch"}))
    assert met["status"] == "live"

    gone_on = form_in(post(shop, f"{LIST}tea/", met | {"then": "edit"}))
    post(shop, f"{LIST}tea/", gone_on | {"then": "save"})

    assert stored(shop).status is CampaignStatus.DRAFT


def test_a_third_change_in_between_is_a_difference_again(shop: Shop) -> None:
    first = conflict(shop)
    save(shop, expected=2, actor="cleo", priority=9)
    assert post(shop, f"{LIST}tea/", form_in(first) | {"then": "save"}).status_code == 409
    assert stored(shop).priority == 9


def test_a_campaign_deleted_meanwhile_is_said_to_be_gone(shop: Shop) -> None:
    save(shop, status="draft")
    mine = form_in(get(shop, f"{LIST}tea/"))
    post(shop, f"{LIST}tea/delete", {"version": "1"})
    assert post(shop, f"{LIST}tea/", mine).status_code == 404

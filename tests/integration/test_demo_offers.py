"""The demo shop's campaigns: every row of its table shows what it says, and what was bought is what is charged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import unescape

import pytest
from demo_host import NOW, Visit, form_action, open_shop, silent
from served_shop import generated_instance

from flask_encore.demo.campaigns import TRIALS, Trial
from flask_encore.demo.stock import ensure_stocked
from flask_encore.domain.campaigns import Campaign, CampaignStatus
from flask_encore.domain.money import Money
from flask_encore.services import campaigning

TRIAL = {trial.kind: trial for trial in TRIALS}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Visit]:
    """The generated shop, open for all of these tests."""
    with open_shop(generated_instance(tmp_path_factory, worker_id)) as visit:
        yield visit


@pytest.fixture
def visit(opened: Visit) -> Visit:
    """A new browser in it."""
    return replace(opened, client=opened.app.test_client())


def ordered(visit: Visit, trial: Trial) -> str:
    """Press the trial's button and pay; the order_ref."""
    assert visit.client.post(f"/try/{trial.slug}").location == "/basket"
    return visit.buy()


def thanks(visit: Visit, order_ref: str) -> str:
    return unescape(visit.client.get(f"/orders/{order_ref}/thanks").text)


def campaign(visit: Visit, ref: str) -> Campaign:
    with visit.app.app_context():
        saved = campaigning.find(visit.shop.encore.runtime, ref)
    assert saved is not None
    return saved.campaign


def become(visit: Visit, ref: str, status: CampaignStatus) -> None:
    """What the merchant does in the dashboard."""
    with visit.app.app_context():
        campaigning.set_status(visit.shop.encore.runtime, ref, status, actor="merchant")


def accept(visit: Visit, order_ref: str, **typed: str) -> None:
    page = visit.client.get(f"/orders/{order_ref}/thanks").text
    assert visit.client.post(form_action(page, "accept"), data=typed).status_code == 303
    visit.deliver()


def added(visit: Visit, order_ref: str) -> list[tuple[str, str, int, Money, bool]]:
    order = visit.shop.books.order(order_ref)
    assert order is not None
    return [(line.sku, line.title, line.quantity, line.amount, line.undone) for line in order.added]


def offers_charged(visit: Visit, since: int) -> list[int]:
    """What was charged besides orders, in the order it was charged."""
    return [charge["amount"] for charge in visit.stripe.charges()[since:]]


# -- the table -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["Variants", "Service", "More", "Deal", "Bundle", "Sequence", "Free", "Timer"], ids=str.lower
)
def test_a_basket_of_the_table_shows_the_offer_it_promises(visit: Visit, kind: str) -> None:
    trial = TRIAL[kind]
    page = thanks(visit, ordered(visit, trial))

    assert trial.campaign is not None
    assert campaign(visit, trial.campaign).wording["en"].headline in page


def test_an_ordinary_basket_gets_the_recommenders_choice(visit: Visit) -> None:
    page = thanks(visit, ordered(visit, TRIAL["Recommended"]))

    assert "One more thing?" in page
    assert "Bamboo Matcha Whisk" in page


def test_the_order_page_makes_an_offer_of_its_own_after_a_no(visit: Visit) -> None:
    order_ref = ordered(visit, TRIAL["Order page"])
    page = visit.client.get(f"/orders/{order_ref}/thanks").text
    assert "In the ground this week" not in page

    visit.client.post(form_action(page, "decline"))
    page = visit.client.get(f"/orders/{order_ref}").text

    assert "In the ground this week" in page
    assert "Packed Today" in page


def test_the_dialog_waits_for_the_merchant(visit: Visit) -> None:
    trial = TRIAL["Dialog"]
    assert trial.campaign is not None
    assert "For the table under the pot" not in thanks(visit, ordered(visit, trial))

    become(visit, trial.campaign, CampaignStatus.LIVE)
    page = thanks(visit, ordered(visit, trial))
    become(visit, trial.campaign, CampaignStatus.PAUSED)

    assert "For the table under the pot" in page
    assert "data-dialog=" in page


def test_a_row_that_is_not_in_the_table_is_not_there(visit: Visit) -> None:
    assert visit.client.post("/try/nothing").status_code == 404


def test_every_campaign_can_sell_and_speaks_the_shops_languages(visit: Visit) -> None:
    with visit.app.app_context():
        rt = visit.shop.encore.runtime
        found = [saved.campaign for saved in campaigning.listed(rt)]
        doubts = {one.ref: campaigning.doubts(rt, one) for one in found if one.status is CampaignStatus.LIVE}

    assert [one.ref for one in found if one.status is not CampaignStatus.LIVE] == ["trivet"]
    assert {trial.campaign for trial in TRIALS} - {None} == {one.ref for one in found if one.begins}
    assert [one.ref for one in found if set(one.wording) != {"en", "de", "ar"}] == []
    assert {ref: told for ref, told in doubts.items() if told} == {}


def test_what_the_merchant_changed_survives_a_restart(visit: Visit) -> None:
    become(visit, "more-curd", CampaignStatus.PAUSED)
    with visit.app.app_context():
        assert not ensure_stocked(visit.shop, data=None, now=NOW, tell=str, bar=silent).fresh

    assert campaign(visit, "more-curd").status is CampaignStatus.PAUSED
    become(visit, "more-curd", CampaignStatus.LIVE)


# -- what the order has afterwards -----------------------------------------------------------------------------------


def test_a_bundle_adds_both_lines_for_the_amount_charged_and_undo_takes_both_off(visit: Visit) -> None:
    order_ref, ink, paper = ordered(visit, TRIAL["Bundle"]), visit.stock_of("PEN-08"), visit.stock_of("PEN-26")
    charges = len(visit.stripe.charges())

    accept(visit, order_ref)

    assert offers_charged(visit, charges) == [1200]
    assert added(visit, order_ref) == [
        ("PEN-08", "Indigo Ink", 1, Money(861, "gbp"), False),
        ("PEN-26", "Blotting Paper, Ten Sheets", 1, Money(339, "gbp"), False),
    ]
    assert (visit.stock_of("PEN-08"), visit.stock_of("PEN-26")) == (ink - 1, paper - 1)

    visit.client.post(form_action(visit.client.get(f"/orders/{order_ref}").text, "undo"))
    visit.deliver()

    assert [undone for *_, undone in added(visit, order_ref)] == [True, True]
    assert (visit.stock_of("PEN-08"), visit.stock_of("PEN-26")) == (ink, paper)


def test_the_words_for_the_tag_are_on_the_order_page_as_they_were_written(visit: Visit) -> None:
    order_ref = ordered(visit, TRIAL["Service"])

    accept(visit, order_ref, text='For Ada <3 & "tea"')

    order = visit.shop.books.order(order_ref)
    assert order is not None
    assert [(line.sku, line.text) for line in order.added] == [("WRAP", 'For Ada <3 & "tea"')]
    assert "<bdi>For Ada &lt;3 &amp; &#34;tea&#34;</bdi>" in visit.client.get(f"/orders/{order_ref}").text


def test_a_sample_is_added_and_nothing_is_charged(visit: Visit) -> None:
    order_ref, charges = ordered(visit, TRIAL["Free"]), len(visit.stripe.charges())

    accept(visit, order_ref)

    assert offers_charged(visit, charges) == []
    assert added(visit, order_ref) == [("SAMPLE", "Second Flush Darjeeling, Sample", 1, Money(0, "gbp"), False)]


def test_the_variant_that_was_chosen_is_the_line_of_the_order(visit: Visit) -> None:
    order_ref = ordered(visit, TRIAL["Variants"])

    accept(visit, order_ref, choice="3")

    title = "Letter Writer's Gloves, Shetland Wool (M, Rust)"
    assert added(visit, order_ref) == [("GLOVES-M-RUST", title, 1, Money(1900, "gbp"), False)]


# -- variants on the shelf -------------------------------------------------------------------------------------------


def test_variants_stand_on_the_shelf_once_and_are_chosen_on_their_page(visit: Visit) -> None:
    shelf = "".join(visit.client.get(f"/shelves/pens-and-inks?page={page}").text for page in (1, 2))
    assert shelf.count("/products/GLOVES-") == 1
    page = visit.client.get("/products/GLOVES-L-RUST").text
    assert '<option value="GLOVES-L-RUST" selected>L, Rust</option>' in page
    assert '<option value="GLOVES-M-FOREST" disabled>M, Forest · Sold out</option>' in page
    assert "Lowest price of the last 30 days: £24.00" in page

    visit.put("GLOVES-L-RUST")

    assert "Shetland Wool (L, Rust)" in visit.client.get("/basket").text


def test_what_is_done_at_the_counter_stands_on_no_shelf(visit: Visit) -> None:
    assert "Nothing here by that name" in visit.client.get("/search?q=gift+wrapping").text

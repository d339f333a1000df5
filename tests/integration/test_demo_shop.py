"""The demo shop through its own pages: an ordinary shop, its own payment at Stripe, Encore under the confirmation."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from demo_host import MATCHA, WHISK, Visit, form_action, nowhere, open_shop
from served_shop import generated_instance

from flask_encore.demo import till
from flask_encore.demo.app import create_app
from flask_encore.domain.money import Money
from flask_encore.domain.prices import OfferLine


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The instance folder of the generated shop, stocked and trained once; every test opens a copy."""
    return generated_instance(tmp_path_factory, worker_id)


@pytest.fixture
def visit(stocked: Path, tmp_path: Path) -> Iterator[Visit]:
    """A browser in the generated shop."""
    with open_shop(shutil.copytree(stocked, tmp_path / "instance")) as visit:
        yield visit


# -- shelves ---------------------------------------------------------------------------------------------------------


def test_every_page_of_the_shelves_answers_with_a_strict_policy(visit: Visit) -> None:
    origin = visit.stripe.url
    policy = (
        f"default-src 'none'; script-src 'self' {origin}; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {origin}; frame-src {origin}; form-action 'self' {origin}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    pages = ["/", "/shelves/tea", "/shelves/tea?page=2", "/search?q=mug", f"/products/{MATCHA}", "/basket"]
    for page in [*pages, f"/pictures/{MATCHA}.svg", "/static/shop.css"]:
        answer = visit.client.get(page)
        assert answer.status_code == 200, page
        assert answer.headers["Content-Security-Policy"] == policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        answer.close()


def test_pages_hold_no_inline_script_or_style(visit: Visit) -> None:
    order_ref = visit.buy(MATCHA)
    for page in ("/", "/shelves/tea", f"/products/{MATCHA}", "/basket", f"/orders/{order_ref}"):
        html = visit.client.get(page).text
        assert "<script" not in html
        assert " style=" not in html
        assert "<style" not in html


def test_every_shelf_can_be_walked_to_its_end(visit: Visit) -> None:
    for category, size in visit.shop.books.categories():
        seen: set[str] = set()
        for page in range(1, 3):
            answer = visit.client.get(f"/shelves/{category.slug}?page={page}")
            seen.update(re.findall(r'href="/products/([^"]+)"', answer.text))
        assert len(seen) == size


@pytest.mark.parametrize(
    "path",
    ["/shelves/nowhere", "/shelves/tea?page=9", "/products/nothing", "/pictures/nothing.svg", "/orders/PQ-1", "/x"],
)
def test_what_is_not_there_is_a_friendly_404(visit: Visit, path: str) -> None:
    answer = visit.client.get(path)

    assert answer.status_code == 404
    assert "There is nothing on this shelf." in answer.text


def test_search_finds_every_word_and_takes_wildcards_literally(visit: Visit) -> None:
    assert "Brown Betty Teapot, Two Cup" in visit.client.get("/search?q=betty+two").text
    assert "Nothing here by that name" in visit.client.get("/search?q=%25").text
    assert "Nothing here by that name" in visit.client.get("/search?q=").text
    assert "&lt;script&gt;" in visit.client.get("/search?q=<script>").text


# -- basket ----------------------------------------------------------------------------------------------------------


def test_the_basket_adds_up_changes_and_empties(visit: Visit) -> None:
    visit.put("TEA-01", 2)
    visit.put("TEA-01")
    assert visit.client.get("/basket").text.count("£20.70") == 2  # three at £6.90: the line, and the total

    visit.client.post("/basket", data={"sku": "TEA-01", "quantity": "1"})
    assert "£6.90" in visit.client.get("/basket").text

    visit.client.post("/basket", data={"sku": "TEA-01", "quantity": "0"})
    assert "Your basket is empty." in visit.client.get("/basket").text


def test_nobody_gets_more_than_twenty_or_more_than_there_are(visit: Visit) -> None:
    visit.put("SEE-01", 5_000)
    with visit.client.session_transaction() as session:
        assert session["basket"] == {"SEE-01": min(20, visit.stock_of("SEE-01"))}


@pytest.mark.parametrize("quantity", ["-3", "many", "", "1e9"])
def test_a_nonsense_quantity_is_no_error(visit: Visit, quantity: str) -> None:
    assert visit.client.post("/basket", data={"sku": "TEA-01", "quantity": quantity}).status_code == 303


def test_an_unknown_product_cannot_be_put_in(visit: Visit) -> None:
    assert visit.put("nothing").status_code == 404


def test_a_form_on_another_site_is_refused(visit: Visit) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
        assert visit.client.post("/basket", data={"sku": "TEA-01"}, headers=headers).status_code == 403
        assert visit.client.post("/checkout", headers=headers).status_code == 403


def test_the_basket_says_what_happens_with_the_card_before_paying(visit: Visit) -> None:
    visit.put(MATCHA)
    page = visit.client.get("/basket").text

    assert "Stripe keeps your card, so that you can add one more thing with one click" in page
    assert "4242 4242 4242 4242" in page


# -- till ------------------------------------------------------------------------------------------------------------


def test_checkout_asks_stripe_to_keep_the_card(visit: Visit) -> None:
    visit.put(MATCHA, 2)
    visit.to_stripe()

    (call,) = visit.stripe.calls("/v1/checkout/sessions")
    assert call.params["payment_intent_data"]["setup_future_usage"] == "off_session"
    assert call.params["customer_creation"] == "always"
    assert call.params["line_items"][0]["quantity"] == "2"
    assert call.params["line_items"][0]["price_data"]["unit_amount"] == "1890"


def test_paying_confirms_the_order_first_and_offers_under_it(visit: Visit) -> None:
    order_ref = visit.buy(MATCHA)
    page = visit.client.get(f"/orders/{order_ref}/thanks").text

    assert page.startswith("<!doctype html>")
    assert 0 < page.index("Thank you. Your order is confirmed.") < page.index("<encore-offer")
    assert "Bamboo Matcha Whisk" in page
    with visit.client.session_transaction() as session:
        assert session["basket"] == {}


def test_an_accepted_offer_becomes_a_line_of_the_order_and_undo_takes_it_off(visit: Visit) -> None:
    before = visit.stock_of(WHISK)
    order_ref = visit.buy(MATCHA)
    thanks = f"/orders/{order_ref}/thanks"
    page = visit.client.get(thanks).text

    assert visit.client.post(form_action(page, "accept")).status_code == 303
    visit.deliver()

    assert [charge["amount"] for charge in visit.stripe.charges()] == [1890, 1071]
    order = visit.shop.books.order(order_ref)
    assert order is not None
    assert [(line.sku, line.amount, line.undone) for line in order.added] == [(WHISK, Money(1071, "gbp"), False)]
    assert order.total == Money(1890, "gbp")
    assert "Added after checkout, charged separately" in visit.client.get(f"/orders/{order_ref}").text
    assert visit.stock_of(WHISK) == visit.known_stock_of(WHISK) == before - 1

    visit.client.post(form_action(visit.client.get(thanks).text, "undo"))
    visit.deliver()

    assert [refund["amount"] for refund in visit.stripe.refunds()] == [1071]
    assert "Undone, refunded" in visit.client.get(f"/orders/{order_ref}").text
    assert visit.stock_of(WHISK) == visit.known_stock_of(WHISK) == before


def test_an_event_delivered_twice_changes_nothing_the_second_time(visit: Visit) -> None:
    order_ref, before = visit.buy(MATCHA), visit.stock_of(WHISK)
    line = OfferLine(
        sku=WHISK, title="Whisk", quantity=1, item=Money(1190, "gbp"), discount=Money(119, "gbp"), ships=True
    )
    books = visit.shop.books

    for _ in range(2):
        books.add_lines(order_ref, charge_ref="ch-1", lines=[line])
    assert visit.stock_of(WHISK) == before - 1
    for _ in range(2):
        books.take_lines_off("ch-1")
    books.add_lines(order_ref, charge_ref="ch-1", lines=[line])

    order = books.order(order_ref)
    assert order is not None
    assert [added.undone for added in order.added] == [True]
    assert visit.stock_of(WHISK) == before


def test_coming_back_twice_makes_one_order(visit: Visit) -> None:
    visit.put(MATCHA)
    before, session = visit.stock_of(MATCHA), visit.to_stripe()
    visit.stripe.complete_checkout(session)

    first = visit.client.get(f"/checkout/done?session_id={session}")
    second = visit.client.get(f"/checkout/done?session_id={session}")

    assert first.location == second.location
    assert visit.stock_of(MATCHA) == visit.known_stock_of(MATCHA) == before - 1
    assert len(visit.stripe.charges()) == 1


def test_coming_back_without_paying_confirms_nothing(visit: Visit) -> None:
    visit.put(MATCHA)
    session = visit.to_stripe()
    answer = visit.client.get(f"/checkout/done?session_id={session}")

    assert answer.status_code == 402
    assert "Stripe has not told us about your payment yet." in answer.text
    order = visit.shop.books.order_of_session(session)
    assert order is not None
    assert not order.paid
    assert visit.client.get(f"/orders/{order.order_ref}/thanks").status_code == 404


def test_a_declined_card_leaves_the_basket_as_it_was(visit: Visit) -> None:
    visit.put(MATCHA)
    session = visit.to_stripe()
    with pytest.raises(Exception, match="insufficient funds"):
        visit.stripe.complete_checkout(session, card="4000000000009995")

    assert visit.client.get(f"/checkout/done?session_id={session}").status_code == 402
    with visit.client.session_transaction() as cookie:
        assert cookie["basket"] == {MATCHA: 1}


def test_orders_are_seen_by_the_browser_that_placed_them_only(visit: Visit) -> None:
    visit.put(MATCHA)
    session = visit.to_stripe()
    visit.stripe.complete_checkout(session)
    order_ref = visit.client.get(f"/checkout/done?session_id={session}").location.split("/")[2]
    stranger = visit.app.test_client()

    for path in (f"/orders/{order_ref}", f"/orders/{order_ref}/thanks", f"/checkout/done?session_id={session}"):
        assert visit.client.get(path).status_code in {200, 303}
        assert stranger.get(path).status_code == 404


def test_without_stripe_nothing_is_charged_and_the_basket_stays(stocked: Path, tmp_path: Path) -> None:
    shutil.copytree(stocked, tmp_path / "instance")
    app = create_app(instance=tmp_path / "instance", stripe=nowhere(), config={"TESTING": True})
    client = app.test_client()
    client.post("/basket", data={"sku": MATCHA, "add": "1"})

    answer = client.post("/checkout", follow_redirects=True)

    assert answer.status_code == 200
    assert "Nothing was charged, and your basket is as it was." in answer.text
    assert "Ceremonial Matcha" in answer.text


def test_the_last_one_sold_is_not_offered_to_the_next_shopper(visit: Visit) -> None:
    left = visit.stock_of(WHISK)
    while left:
        taken = min(left, 20)
        visit.put(WHISK, taken)
        session = visit.to_stripe()
        visit.stripe.complete_checkout(session)
        visit.client.get(f"/checkout/done?session_id={session}")
        left -= taken

    page = visit.client.get(f"/orders/{visit.buy(MATCHA)}/thanks").text

    assert "<encore-offer" in page
    assert "Bamboo Matcha Whisk" not in page
    assert "Sold out" in visit.client.get(f"/products/{WHISK}").text


# -- languages -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locale", "direction", "thanks"),
    [("en", "ltr", "Thank you."), ("de", "ltr", "Ihre Bestellung ist bestätigt."), ("ar", "rtl", "تم تأكيد طلبك")],
)
def test_the_shop_and_the_order_speak_the_chosen_language(
    visit: Visit, locale: str, direction: str, thanks: str
) -> None:
    assert f'<html lang="{locale}" dir="{direction}">' in visit.client.get(f"/?lang={locale}").text

    order_ref = visit.buy(MATCHA)
    page = visit.client.get(f"/orders/{order_ref}/thanks").text

    assert thanks in page
    order = visit.shop.books.order(order_ref)
    assert order is not None
    assert order.locale == locale
    assert f'lang="{locale}' in page[page.index("<encore-offer") :]


def test_the_browsers_own_language_is_the_first_guess(visit: Visit) -> None:
    assert 'lang="de"' in visit.client.get("/", headers={"Accept-Language": "de-AT,de;q=0.9"}).text
    assert '<html lang="en"' in visit.client.get("/?lang=tlh").text


# -- links of the console --------------------------------------------------------------------------------------------


def test_the_merchants_link_works_once(visit: Visit) -> None:
    with visit.app.test_request_context():
        path = f"/merchant/{till.link('merchant', 'merchant')}"
    assert visit.client.get("/encore/dashboard/").status_code == 403

    answer = visit.client.get(path)

    assert answer.status_code == 302
    assert visit.client.get(answer.location, follow_redirects=True).status_code == 200
    assert visit.app.test_client().get(path).status_code == 404
    assert visit.app.test_client().get("/encore/dashboard/").status_code == 403


def test_a_forged_or_foreign_link_is_refused(visit: Visit) -> None:
    with visit.app.test_request_context():
        merchant, sample = till.link("merchant", "merchant"), till.link("sample", "PQ-200001")

    assert visit.client.get(f"/merchant/{merchant[:-2]}xx").status_code == 404
    assert visit.client.get(f"/merchant/{sample}").status_code == 404
    assert visit.client.get(f"/sample/{merchant}").status_code == 404


def test_the_ready_made_order_shows_an_offer_to_whoever_has_the_link(visit: Visit) -> None:
    with visit.app.app_context():
        order_ref = till.make_sample([MATCHA, "PAN-19"], now=visit.clock())
        path = f"/sample/{till.link('sample', order_ref)}"

    page = visit.client.get(path, follow_redirects=True)

    assert page.request.path == f"/orders/{order_ref}/thanks"
    assert "Bamboo Matcha Whisk" in page.text


def test_the_merchants_link_grows_stale_in_a_quarter_of_an_hour(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    with visit.app.test_request_context():
        path = f"/merchant/{till.link('merchant', 'merchant')}"
    later = (datetime.now(UTC) + timedelta(minutes=15, seconds=2)).timestamp()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: later)

    assert visit.client.get(path).status_code == 404

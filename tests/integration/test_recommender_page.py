"""The recommender's room over HTTP: figures as the model keeps them, pairs, training by hand, and going back."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import START, Shop, ShopFactory
from dashboard_campaigns import form_in, post, save, stored
from dashboard_pages import get, guarded, text_of

from flask_encore import Money, OrderLine, Product
from flask_encore.ranking.alone import alone
from flask_encore.ranking.under_way import under_way
from flask_encore.services import recommender
from flask_encore.store import history
from flask_encore.testing import FrozenClock

ROOM = "/encore/dashboard/recommender/"
PAIR = f"{ROOM}pair?sku=mug&other=pot"

#: What goes with it, for orders with a pot.
GOES_WITH: dict[str, Any] = {
    "ref": "goes-with",
    "name": "What goes with it",
    "offer": {"kind": "complementary", "discount": {"percent": 10}},
}


def past(shop: Shop, orders: int, *skus: str, name: str = "p", timed: bool = True) -> None:
    """Put orders of the same products into the history, a day apart, the last one yesterday."""
    first = START.timestamp() - 86_400 * orders
    rows = [
        (f"{name}{number}", sku, first + 86_400 * number if timed else None, None, 1, 900, "gbp")
        for number in range(orders)
        for sku in skus
    ]
    with shop.rt.db.write() as connection:
        history.add(connection, rows)


def ended() -> None:
    """Wait for what was begun in the background."""
    for thread in threading.enumerate():
        if thread.name == recommender.THREAD:
            thread.join(timeout=60)
            assert not thread.is_alive()


@pytest.fixture
def new(make_shop: ShopFactory, database_uri: str) -> Shop:
    """A shop on either database with its own recommender and 100 baskets of a pot and a mug, not trained yet."""
    shop = make_shop(database_uri, trained=True)
    past(shop, 100, "pot", "mug")
    past(shop, 60, "tea", name="t")
    return shop


@pytest.fixture
def trained(make_shop: ShopFactory, clock: FrozenClock) -> Shop:
    """The same on SQLite, trained an hour ago."""
    shop = make_shop(trained=True)
    past(shop, 100, "pot", "mug")
    past(shop, 60, "tea", name="t")
    with shop.app.app_context():
        assert shop.encore.train().version
    clock.advance(hours=1)
    return served(shop)


def served(shop: Shop) -> Shop:
    """The shop with a ranker that has looked at what is live; a second of the wall is nobody's to wait for."""
    shop.rt.ranker.__init__(Path(shop.rt.settings.model_dir))  # type: ignore[misc]
    return shop


def version(shop: Shop) -> str:
    return next((model.version for model in shop.rt.trainer.models() if model.live), "")


def audit(shop: Shop) -> list[tuple[str, str, str]]:
    return [(row["actor"], row["action"], row["subject"]) for row in shop.rows("audit")]


# What it shows


def test_before_the_first_training_the_page_says_what_it_takes(shop: Shop) -> None:
    told = text_of(get(shop, ROOM))
    assert "No model yet Until there is one, nothing is known of what goes with what." in told
    assert "at least 100 orders of two products or more" in told
    assert "Train now" in told
    assert "Bought together" not in told


def test_the_figures_are_those_the_model_keeps(trained: Shop) -> None:
    [row] = trained.rows("trainings")
    manifest = json.loads(
        (Path(trained.rt.settings.model_dir) / f"model-{row['version']}" / "manifest.json").read_text()
    )
    ours, best_sellers = (manifest["metrics"][name] for name in ("full_basket", "full_basket_popularity"))

    told = text_of(get(trained, ROOM))

    assert f"Version {row['version']} Trained 2 Mar 2026, 14:03" in told
    assert "Learned from 160 orders, 260 lines, 3 products Orders from 22 Nov 2025 to 1 Mar 2026" in told
    assert f"Asked {ours['queries']} times about the newest fifth of the orders" in told
    for figure in (
        f"Hit rate, first three {ours['hit_rate_at_3']:.1%} Best-sellers alone: {best_sellers['hit_rate_at_3']:.1%}",
        f"NDCG, first ten {ours['ndcg_at_10']:.3f} Best-sellers alone: {best_sellers['ndcg_at_10']:.3f}",
        f"Coverage {ours['coverage_at_3']:.1%}",
        "Hit rate since its training No orders yet",
        "2 Mar 2026, 14:03 Put live 160 orders, 3 products",
    ):
        assert figure in told


def test_what_came_after_the_training_is_told_with_its_interval(trained: Shop, clock: FrozenClock) -> None:
    for number in range(4):
        lines = [OrderLine(sku=sku, title=sku, quantity=1, unit_price=Money(900, "gbp")) for sku in ("pot", "mug")]
        trained.pay(f"n{number}", lines=lines)
    told = text_of(get(trained, ROOM))
    # Four of four: Wilson's score interval from 51.0 % on.
    assert "Hit rate since its training 100.0% 95% interval: 51.0% to 100.0%, of 4 orders" in told
    assert "No worse than luck explains. The upright line is the 100.0% it had on its own held-out orders." in told
    assert "NDCG 1.000. 0.0% of 8 lines are of products it had never seen." in told

    # To ask about every order takes its time, so it is asked anew after five minutes.
    trained.pay("n4", lines=lines)
    clock.advance(minutes=4, seconds=59)
    assert "to 100.0%, of 4 orders" in text_of(get(trained, ROOM))
    clock.advance(seconds=1)
    assert "to 100.0%, of 5 orders" in text_of(get(trained, ROOM))


def test_orders_without_times_say_so(make_shop: ShopFactory) -> None:
    shop = make_shop(trained=True)
    past(shop, 100, "pot", "mug", timed=False)
    with shop.app.app_context():
        shop.encore.train()
    assert "Orders from unknown times: the orders had none" in text_of(get(served(shop), ROOM))


def test_a_live_model_that_cannot_be_used_is_told_plainly(trained: Shop) -> None:
    next(Path(trained.rt.settings.model_dir).glob("model-*/items.npy")).write_bytes(b"torn")
    told = text_of(get(served(trained), ROOM))
    assert "The live model cannot be used. Model-" in told
    assert "train again" in told


def test_without_a_live_model_that_can_be_read_the_others_can_be_gone_back_to(trained: Shop) -> None:
    folder, kept = Path(trained.rt.settings.model_dir), version(trained)
    past(trained, 20, "pot", "tea", name="n")
    with trained.app.app_context():
        broken = trained.encore.train().version
    (folder / f"model-{broken}" / "manifest.json").write_text("torn")
    told = text_of(get(served(trained), ROOM))
    assert "The live model cannot be used." in told
    assert "No model yet" not in told
    assert post(trained, f"{ROOM}models/{kept}/use").status_code == 303
    assert version(trained) == kept


def test_what_a_shop_calls_its_products_is_text_and_never_markup(trained: Shop) -> None:
    with trained.app.app_context():
        trained.encore.catalog.upsert([Product(sku="mug", title="<b>Mug</b>", price=Money(900, "gbp"))])
    for path in (ROOM, f"{ROOM}?q=<script>", PAIR):
        page = get(trained, path)
        assert page.status_code == 200
        assert not re.search(r"<b>Mug|<script>", page.text)
    assert "Offer <b>Mug</b> first".lower() in text_of(get(trained, PAIR)).lower()


def test_a_shop_with_a_ranker_of_its_own_is_told_that_the_models_do_not_choose(trained: Shop, make_shop: Any) -> None:
    told = text_of(get(make_shop(), ROOM))
    assert "This shop ranks with a ranker of its own." in told
    assert "The shop’s own ranker does not tell which products it saw bought together." in told


# Pairs


def test_pairs_stand_with_their_titles_support_and_lift(trained: Shop) -> None:
    # 100 of 160 orders have a pot, and so a mug: (100 / 100) / (100 / 160) = 1.6 times.
    told = text_of(get(trained, ROOM))
    assert "Teapot with Enamel mug in 100 of 100 orders, 1.6 times more than chance Pin or block" in told
    assert told.count("Pin or block") == 1


def test_pairs_are_found_by_title_and_by_sku_in_any_database(new: Shop) -> None:
    with new.app.app_context():
        new.encore.train()
    served(new)
    for words in ("eNAMel", "mug"):
        assert "Enamel mug with Teapot in 100 of 100 orders" in text_of(get(new, ROOM, q=words))
    for words in ("assam", "100%", "nothing\0 of that kind"):
        told = text_of(get(new, ROOM, q=words, by="lift"))
        assert "It keeps no pair of a product with “" in told
        assert "Pin or block" not in told


def test_pairs_by_lift_come_furthest_above_chance_first(make_shop: ShopFactory) -> None:
    shop = make_shop(trained=True)
    past(shop, 100, "pot", "mug")
    past(shop, 10, "tea", "cosy", name="t")
    past(shop, 4, "fork", "spoon", name="f")
    with shop.app.app_context():
        shop.encore.train()
    served(shop)
    often, lifted = (text_of(get(shop, ROOM, by=by)) for by in ("orders", "lift"))
    assert often.index("Teapot with Enamel mug") < often.index("Assam tea, 250 g with cosy")
    assert lifted.index("Assam tea, 250 g with cosy") < lifted.index("Teapot with Enamel mug")
    assert "Assam tea, 250 g with cosy in 10 of 10 orders, 11.4 times more than chance" in lifted
    # Four orders are luck among the strongest, and told to whoever asks for the product, without a ratio.
    assert "spoon" not in often + lifted
    assert "fork with spoon in 4 of 4 orders Pin or block" in text_of(get(shop, ROOM, q="fork"))


def test_without_a_campaign_a_pair_leads_to_a_new_one_with_it_in_the_form(trained: Shop) -> None:
    page = get(trained, PAIR)
    told = text_of(page)
    assert "Bought together in 100 of 100 orders, 1.6 times more than chance." in told
    assert "The built-in offer takes what the model finds best; it has no place for a word of yours." in told
    ways = re.findall(r'href="(/encore/dashboard/campaigns/new\?[^"]+)"', page.text)
    forms = [form_in(get(trained, way)) for way in ways]
    assert [(form["complementary.pinned"], form["complementary.blocked"]) for form in forms] == [
        ("mug -> pot", ""),
        ("pot -> mug", ""),
        ("", "mug -> pot"),
    ]
    # What the built-in offer takes off: a new campaign takes its place.
    assert {form["complementary.discount.percent"] for form in forms} == {"10"}
    assert trained.rows("campaigns") == []


@pytest.mark.parametrize(
    ("word", "pinned", "blocked"),
    [
        ("pin", [("mug", "pot"), ("tea", "mug")], []),
        ("pin_back", [("pot", "mug"), ("tea", "mug")], []),
        ("block", [("tea", "mug")], [("mug", "pot")]),
    ],
)
def test_a_word_on_a_pair_is_added_to_the_campaign_once(
    word: str, pinned: list[Any], blocked: list[Any], any_shop: Shop
) -> None:
    shop = any_shop
    save(shop, **GOES_WITH | {"offer": GOES_WITH["offer"] | {"pinned": [["tea", "mug"]]}})
    form = form_in(get(shop, PAIR)) | {"word": word, "campaign": "goes-with"}

    for _ in range(2):
        response = shop.app.test_client().post(PAIR, data=form)
        assert response.status_code == 303
        form |= {"version.goes-with": "2"}

    offer = stored(shop, "goes-with").offer
    assert (list(offer.pinned), list(offer.blocked)) == (pinned, blocked)
    assert audit(shop)[1:] == [("merchant", "edit", "goes-with")]
    told = text_of(get(shop, response.location))
    assert "Saved in “What goes with it”." in told
    assert told.count("Says already") == 1


def test_a_campaign_changed_meanwhile_is_shown_with_the_difference_and_not_overwritten(shop: Shop) -> None:
    save(shop, **GOES_WITH)
    form = form_in(get(shop, PAIR)) | {"word": "pin", "campaign": "goes-with"}
    save(shop, expected=1, actor="ben", **GOES_WITH | {"priority": 9})

    response = shop.app.test_client().post(PAIR, data=form)

    assert response.status_code == 409
    assert "Somebody changed “What goes with it” meanwhile" in text_of(response)
    assert stored(shop, "goes-with").offer.pinned == ()
    again = form_in(response) | {"then": "save"}
    assert shop.app.test_client().post("/encore/dashboard/campaigns/goes-with/", data=again).status_code == 303
    assert (stored(shop, "goes-with").offer.pinned, stored(shop, "goes-with").priority) == ((("mug", "pot"),), 9)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"word": "pin"}, 422, "cannot say that"),
        ({"word": "sell"}, 422, "Choose what is to happen"),
        ({"campaign": ""}, 422, "Choose what is to happen"),
        ({"campaign": "tea"}, 404, "There is no such campaign"),
        ({"word": "block", "version.goes-with": "x"}, 409, "Somebody changed"),
        ({"seal": "forged"}, 403, "This page was open for too long."),
    ],
)
def test_what_cannot_be_said_of_a_pair_changes_nothing(
    changes: dict[str, str], status: int, words: str, shop: Shop
) -> None:
    save(shop)  # a fixed product: it has no place for pairs
    save(shop, **GOES_WITH | {"offer": GOES_WITH["offer"] | {"blocked": [["pot", "mug"]]}})
    form = form_in(get(shop, PAIR)) | {"word": "pin_back", "campaign": "goes-with"} | changes
    response = shop.app.test_client().post(PAIR, data=form)
    assert (response.status_code, words in text_of(response)) == (status, True)
    assert (stored(shop, "goes-with").offer.pinned, len(shop.rows("audit"))) == ((), 2)


@pytest.mark.parametrize("query", ["", "?sku=mug", "?sku=mug&other=mug", "?sku=%00&other=mug"])
def test_one_product_is_no_pair(query: str, shop: Shop) -> None:
    assert get(shop, f"{ROOM}pair{query}").status_code == 404
    assert post(shop, f"{ROOM}pair{query}").status_code == 404


# Training by hand


def test_training_by_hand_goes_live_and_is_written_down_in_any_database(new: Shop) -> None:
    response = post(new, f"{ROOM}train")
    assert (response.status_code, response.location) == (303, f"{ROOM}training")
    ended()
    [row] = new.rows("trainings")
    assert row["version"] == version(new) != ""
    assert audit(new) == [("merchant", "train", "the recommender")]
    told = text_of(get(new, f"{ROOM}training"))
    assert "The last training Put live 2 Mar 2026, 14:03 From 160 orders and 3 products." in told
    assert "refresh" not in get(new, f"{ROOM}training").text
    assert "Began to train the recommender by merchant" in text_of(get(new, "/encore/dashboard/campaigns/history"))


def test_a_training_under_way_is_told_on_every_page_and_by_every_process(trained: Shop) -> None:
    folder = Path(trained.rt.settings.model_dir)
    with alone(folder), under_way(folder, now=trained.clock()) as tell:
        tell(0.4361)
        page = get(trained, f"{ROOM}training")
        assert "Training Begun 2 Mar 2026, 15:03." in text_of(page)
        assert '<progress value="43" max="100"' in page.text
        assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page.text
        assert get(trained, f"{ROOM}training.json").json == {"running": True, "percent": 43}
        room = text_of(get(trained, ROOM))
        assert "A training is under way since 2 Mar 2026, 15:03, 43% done. Watch it" in room
        assert "Train now" not in room
    assert get(trained, f"{ROOM}training.json").json == {"running": False}
    assert "Train now" in text_of(get(trained, ROOM))


def test_a_second_training_is_refused_while_somebody_trains(trained: Shop) -> None:
    live = version(trained)
    with alone(Path(trained.rt.settings.model_dir)):
        response = post(trained, f"{ROOM}train")
        back = post(trained, f"{ROOM}models/{live}/use")
    ended()
    assert (response.status_code, back.status_code) == (409, 303)  # to use what is in use changes nothing
    assert "Nothing was begun The recommender is being trained already, here or in another process" in text_of(response)
    assert (version(trained), len(trained.rows("trainings")), audit(trained)) == (live, 1, [])


def test_a_model_in_doubt_is_not_put_live_and_by_force_after_a_question(make_shop: ShopFactory) -> None:
    shop = make_shop(trained=True)
    past(shop, 99, "pot", "mug")
    post(shop, f"{ROOM}train")
    ended()
    told = text_of(get(shop, f"{ROOM}training"))
    assert "Not put live" in told
    assert "It learned from 99 orders of two products or more, and fewer than 100 cannot show" in told
    assert version(shop) == ""
    assert f'href="{ROOM}force"' in get(shop, ROOM).text

    asked = get(shop, f"{ROOM}force")
    assert "Train, and put the model live even when it is in doubt?" in text_of(asked)
    assert (version(shop), len(shop.rows("trainings"))) == ("", 1)
    assert shop.app.test_client().post(f"{ROOM}force", data=form_in(asked)).status_code == 303
    ended()
    assert version(shop) != ""
    assert "Put live by force" in text_of(get(shop, ROOM))
    assert [json.loads(row["after"]) for row in shop.rows("audit")] == [
        {"even_if_in_doubt": False},
        {"even_if_in_doubt": True},
    ]


def test_a_training_that_fails_says_so_and_keeps_the_model(trained: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError("No space left on device")

    live = version(trained)
    monkeypatch.setattr("flask_encore.ranking.trainer.save", full)
    assert post(trained, f"{ROOM}train").status_code == 303
    ended()
    told = text_of(get(trained, f"{ROOM}training"))
    assert "Not put live" in told
    assert "It failed (OSError: No space left on device). The model before stays." in told
    assert version(trained) == live
    assert trained.rt.trainer.running() is None


def test_a_training_whose_process_was_stopped_is_told_and_another_may_begin(trained: Shop) -> None:
    # What is left on the disk of a process that is gone: the file, which nobody holds.
    (Path(trained.rt.settings.model_dir) / "TRAINING").write_text(
        '{"began_at": "2026-03-02T14:30:00+00:00", "percent": 7}'
    )
    for path in (ROOM, f"{ROOM}training"):
        told = text_of(get(trained, path))
        assert "The training of 2 Mar 2026, 14:30 came to no end, because its process was stopped." in told
    assert get(trained, f"{ROOM}training.json").json == {"running": False}
    assert post(trained, f"{ROOM}train").status_code == 303
    ended()
    assert trained.rt.trainer.running() is None
    assert len(trained.rows("trainings")) == 2


# Going back


def test_an_older_model_is_used_again_after_a_question_and_written_down(trained: Shop, clock: FrozenClock) -> None:
    older = version(trained)
    past(trained, 20, "pot", "tea", name="n")
    with trained.app.app_context():
        newer = trained.encore.train().version
    path = f"{ROOM}models/{older}/use"
    assert f'href="{path}"' in get(trained, ROOM).text
    asked = get(trained, path)
    assert f"Use model {older}?" in text_of(asked)
    assert version(trained) == newer

    responses = [trained.app.test_client().post(path, data=form_in(asked)) for _ in range(2)]

    assert [response.status_code for response in responses] == [303, 303]
    assert version(trained) == older
    assert f"Model {older} is live; every process follows within a second." in text_of(
        get(trained, responses[0].location)
    )
    [row] = trained.rows("audit")
    assert (row["actor"], row["action"]) == ("merchant", "use_model")
    assert (json.loads(row["before"]), json.loads(row["after"])) == ({"model": newer}, {"model": older})


def test_a_model_that_cannot_be_read_is_not_put_live(trained: Shop, clock: FrozenClock) -> None:
    older = version(trained)
    with trained.app.app_context():
        newer = trained.encore.train().version
    (Path(trained.rt.settings.model_dir) / f"model-{older}" / "items.npy").write_bytes(b"torn")
    response = post(trained, f"{ROOM}models/{older}/use")
    assert (response.status_code, "The model cannot be used" in text_of(response)) == (409, True)
    assert (version(trained), trained.rows("audit")) == (newer, [])


def test_there_is_no_model_of_that_version(trained: Shop) -> None:
    live = version(trained)
    assert get(trained, f"{ROOM}models/yesterday/use").status_code == 404
    assert post(trained, f"{ROOM}models/yesterday/use").status_code == 409
    assert (version(trained), trained.rows("audit")) == (live, [])


# Whose hands


@pytest.mark.parametrize("path", ["train", "force", "models/{live}/use", "pair?sku=mug&other=pot"])
def test_nothing_happens_without_a_seal_or_from_another_site(path: str, trained: Shop) -> None:
    live = version(trained)
    past(trained, 20, "pot", "tea", name="n")
    with trained.app.app_context():
        trained.encore.train()
    save(trained, **GOES_WITH)
    where = ROOM + path.format(live=live)
    newest, trainings, changes = version(trained), len(trained.rows("trainings")), len(trained.rows("audit"))

    bare = post(trained, where, sealed=False)
    foreign = post(trained, where, Origin="https://evil.example")

    ended()
    assert (bare.status_code, foreign.status_code) == (403, 403)
    assert (version(trained), len(trained.rows("trainings")), len(trained.rows("audit"))) == (
        newest,
        trainings,
        changes,
    )


@pytest.mark.parametrize(
    "path", ["", "train", "force", "training", "training.json", "models/x/use", "pair?sku=a&other=b"]
)
def test_the_room_is_for_the_merchant_alone(path: str, shop: Shop) -> None:
    guarded(shop, lambda: None)
    response = get(shop, ROOM + path)
    assert (response.status_code, "You are not signed in" in response.text) == (403, True)

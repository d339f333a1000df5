"""What a merchant's clicks do to campaigns and switches, who may click, and what becomes of nonsense."""

from __future__ import annotations

import json
import re
from io import BytesIO
from typing import Any

import pytest
import sqlalchemy as sa
from conftest import Shop, ShopFactory
from dashboard_campaigns import FORM, LIST, TEA, form_in, post, save, seal, stored
from dashboard_pages import HOME, get, guarded, text_of

from flask_encore.domain.campaigns import CampaignStatus
from flask_encore.services import switching
from flask_encore.web.origins import FORM_LIFETIME_SECONDS

GETS = [
    "",
    "new",
    "tea/",
    "tea/status/paused",
    "tea/duplicate",
    "tea/delete",
    "history",
    "tea/history",
    "import",
    "export",
]
POSTS = ["new", "preview", "tea/", "tea/preview", "tea/status/paused", "tea/duplicate", "tea/delete", "import"]


# One click


def test_a_campaign_is_paused_set_live_and_ended(any_shop: Shop) -> None:
    shop = any_shop
    save(shop)
    for status, sentence in (("paused", "is paused"), ("live", "is live"), ("ended", "is ended")):
        response = post(shop, f"{LIST}tea/status/{status}")
        assert response.status_code == 303
        assert f"“Tea with every pot” {sentence}" in text_of(get(shop, response.location))
        assert stored(shop).status == status


def test_what_has_ended_does_not_come_back(shop: Shop) -> None:
    save(shop, status="ended")
    response = post(shop, f"{LIST}tea/status/live")
    assert response.status_code == 409
    assert "duplicate it instead" in text_of(response)
    assert stored(shop).status is CampaignStatus.ENDED


def test_a_duplicate_is_a_draft_with_a_ref_of_its_own(shop: Shop) -> None:
    save(shop)
    assert form_in(get(shop, f"{LIST}tea/duplicate"))["ref"] == "tea-copy"
    response = post(shop, f"{LIST}tea/duplicate", {"ref": "tea-two"})
    assert (response.status_code, response.location) == (303, f"{LIST}tea-two/?saved=yes")
    assert stored(shop, "tea-two").status is CampaignStatus.DRAFT


@pytest.mark.parametrize("ref", ["tea", "Not A Ref", "", "built-in", "x" * 65])
def test_a_duplicate_needs_a_ref_nobody_has(ref: str, shop: Shop) -> None:
    save(shop)
    response = post(shop, f"{LIST}tea/duplicate", {"ref": ref})
    assert response.status_code == 409
    assert 'aria-invalid="true"' in response.text
    assert len(shop.rows("campaigns")) == 1


def test_a_draft_is_deleted_after_it_was_asked(shop: Shop) -> None:
    save(shop, status="draft")
    asked = form_in(get(shop, f"{LIST}tea/delete"))
    response = post(shop, f"{LIST}tea/delete", asked)
    assert "The draft “tea” is deleted." in text_of(get(shop, response.location))
    assert stored(shop) is None


def test_a_draft_somebody_changed_meanwhile_is_not_deleted(shop: Shop) -> None:
    save(shop, status="draft")
    asked = form_in(get(shop, f"{LIST}tea/delete"))
    save(shop, expected=1, status="draft", name="Changed")
    assert post(shop, f"{LIST}tea/delete", asked).status_code == 409
    assert stored(shop).name == "Changed"


def test_what_was_live_is_not_deleted(shop: Shop) -> None:
    version = save(shop)
    response = post(shop, f"{LIST}tea/delete", {"version": str(version)})
    assert (response.status_code, get(shop, f"{LIST}tea/delete").status_code) == (409, 409)
    assert "Only drafts can be deleted" in text_of(response)
    assert stored(shop) is not None


# Switches


@pytest.mark.parametrize(("switch", "banner"), [("off", "Offers are off."), ("shadow", "Shadow mode is on.")])
def test_a_switch_is_turned_after_it_was_asked_and_said_on_every_page(switch: str, banner: str, shop: Shop) -> None:
    path = f"/encore/dashboard/switches/{switch}/on"
    save(shop)
    assert get(shop, path).status_code == 200
    assert banner not in text_of(get(shop))

    assert post(shop, path).status_code == 303

    for page in (HOME, LIST, f"{LIST}tea/", f"{LIST}history", "/encore/dashboard/patterns", f"{LIST}nobody/"):
        assert banner in text_of(get(shop, page))
    assert "Turned a switch by merchant" in text_of(get(shop, f"{LIST}history"))

    assert post(shop, f"/encore/dashboard/switches/{switch}/off").status_code == 303
    assert banner not in text_of(get(shop))


def test_off_outranks_shadow_in_the_banner(shop: Shop) -> None:
    with shop.app.app_context():
        switching.turn(shop.rt, actor="anna", off=True, shadow=True)
    told = text_of(get(shop))
    assert "Offers are off." in told and "Shadow mode is on." not in told


def test_with_the_switch_off_no_order_gets_an_offer(shop: Shop) -> None:
    post(shop, "/encore/dashboard/switches/off/on")
    shop.pay()
    assert "encore-offer" not in shop.page().text


@pytest.mark.parametrize("path", ["banana/on", "off/maybe", "off/ON"])
def test_a_switch_there_is_not_is_a_page(path: str, shop: Shop) -> None:
    address = f"/encore/dashboard/switches/{path}"
    assert (get(shop, address).status_code, post(shop, address).status_code) == (404, 404)
    assert shop.rows("audit") == []


# History


def test_the_history_tells_who_changed_what_from_what_to_what(any_shop: Shop) -> None:
    shop = any_shop
    save(shop)
    save(shop, expected=1, actor="ben", name="Tea, strong", priority=5)
    post(shop, f"{LIST}tea/status/paused")
    told = text_of(get(shop, f"{LIST}tea/history"))
    assert "Changed the status of by merchant, 2 Mar 2026, 14:03 status live → paused" in told
    assert "Changed by ben, 2 Mar 2026, 14:03 name Tea with every pot → Tea, strong priority — → 5" in told
    assert "Created by anna, 2 Mar 2026, 14:03 What it is" in told
    assert told.index("paused") < told.index("by ben") < told.index("by anna")


def test_a_deleted_campaign_keeps_its_history(shop: Shop) -> None:
    save(shop, status="draft")
    post(shop, f"{LIST}tea/delete", {"version": "1"})
    assert "Deleted by merchant" in text_of(get(shop, f"{LIST}tea/history"))


def test_a_long_history_is_paged(shop: Shop) -> None:
    save(shop)
    for number in range(1, 52):
        save(shop, expected=number, priority=number)
    first = get(shop, f"{LIST}history")
    [older] = re.findall(r'rel="next" href="([^"]+)"', first.text)
    second = text_of(get(shop, older))
    assert first.text.count('class="when"') == 50
    assert "priority — → 1 " in second and "Created tea by anna" in second
    assert "Older changes" not in second


@pytest.mark.parametrize("cursor", ["0", "-1", "nonsense", "9" * 30, "²"])
def test_a_place_in_the_history_that_is_none_is_no_error(cursor: str, any_shop: Shop) -> None:
    save(any_shop)
    assert get(any_shop, f"{LIST}history", before=cursor).status_code == 200


# Files


def test_what_is_exported_is_imported_unchanged(shop: Shop) -> None:
    save(shop)
    exported = get(shop, f"{LIST}export")
    assert exported.headers["Content-Disposition"] == 'attachment; filename="campaigns.json"'
    assert json.loads(exported.text)["campaigns"][0]["ref"] == "tea"
    response = post(shop, f"{LIST}import", {"file": (BytesIO(exported.data), "campaigns.json")})
    assert "Unchanged 1 They are here exactly so. tea" in text_of(response)


def test_a_file_is_looked_at_first_and_imported_second(any_shop: Shop) -> None:
    shop = any_shop
    save(shop)
    document = {"format": 1, "campaigns": [TEA | {"name": "Renamed"}, TEA | {"ref": "fresh"}]}
    looked = post(shop, f"{LIST}import", {"file": (BytesIO(json.dumps(document).encode()), "c.json")})
    told = text_of(looked)
    assert "New 1 They are not here yet. fresh Changed 1 They are here, and the file has them otherwise. tea" in told
    assert [row["campaign_ref"] for row in shop.rows("campaigns")] == ["tea"]

    assert post(shop, f"{LIST}import", form_in(looked)).status_code == 303

    assert (stored(shop).name, stored(shop, "fresh").name) == ("Renamed", "Tea with every pot")
    assert "Imported fresh by merchant" in text_of(get(shop, f"{LIST}history"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "Choose a file first."),
        (b"{", "The file is not JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", "Nothing was imported."),
        (b'{"format": 1, "campaigns": [{"ref": "a"}]}', "campaigns[0].name: is missing."),
        (b" " * 400_001, "too large for this page"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_reason(content: bytes, sentence: str, shop: Shop) -> None:
    response = post(shop, f"{LIST}import", {"file": (BytesIO(content), "c.json")})
    assert response.status_code == 422
    assert sentence in text_of(response)
    assert shop.rows("campaigns") == []


def test_one_wrong_campaign_keeps_the_whole_file_out(shop: Shop) -> None:
    document = {"format": 1, "campaigns": [TEA, TEA | {"ref": "other", "offer": {"kind": "banana"}}]}
    response = post(shop, f"{LIST}import", {"confirmed": "yes", "document": json.dumps(document)})
    assert response.status_code == 422
    assert shop.rows("campaigns") == []


# Who, and nonsense


@pytest.mark.parametrize("answer", [None, False, ""])
def test_who_the_guard_does_not_name_is_refused_on_every_page(answer: Any, shop: Shop) -> None:
    save(shop)
    stolen = seal(shop)
    guarded(shop, lambda: answer)
    for path in GETS:
        assert get(shop, LIST + path).status_code == 403
    for path in POSTS:
        assert post(shop, LIST + path, {"seal": stolen} | FORM, sealed=False).status_code == 403
    assert len(shop.rows("campaigns")) == 1
    assert len(shop.rows("audit")) == 1


@pytest.mark.parametrize("path", [*(LIST + path for path in POSTS), "/encore/dashboard/switches/off/on"])
def test_a_form_of_another_site_or_without_our_seal_changes_nothing(path: str, shop: Shop) -> None:
    save(shop, status="draft")
    data = FORM | {"ref": "mine", "version": "1", "order_ref": "1042"}
    answers = [
        post(shop, path, data, **{"Sec-Fetch-Site": "cross-site"}),
        post(shop, path, data, Origin="https://evil.example"),
        post(shop, path, data, sealed=False),
        post(shop, path, data | {"seal": "forged"}),
    ]
    old = seal(shop)
    shop.clock.advance(seconds=FORM_LIFETIME_SECONDS + 1)
    answers.append(post(shop, path, data | {"seal": old}))
    assert [answer.status_code for answer in answers] == [403] * 5
    assert len(shop.rows("audit")) == 1


def test_a_stale_form_keeps_what_was_typed(shop: Shop) -> None:
    response = post(shop, f"{LIST}new", FORM | {"seal": "old", "name": "Typed for an hour"})
    assert "Nothing was saved yet" in text_of(response)
    assert form_in(response)["name"] == "Typed for an hour"


@pytest.mark.parametrize("ref", ["nobody", "Not%20A%20Ref", "%00", "é", "x" * 3000, "..%2f.."])
def test_a_campaign_there_is_not_is_a_page(ref: str, any_shop: Shop) -> None:
    for path in ("", "status/live", "duplicate", "delete", "history"):
        assert get(any_shop, f"{LIST}{ref}/{path}").status_code == 404
    for path in ("", "preview", "status/live", "duplicate", "delete"):
        assert post(any_shop, f"{LIST}{ref}/{path}", FORM).status_code == 404


def test_a_status_there_is_not_is_a_page(shop: Shop) -> None:
    save(shop)
    assert get(shop, f"{LIST}tea/status/banana").status_code == 404
    assert post(shop, f"{LIST}tea/status/banana").status_code == 404
    assert post(shop, f"{LIST}tea/status/draft").status_code == 409


@pytest.mark.parametrize("path", ["new", "preview", "tea/", "import"])
def test_a_form_of_two_megabytes_is_a_page_that_says_so(path: str, shop: Shop) -> None:
    save(shop)
    assert post(shop, LIST + path, {"rule": "x" * 2_000_000}).status_code == 413
    assert len(shop.rows("audit")) == 1


@pytest.mark.parametrize("data", [{}, {"kind": "fixed"}, {"rule.mode": "json", "rule": "\0"}, {"copy..headline": "x"}])
def test_half_a_form_is_a_form_with_errors(data: dict[str, str], any_shop: Shop) -> None:
    assert post(any_shop, f"{LIST}new", data).status_code == 422
    assert any_shop.rows("campaigns") == []


def test_an_actor_with_unprintable_letters_can_change_things_too(shop: Shop) -> None:
    guarded(shop, lambda: "anna\n\u202eadmin")
    assert post(shop, f"{LIST}new", FORM).status_code == 303
    assert [row["updated_by"] for row in shop.rows("campaigns")] == ["anna  admin"]


def test_tables_that_are_not_there_are_a_page(make_shop: ShopFactory) -> None:
    shop = make_shop()
    with shop.rt.db.write() as connection:
        for table in ("campaigns", "switches", "audit"):
            connection.execute(sa.text(f"DROP TABLE encore_{table}"))
    for path in (LIST, f"{LIST}tea/", f"{LIST}history", f"{LIST}export"):
        response = get(shop, path)
        assert response.status_code == 503
        assert "flask encore db upgrade" in text_of(response)


def test_nothing_is_inline_and_nothing_is_kept(shop: Shop) -> None:
    save(shop)
    shop.pay()
    pages = [get(shop, LIST + path) for path in GETS if path != "export"]
    pages.append(post(shop, f"{LIST}tea/preview", FORM | {"version": "1", "order_ref": "1042"}))
    for response in pages:
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; ")
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", response.text)

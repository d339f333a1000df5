"""A token proves that we made it, for this use, not long ago; everything else is read as nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from itsdangerous import URLSafeSerializer, URLSafeTimedSerializer

from flask_encore.testing import FrozenClock
from flask_encore.web.tokens import SALT, Ticket, Tokens, asked_in, asking, choice_in, without_asking

KEY, OLD_KEY = "the newest key, 32 characters ok", "the key before it, 32 characters"
TICKET = Ticket(offer_id="b1946ac92492d2347c6235b4d2611184", account="acct_1", path="/thanks/1042?x=1")
NOW = datetime(2026, 3, 2, 14, 3, tzinfo=UTC)


def tokens(*keys: str, clock: FrozenClock | None = None) -> Tokens:
    """Tokens of an hour, signed with the first of *keys*."""
    return Tokens(keys or (KEY,), lifetime_seconds=3600, clock=clock or FrozenClock(NOW))


def signed(content: object, *, key: str = KEY, salt: str = SALT) -> str:
    """*content* signed as rightly as can be, in 2026."""
    clock = FrozenClock(NOW)
    made = Tokens((key,), lifetime_seconds=3600, clock=clock)._serializer
    serializer = URLSafeTimedSerializer([key], salt=salt, signer=made.signer)
    token = serializer.dumps(content)
    assert isinstance(token, str)
    return token


def test_a_token_reads_as_the_ticket_it_was_made_of() -> None:
    assert tokens().read(tokens().issue(TICKET)) == TICKET


def test_a_ticket_keeps_its_place_and_the_first_place_is_signed_as_it_always_was() -> None:
    second = replace(TICKET, place=2)
    assert tokens().read(tokens().issue(second)) == second
    assert tokens().read(signed([TICKET.offer_id, TICKET.account, TICKET.path])) == TICKET


@pytest.mark.parametrize("place", [1, 0, -1, True, "2", 2.0, None])
def test_a_place_that_is_none_of_ours_reads_as_nothing(place: object) -> None:
    assert tokens().read(signed([TICKET.offer_id, TICKET.account, TICKET.path, place])) is None


@pytest.mark.parametrize(
    ("path", "place", "choice", "notice", "url"),
    [
        ("/thanks/1", 1, 0, "", "/thanks/1"),
        ("/thanks/1", 1, 2, "", "/thanks/1?encore_choice=2"),
        ("/thanks/1?x=1", 1, 0, "busy", "/thanks/1?x=1&encore_notice=busy"),
        ("/thanks/1", 2, 3, "busy", "/thanks/1?encore_2_choice=3&encore_2_notice=busy"),
    ],
)
def test_a_page_is_asked_for_a_choice_by_arguments_of_our_own_and_forgets_them(
    path: str, place: int, choice: int, notice: str, url: str
) -> None:
    assert asking(path, place=place, choice=choice, notice=notice) == url
    query = dict(pair.split("=") for pair in url.partition("?")[2].split("&") if pair)
    assert asked_in(query, place=place) == (choice, notice)
    assert asked_in(query, place=3) == (0, "")
    assert without_asking(url.partition("?")[2]) == path.partition("?")[2]


def test_arguments_of_the_shops_own_are_left_alone() -> None:
    own = "encore=1&encore_x=2&choice=3&xencore_choice=4&encore_choices=5"
    assert without_asking(f"{own}&encore_choice=6&encore_12_notice=x") == own


@pytest.mark.parametrize("text", ["", "-1", "1.0", "٣", " 1", "1\n", "100", "x", "0x1"])
def test_what_is_no_number_of_a_choice_is_the_number_no_choice_has(text: str) -> None:
    assert choice_in(text) == -1


def test_a_token_can_stand_in_a_url_as_it_is() -> None:
    assert tokens().issue(TICKET).replace("-", "").replace("_", "").replace(".", "").isalnum()


@pytest.mark.parametrize("position", range(0, 150, 7))
def test_no_single_character_can_be_changed(position: int) -> None:
    token = tokens().issue(TICKET)
    position %= len(token) - 1  # the last one holds two bits that mean nothing
    other = "A" if token[position] != "A" else "B"

    assert tokens().read(token[:position] + other + token[position + 1 :]) is None


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b.c", "é.é.é", "\x00", "=" * 40, "A" * 100_000, ".eJwDAAAAAAE.aaaaaa.aaaa"]
)
def test_what_is_no_token_at_all_reads_as_nothing(token: str) -> None:
    assert tokens().read(token) is None


@pytest.mark.parametrize("cut", [1, 10, 40])
def test_a_shortened_token_reads_as_nothing(cut: int) -> None:
    assert tokens().read(tokens().issue(TICKET)[:-cut]) is None


def test_a_token_is_read_for_its_lifetime_and_not_a_second_longer() -> None:
    clock = FrozenClock(NOW)
    token = tokens(clock=clock).issue(TICKET)

    clock.advance(seconds=3600)
    assert tokens(clock=clock).read(token) == TICKET
    clock.advance(seconds=1)
    assert tokens(clock=clock).read(token) is None


def test_a_token_of_a_server_whose_clock_is_ahead_is_read() -> None:
    ahead, behind = FrozenClock(NOW), FrozenClock(NOW)
    ahead.advance(seconds=2)

    assert tokens(clock=behind).read(tokens(clock=ahead).issue(TICKET)) == TICKET


def test_a_signature_made_for_another_use_does_not_fit() -> None:
    content = [TICKET.offer_id, TICKET.account, TICKET.path]
    assert tokens().read(signed(content)) == TICKET
    assert tokens().read(signed(content, salt="encore-admin-v1")) is None
    assert tokens().read(signed(content, salt="itsdangerous.Signer")) is None


def test_the_hosts_session_cookie_is_no_token() -> None:
    cookie = URLSafeTimedSerializer(KEY, salt="cookie-session").dumps({"user": 1})
    assert tokens().read(str(cookie)) is None


def test_a_token_without_a_time_is_no_token() -> None:
    assert tokens().read(str(URLSafeSerializer(KEY, salt=SALT).dumps([TICKET.offer_id, "acct_1", "/"]))) is None


def test_an_old_key_is_still_read_and_no_longer_signs() -> None:
    before, after = tokens(OLD_KEY), tokens(KEY, OLD_KEY)

    assert after.read(before.issue(TICKET)) == TICKET
    assert tokens(KEY).read(after.issue(TICKET)) == TICKET
    assert before.read(after.issue(TICKET)) is None


def test_a_key_that_was_taken_away_reads_nothing_any_more() -> None:
    assert tokens(KEY).read(tokens(OLD_KEY).issue(TICKET)) is None


def test_another_apps_token_reads_as_nothing() -> None:
    assert tokens("another app's own key, 32 letters").read(tokens().issue(TICKET)) is None


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        "text",
        [],
        ["id", "acct_1"],
        ["id", "acct_1", "/", "more"],
        [1, "acct_1", "/"],
        ["id", None, "/"],
        ["id", "acct_1", None],
        {"0": "id", "1": "acct_1", "2": "/"},
    ],
)
def test_rightly_signed_content_of_another_shape_reads_as_nothing(content: object) -> None:
    assert tokens().read(signed(content)) is None


ELSEWHERE = [
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "evil.example",
    "",
    "/\t/evil.example",
    "/\n/evil.example",
    " /thanks",
    "/thanks\r\nSet-Cookie: a=b",
    "/thanks/\u202eevil",
]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_is_not_the_shops_own_is_refused_even_if_we_signed_it(path: str) -> None:
    assert tokens().read(signed(["id", "acct_1", path])) is None


@pytest.mark.parametrize("path", [*ELSEWHERE, "/thanks/\ud800"])
def test_a_page_at_an_odd_address_gets_a_token_that_leads_to_the_start_page(path: str) -> None:
    ticket = tokens().read(tokens().issue(Ticket(offer_id="id", account="acct_1", path=path)))
    assert ticket == Ticket(offer_id="id", account="acct_1", path="/")


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/" + "a" * 499, "/" + "a" * 499),
        ("/" + "a" * 500, "/"),
        ("/thanks/1042?utm=" + "a" * 500, "/thanks/1042"),
        ("/thanks/%5C%2F?a=%0A", "/thanks/%5C%2F?a=%0A"),
    ],
)
def test_a_path_too_long_for_a_url_loses_its_query_first(path: str, kept: str) -> None:
    ticket = tokens().read(tokens().issue(Ticket(offer_id="id", account="acct_1", path=path)))
    assert ticket is not None
    assert ticket.path == kept

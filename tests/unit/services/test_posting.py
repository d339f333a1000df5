"""What a POST to somebody's address does with names, certificates, redirects, and answers that never end."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from receivers import CERTIFICATE, Receiver, closed_port, receiver

from flask_encore.domain.targets import TargetRefused, parse
from flask_encore.services.posting import MAX_ANSWER_BYTES, Answer, Poster, Unreachable

PUBLIC, OTHER, INSIDE = "93.184.216.34", "93.184.216.35", "10.0.0.7"

#: Long enough for anything on this machine; reached only when a test fails.
PATIENCE = 20.0

Names = Callable[..., list[str]]


@pytest.fixture
def hooks() -> Iterator[Receiver]:
    """A receiver without TLS."""
    with receiver() as made:
        yield made


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Lets a name lead to addresses, the next ones at each question; answers a log of the questions."""

    def lead(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        real = socket.getaddrinfo

        def getaddrinfo(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            if not host.endswith(".example.com"):
                return real(host, port, *args, **kwargs)
            asked.append(host)
            found = answers[min(len(asked), len(answers)) - 1]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        return asked

    return lead


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, int]], list[str]]:
    """Lets addresses be ports of this machine; answers a log of what was connected to."""

    def lead(ports: dict[str, int]) -> list[str]:
        log: list[str] = []
        real = socket.create_connection

        def create_connection(address: tuple[str, int], *args: Any, **kwargs: Any) -> socket.socket:
            log.append(address[0])
            if address[0] not in ports:
                raise ConnectionRefusedError
            return real(("127.0.0.1", ports[address[0]]), *args, **kwargs)

        monkeypatch.setattr(socket, "create_connection", create_connection)
        return log

    return lead


def post(url: str, *, poster: Poster | None = None, headers: dict[str, str] | None = None) -> Answer:
    return (poster or Poster()).post(parse(url, allow_loopback=True), b'{"a":1}', headers or {})


def trusting() -> Poster:
    """Trusts the receivers' certificate as others trust a public one."""
    certificate = CERTIFICATE[CERTIFICATE.index("-----BEGIN CERTIFICATE") :]
    return Poster(tls=ssl.create_default_context(cadata=certificate))


def test_the_body_arrives_with_its_headers_and_the_answer_comes_back(hooks: Receiver) -> None:
    hooks.answer = lambda _: (202, {}, b"taken\x1b[31m\r\n  thanks")

    assert post(f"{hooks.url}?key=1", headers={"webhook-id": "msg_1"}) == Answer(code=202, text="taken [31m thanks")

    (request,) = hooks.requests
    assert (request.path, request.body) == ("/hook?key=1", b'{"a":1}')
    assert request.headers == {
        "accept-encoding": "identity",
        "host": f"127.0.0.1:{hooks.port}",
        "content-length": "7",
        "content-type": "application/json",
        "user-agent": "Flask-Encore",
        "webhook-id": "msg_1",
        "connection": "close",
    }


def test_tls_is_spoken_to_the_checked_address_in_the_hosts_own_name(
    tmp_path: Path, names: Names, dialled: Callable[[dict[str, int]], list[str]]
) -> None:
    asked = names([PUBLIC])
    with receiver(tls_in=tmp_path) as hooks:
        log = dialled({PUBLIC: hooks.port})
        assert post("https://hooks.example.com/in", poster=trusting()).code == 204

        assert hooks.names == ["hooks.example.com"]
        assert hooks.requests[0].headers["host"] == "hooks.example.com"
    assert (asked, log) == (["hooks.example.com"], [PUBLIC])


@pytest.mark.parametrize(
    ("url", "poster", "said"),
    [
        ("https://others.example.com/in", trusting, "Hostname mismatch"),
        ("https://hooks.example.com/in", Poster, "self-signed certificate"),
    ],
)
def test_who_shows_no_certificate_for_that_name_is_sent_nothing(
    tmp_path: Path,
    names: Names,
    dialled: Callable[[dict[str, int]], list[str]],
    url: str,
    poster: Callable[[], Poster],
    said: str,
) -> None:
    names([PUBLIC])
    with receiver(tls_in=tmp_path) as hooks:
        dialled({PUBLIC: hooks.port})
        with pytest.raises(Unreachable, match=said):
            post(url, poster=poster())

        assert hooks.requests == []


def test_a_name_that_leads_elsewhere_once_it_was_checked_is_not_asked_again(
    tmp_path: Path, names: Names, dialled: Callable[[dict[str, int]], list[str]]
) -> None:
    asked = names([PUBLIC], ["127.0.0.1"])
    with receiver(tls_in=tmp_path) as hooks:
        log = dialled({PUBLIC: hooks.port, "127.0.0.1": hooks.port})
        assert post("https://hooks.example.com/in", poster=trusting()).code == 204
        assert (asked, log) == (["hooks.example.com"], [PUBLIC])

        # The next delivery asks anew, and is told about the inside.
        with pytest.raises(TargetRefused):
            post("https://hooks.example.com/in", poster=trusting())
        assert (len(hooks.requests), log) == (1, [PUBLIC])


@pytest.mark.parametrize(
    "found",
    [[INSIDE], [PUBLIC, INSIDE], ["127.0.0.1"], ["169.254.169.254"], ["::1"], ["::ffff:10.0.0.7"], ["fe80::1%2"]],
)
def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(
    names: Names, dialled: Callable[[dict[str, int]], list[str]], found: list[str]
) -> None:
    names(found)
    log = dialled({})

    with pytest.raises(TargetRefused, match="not an address of the public internet"):
        post("https://hooks.example.com/in")
    assert log == []


def test_the_next_address_is_tried_when_one_takes_no_connection(
    tmp_path: Path, names: Names, dialled: Callable[[dict[str, int]], list[str]]
) -> None:
    names([OTHER, PUBLIC])
    with receiver(tls_in=tmp_path) as hooks:
        log = dialled({PUBLIC: hooks.port})
        assert post("https://hooks.example.com/in", poster=trusting()).code == 204
    assert log == [OTHER, PUBLIC]


def test_a_redirect_is_answered_and_not_followed(hooks: Receiver) -> None:
    with receiver() as inside:
        hooks.answer = lambda _: (307, {"Location": inside.url}, b"")
        answer = post(hooks.url)

        assert (answer.code, answer.is_taken) == (307, False)
        assert (len(hooks.requests), inside.requests) == (1, [])


def test_of_a_long_answer_one_kilobyte_is_read(hooks: Receiver) -> None:
    hooks.answer = lambda _: (200, {}, b"x" * 5_000_000)

    assert post(hooks.url) == Answer(code=200, text="x" * MAX_ANSWER_BYTES)


@contextmanager
def dripping(beginning: bytes) -> Iterator[str]:
    """The URL of a server that answers *beginning* and then a byte at a time, as long as somebody reads."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                connection.sendall(beginning)
                while not over.wait(0.01):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        over.set()
        thread.join(PATIENCE)


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_an_answer_that_drips_is_cut_off_at_the_deadline(beginning: bytes) -> None:
    with dripping(beginning) as url, pytest.raises(Unreachable, match="no answer in time"):
        post(url, poster=Poster(timeout_seconds=0.2))


@pytest.mark.parametrize("rest", [b"", b"Content-Length: 900\r\n\r\n"])
def test_a_status_that_came_counts_however_the_rest_of_the_answer_drips(rest: bytes) -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n" + rest) as url:
        # long enough for a busy machine to send the status at all
        assert post(url, poster=Poster(timeout_seconds=2)).is_taken


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n"]
)
def test_what_is_no_answer_is_none(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(Unreachable, match="no answer"):
            post(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join(PATIENCE)


def test_a_port_nobody_listens_on_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="no connection"):
        post(f"http://127.0.0.1:{closed_port()}/")


def test_a_name_that_leads_nowhere_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with pytest.raises(Unreachable, match="name was not found"):
        post("https://hooks.example.com/")


def test_a_name_server_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(PATIENCE) and [])

    with pytest.raises(Unreachable, match="not found in time"):
        post("https://hooks.example.com/", poster=Poster(timeout_seconds=0.1))
    assert not answered.is_set()
    answered.set()


def test_no_proxy_is_asked(hooks: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")

    assert post(hooks.url).code == 204

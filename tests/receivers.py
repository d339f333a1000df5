"""A merchant's own system, listening on 127.0.0.1, and the specification's check written a second time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from conftest import Shop

from flask_encore.domain.hooks import Webhook
from flask_encore.services import hooking

#: For ``hooks.example.com``, signed by itself, made for these tests and used nowhere else; valid until 2126.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVUuFkZYYqJO/JU/f
nJTnrqqaNx42ZKL9Qf83fH64+kOhRANCAAQ2MUgvVhKqRd1xzECfz6T7BiIjnp1Q
NwDvFHSMNGzUz2SuD8A7UP0mmx4Ie8hC2fj80EvjMov3vHdjbsB8af4b
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBrDCCAVOgAwIBAgIUA/cg6ltigc9tNpSRcqPShOV16JkwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRaG9va3MuZXhhbXBsZS5jb20wIBcNMjYxMTIyMDM1MDQzWhgP
MjEyNjEwMjkwMzUwNDNaMBwxGjAYBgNVBAMMEWhvb2tzLmV4YW1wbGUuY29tMFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENjFIL1YSqkXdccxAn8+k+wYiI56dUDcA
7xR0jDRs1M9krg/AO1D9JpseCHvIQtn4/NBL4zKL97x3Y27AfGn+G6NxMG8wHQYD
VR0OBBYEFBwa8GNlkm/CXqRT4o6jUKOEwez+MB8GA1UdIwQYMBaAFBwa8GNlkm/C
XqRT4o6jUKOEwez+MA8GA1UdEwEB/wQFMAMBAf8wHAYDVR0RBBUwE4IRaG9va3Mu
ZXhhbXBsZS5jb20wCgYIKoZIzj0EAwIDRwAwRAIgXmt/RBHbHpSpsW5cwD4khuNr
U91r+AlLewpg8L1p0ScCIEGlOKvLdTybAd0LNMI5chLpoM210qOgx6cvqJUTZJRt
-----END CERTIFICATE-----
"""


@dataclass
class Request:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read."""
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server; *answer* decides the status of each request, and any other header and body."""

    port: int
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], int | tuple[int, dict[str, str], bytes]] = lambda _request: 204
    names: list[str | None] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens, without TLS."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def told(self) -> list[tuple[str, str]]:
        """The type and the order of each message, in the order they came."""
        return [(one.json["type"], one.json["data"].get("order_ref", "")) for one in self.requests]


@contextmanager
def receiver(*, tls_in: Path | None = None) -> Iterator[Receiver]:
    """A receiver, with TLS when given a folder for its certificate."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(path=self.path, headers={k.lower(): v for k, v in self.headers.items()}, body=body)
            with lock:
                made.requests.append(request)
            said = made.answer(request)
            code, headers, text = (said, {}, b"") if isinstance(said, int) else said
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # a client that hangs up is what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    made = Receiver(port=server.server_address[1])
    if tls_in is not None:
        (tls_in / "hooks.pem").write_text(CERTIFICATE)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls_in / "hooks.pem")
        context.sni_callback = lambda _socket, name, _context: made.names.append(name)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def verifies(request: Request, secret: str) -> bool:
    """Whether one of a request's signatures is right: the specification, written without Encore's help."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = b".".join(
        [request.headers["webhook-id"].encode(), request.headers["webhook-timestamp"].encode(), request.body]
    )
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(each, f"v1,{expected}") for each in request.headers["webhook-signature"].split(" "))


def add(shop: Shop, url: str, *kinds: str) -> Webhook:
    """An endpoint of the shop."""
    return hooking.add(shop.rt, url, kinds=kinds, actor="merchant")


def deliveries(shop: Shop) -> list[tuple[str, str, int]]:
    """Order, status and attempts of every delivery, oldest first."""
    return [(one.order_ref, one.status.value, one.attempts) for one in reversed(hooking.deliveries(shop.rt))]


def not_for(order_ref: str, *, times: int = 1_000_000) -> Callable[[Request], int]:
    """Answers 500 for an order's messages, so many times."""
    refused: list[Request] = []

    def answer(request: Request) -> int:
        if request.json["data"].get("order_ref") == order_ref and len(refused) < times:
            refused.append(request)
            return 500
        return 204

    return answer

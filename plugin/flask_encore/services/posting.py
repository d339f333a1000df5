"""POST to an address somebody typed: to the public internet, at the very address that was checked, within a deadline.

No proxy is used and no redirect followed: either would speak to a machine that was not checked.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from flask_encore.domain.targets import LOOPBACK, Target, checked_address
from flask_encore.services.lanes import Lanes, OverBudget

#: An endpoint has this long for everything: to be connected to, to take the message, to answer.
TIMEOUT_SECONDS = 10.0
#: So much of an answer is read; all that matters is its status.
MAX_ANSWER_BYTES = 1024


class Unreachable(Exception):
    """There was no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an endpoint said; *text* is the readable beginning of it."""

    code: int
    text: str

    @property
    def is_taken(self) -> bool:
        """Whether it took the message: nothing but a 2xx says so."""
        return 200 <= self.code < 300


class Poster:
    """Sends to targets.

    Args:
        tls: How to make sure who answers; the system's certificates when not said.
        timeout_seconds: For one message altogether.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._tls = tls
        self._timeout = timeout_seconds
        self._resolving = Lanes("encore-webhook-names")

    def check(self, target: Target) -> list[str]:
        """The addresses of *target*, each of them allowed.

        Raises:
            TargetRefused: If one of them is not: a name that leads to both is an attempt.
            Unreachable: If the name leads nowhere, or not within the deadline.
        """
        try:
            found = self._resolving.run(lambda: addresses(target.host, target.port), seconds=self._timeout)
        except OverBudget as error:
            raise Unreachable("the host's name was not found in time") from error
        except (OSError, UnicodeError) as error:
            raise Unreachable(f"the host's name was not found ({type(error).__name__})") from error
        if target.is_local:
            return [address for address in found if address in LOOPBACK]
        return [checked_address(address) for address in found]

    def post(self, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send *body* to *target* and answer what it said. Never raises for an answer, whatever its status.

        Raises:
            TargetRefused: As `check`; nothing was sent.
            Unreachable: If there was no answer, for whatever reason; it may have been taken all the same.
        """
        deadline = time.monotonic() + self._timeout
        line = _Line(self._connect(target, self.check(target), deadline))
        # Each read may take as long as the socket's timeout, and an endpoint that drips answers forever: this ends it.
        watch = threading.Timer(max(0.0, deadline - time.monotonic()), line.cut)
        watch.daemon = True
        watch.start()
        try:
            if not target.is_plain:
                self._secure(line, target)
            return _exchange(line.socket, target, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = "no answer in time" if time.monotonic() >= deadline else f"no answer ({_told(error)})"
            raise Unreachable(said) from error
        finally:
            watch.cancel()
            line.socket.close()

    def _connect(self, target: Target, allowed: list[str], deadline: float) -> socket.socket:
        """A connection to the first address that takes one: the address that was checked, and not the name again."""
        for address in allowed:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                return socket.create_connection((address, target.port), timeout=left)
            except OSError:
                continue
        raise Unreachable("no connection")

    def _secure(self, line: _Line, target: Target) -> None:
        """TLS with the host's own name: it has to show a certificate for that, whatever its address."""
        if self._tls is None:
            self._tls = ssl.create_default_context()
        secured = self._tls.wrap_socket(line.socket, server_hostname=target.host, do_handshake_on_connect=False)
        line.socket = secured
        secured.do_handshake()


class _Line:
    """A connection that another thread may cut."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    def cut(self) -> None:
        """End it; whoever waits for it reads the end."""
        with suppress(OSError):
            # The base class's: that of an SSL socket also takes the encryption away, which its reader is using.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


def _exchange(connected: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> Answer:
    connection = http.client.HTTPConnection(target.host, target.port)
    connection.sock = connected
    usual = {"Host": target.host_header, "Content-Type": "application/json", "User-Agent": "Flask-Encore"}
    connection.request("POST", target.path, body, {**usual, **headers, "Connection": "close"})
    response = connection.getresponse()
    said = response.read(MAX_ANSWER_BYTES).decode("utf-8", "replace")
    text = "".join(letter if letter.isprintable() else " " for letter in said)
    return Answer(code=response.status, text=" ".join(text.split()))


def _told(error: Exception) -> str:
    """What went wrong, in a word; a certificate's fault in its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return type(error).__name__


def addresses(host: str, port: int) -> list[str]:
    """Every address of *host*, as the machine's resolver tells them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))

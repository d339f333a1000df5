"""The HTTP server: keep-alive, one thread per connection, loopback only."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from flask_encore.testing.stripe_simulator import pages
from flask_encore.testing.stripe_simulator.api import Api
from flask_encore.testing.stripe_simulator.faults import ConnectionCut
from flask_encore.testing.stripe_simulator.world import World

_log = logging.getLogger(__name__)

#: Larger bodies are refused; Stripe's own requests are a few kilobytes.
_LARGEST_BODY = 1_000_000

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "*, Authorization, Content-Type, Idempotency-Key, Stripe-Version",
    "Access-Control-Max-Age": "600",
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Answers go out in one write, so waiting for more (Nagle) could only cost time.
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_OPTIONS(self) -> None:
        self._reply(204, b"", {})

    def _serve(self) -> None:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _LARGEST_BODY:
            self.close_connection = True
            self._reply(413, b"", {})
            return
        body = self.rfile.read(length).decode("utf-8", "replace")
        where = urlsplit(self.path)
        if where.path.startswith("/v1/"):
            try:
                answer = self.server.api.answer(self.command, where.path, where.query, body, dict(self.headers))
            except ConnectionCut:
                self.close_connection = True
                return
            payload = json.dumps(answer.body).encode()
            self._reply(answer.status, payload, {"Content-Type": "application/json", **answer.headers})
            return
        page = pages.serve(self.server.world, self.command, where.path, where.query, body)
        self._reply(page.status, page.body, page.headers)

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**_CORS, **headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers_with(body)

    def end_headers_with(self, body: bytes) -> None:
        """Head and body in one packet."""
        head = b"".join(self._headers_buffer) + b"\r\n"
        self._headers_buffer: list[bytes] = []
        self.wfile.write(head + (b"" if self.command == "HEAD" else body))

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


@dataclass(slots=True)
class _Open:
    """Connections and their threads, to be ended with the server."""

    sockets: set[socket.socket] = field(default_factory=set)
    threads: set[threading.Thread] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Server(ThreadingHTTPServer):
    """Serves one `World` until `close`.

    Args:
        port: TCP port on 127.0.0.1; 0 picks a free one.
    """

    daemon_threads = True
    #: Thirty clients at once must not meet a refused connection.
    request_queue_size = 128

    def __init__(self, port: int, *, world: World, api: Api) -> None:
        self.world = world
        self.api = api
        self._open = _Open()
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for the machine's name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own that `close` can end."""
        thread = threading.Thread(target=self._serve_connection, args=(request, client_address), daemon=True)
        with self._open.lock:
            self._open.sockets.add(request)
            self._open.threads.add(thread)
        thread.start()

    def _serve_connection(self, request: Any, client_address: Any) -> None:
        try:
            self.process_request_thread(request, client_address)
        finally:
            with self._open.lock:
                self._open.sockets.discard(request)
                self._open.threads.discard(threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is its own business; anything else is a bug worth a line."""
        _log.debug("A connection ended badly", exc_info=True)

    def close(self) -> None:
        """Stop accepting, end every connection, wait for the threads, close the socket."""
        self.shutdown()
        with self._open.lock:
            for each in self._open.sockets:
                with contextlib.suppress(OSError):  # the client was faster
                    each.shutdown(socket.SHUT_RDWR)
            threads = list(self._open.threads)
        for thread in threads:
            thread.join()
        self.server_close()

"""Answers read to their end before they are sent, for servers whose visitors leave in the middle of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def whole(app: Any) -> Any:
    """*app*, holding no file open while it sends.

    A browser that closes while an image is on its way makes Werkzeug's server forget to close the image's file, and a
    file left open is a failure here.
    """

    def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
        parts = app(environ, start_response)
        try:
            return [b"".join(parts)]
        finally:
            if hasattr(parts, "close"):
                parts.close()

    return answer

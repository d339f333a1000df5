"""The opaque token of an offer: signed, salted, expiring, with rotating keys. It proves we made it; the row decides."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from flask_encore.domain.ports import Clock

#: Names the use and the layout of the token: a signature made for anything else does not fit.
SALT = "encore-offer-v1"

#: Bytes of a page's path that travel in the token; of a longer one the query is left out, then all of it.
MAX_PATH = 500

#: A path on this very host. Browsers take ``//`` and ``/\`` for another host, and drop tabs and newlines before that.
_OUR_PATH = re.compile(r"/(?![/\\])[!-~]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a token says: which offer, and on which page of the shop it stands.

    Attributes:
        path: Path and query of the page, percent-encoded; the shop's start page when there is no such page.
    """

    offer_id: str
    account: str
    path: str


class Tokens:
    """Signs tickets with the first key and reads those of every key.

    Args:
        keys: Newest first.
        lifetime_seconds: How long a token is read at all; that an offer is over is the row's to say.
    """

    def __init__(self, keys: Sequence[str], *, lifetime_seconds: int, clock: Clock) -> None:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock().timestamp())

        # itsdangerous signs with the last key of a list.
        self._serializer = URLSafeTimedSerializer(list(reversed(keys)), salt=SALT, signer=Signer)
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._clock = clock

    def issue(self, ticket: Ticket) -> str:
        """A token for *ticket*, safe in a URL. A path that is not the shop's own becomes its start page."""
        token = self._serializer.dumps([ticket.offer_id, ticket.account, _way_back(ticket.path)])
        return token if isinstance(token, str) else token.decode()

    def read(self, token: str) -> Ticket | None:
        """The ticket, or ``None`` when the token is not ours, not whole, or too old."""
        try:
            # Without max_age: it also refuses a token of a server whose clock is a second ahead of ours.
            content, signed_at = self._serializer.loads(token, return_timestamp=True)
        except BadData:
            return None
        return None if self._clock() - signed_at > self._lifetime else _ticket(content)


def _ticket(content: Any) -> Ticket | None:
    match content:
        case [str(offer_id), str(account), str(path)] if _OUR_PATH.match(path):
            return Ticket(offer_id=offer_id, account=account, path=path)
    return None


def _way_back(path: str) -> str:
    for candidate in (path, path.partition("?")[0]):
        if len(candidate) <= MAX_PATH and _OUR_PATH.match(candidate):
            return candidate
    return "/"

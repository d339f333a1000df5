"""The opaque token of an offer: signed, salted, expiring, with rotating keys. It proves we made it; the row decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from flask_encore.domain.ports import Clock

#: Names the use and the layout of the token: a signature made for anything else does not fit.
SALT = "encore-offer-v1"

#: Bytes of a page's path that travel in the token; a longer one is left out and the shopper lands on the start page.
MAX_PATH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a token says: which offer, and on which page of the shop it stands."""

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
        self._lifetime = lifetime_seconds

    def issue(self, ticket: Ticket) -> str:
        """A token for *ticket*, safe in a URL."""
        path = ticket.path if len(ticket.path) <= MAX_PATH else "/"
        token = self._serializer.dumps([ticket.offer_id, ticket.account, path])
        return token if isinstance(token, str) else token.decode()

    def read(self, token: str) -> Ticket | None:
        """The ticket, or ``None`` when the token is not ours, not whole, or too old."""
        try:
            content: Any = self._serializer.loads(token, max_age=self._lifetime)
        except BadData:
            return None
        match content:
            case [str(offer_id), str(account), str(path)] if path.startswith("/") and not path.startswith(
                ("//", "/\\")
            ):
                return Ticket(offer_id=offer_id, account=account, path=path)
        return None

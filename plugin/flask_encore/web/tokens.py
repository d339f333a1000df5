"""The opaque token of an offer: signed, salted, expiring, with rotating keys. It proves we made it; the row decides."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from flask_encore.domain.ports import Clock

#: Names the use and the layout of the token: a signature made for anything else does not fit.
SALT = "encore-offer-v1"

#: The same of an order's token, which opens the list of its offers to a storefront.
ORDER_SALT = "encore-storefront-order-v1"

#: An order's token is read for a day: a page that is opened anew later asks the shop's server for another one.
ORDER_SECONDS = 86_400

#: Bytes of a page's path that travel in the token; of a longer one the query is left out, then all of it.
MAX_PATH = 500

#: A path on this very host. Browsers take ``//`` and ``/\`` for another host, and drop tabs and newlines before that.
_OUR_PATH = re.compile(r"/(?![/\\])[!-~]*\Z")


#: Our own arguments in the query of a page of the shop: ``encore_choice``, ``encore_2_notice``.
_OURS = re.compile(r"encore_([0-9]{1,2}_)?(choice|notice)=")

#: More choices than two digits count no offer has.
_NUMBER = re.compile(r"[0-9]{1,2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a token says: which offer, and on which page of the shop it stands.

    Attributes:
        path: Path and query of the page, percent-encoded; the shop's start page when there is no such page.
        place: Of the offer among those on that page, counted from 1.
    """

    offer_id: str
    account: str
    path: str
    place: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTicket:
    """What an order's token says.

    Attributes:
        path: Of the storefront's page, for the way back from a bank.
    """

    order_ref: str
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
        self._orders = URLSafeTimedSerializer(list(reversed(keys)), salt=ORDER_SALT, signer=Signer)
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._clock = clock

    def issue(self, ticket: Ticket) -> str:
        """A token for *ticket*, safe in a URL. A path that is not the shop's own becomes its start page."""
        content: list[object] = [ticket.offer_id, ticket.account, _way_back(ticket.path)]
        # Left out for the first, so that a server of the release before reads it while both run.
        token = self._serializer.dumps(content if ticket.place == 1 else [*content, ticket.place])
        return token if isinstance(token, str) else token.decode()

    def read(self, token: str) -> Ticket | None:
        """The ticket, or ``None`` when the token is not ours, not whole, or too old."""
        return _ticket(self._read(self._serializer, token, self._lifetime))

    def issue_order(self, ticket: OrderTicket) -> str:
        """A token for an order's offers, safe in a URL; a path as for `issue`."""
        token = self._orders.dumps([ticket.order_ref, ticket.account, _way_back(ticket.path)])
        return token if isinstance(token, str) else token.decode()

    def read_order(self, token: str) -> OrderTicket | None:
        """The order's ticket, or ``None`` as from `read`."""
        match self._read(self._orders, token, timedelta(seconds=ORDER_SECONDS)):
            case [str(order_ref), str(account), str(path)] if _OUR_PATH.match(path):
                return OrderTicket(order_ref=order_ref, account=account, path=path)
        return None

    def _read(self, serializer: URLSafeTimedSerializer, token: str, lifetime: timedelta) -> Any:
        try:
            # Without max_age: it also refuses a token of a server whose clock is a second ahead of ours.
            content, signed_at = serializer.loads(token, return_timestamp=True)
        except BadData:
            return None
        return None if self._clock() - signed_at > lifetime else content


def _ticket(content: Any) -> Ticket | None:
    match content:
        case [str(offer_id), str(account), str(path)] if _OUR_PATH.match(path):
            return Ticket(offer_id=offer_id, account=account, path=path)
        case [str(offer_id), str(account), str(path), int(place)] if _OUR_PATH.match(path) and place > 1:
            return Ticket(offer_id=offer_id, account=account, path=path, place=place)
    return None


def _way_back(path: str) -> str:
    for candidate in (path, path.partition("?")[0]):
        if len(candidate) <= MAX_PATH and _OUR_PATH.match(candidate):
            return candidate
    return "/"


def asking(path: str, *, place: int, choice: int = 0, notice: str = "") -> str:
    """*path* with a query that asks for *choice* and *notice* of the offer at *place*; as it is when it asks nothing.

    A page without JavaScript is drawn by the shop, which does not know what was chosen.
    """
    pairs = [(_argument("choice", place), str(choice)), (_argument("notice", place), notice)]
    query = "&".join(f"{name}={value}" for name, value in pairs if value not in {"", "0"})
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def without_asking(query: str) -> str:
    """A page's *query* without what `asking` put there: a way back that asks nothing."""
    return "&".join(part for part in query.split("&") if not _OURS.match(part))


def asked_in(query: Mapping[str, str], *, place: int) -> tuple[int, str]:
    """Choice and notice that `asking` put into *query*; 0 and an empty notice when it did not."""
    return choice_in(query.get(_argument("choice", place), "0")), query.get(_argument("notice", place), "")


def _argument(name: str, place: int) -> str:
    return f"encore_{name}" if place == 1 else f"encore_{place}_{name}"


def choice_in(text: str) -> int:
    """The number *text* is; -1, which no choice has, when it is none."""
    return int(text) if _NUMBER.match(text) else -1

"""Where the next page of a list begins: opaque, signed, and good for that list with those filters alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from flask_encore.web.api.problems import Fault, Kind, Problem

#: Names the use and the layout: a signature made for anything else does not fit.
SALT = "encore-api-cursor-v1"


class Cursors:
    """Signs with the first key and reads those of every key.

    Args:
        keys: Newest first.
        account: A cursor of another account's list is none here.
    """

    def __init__(self, keys: Sequence[str], *, account: str) -> None:
        # itsdangerous signs with the last key of a list.
        self._serializer = URLSafeSerializer(list(reversed(keys)), salt=SALT)
        self._account = account

    def write(self, listed: str, filters: Mapping[str, Any], place: Sequence[str | int]) -> str:
        """The cursor behind *place* of the list called *listed*."""
        token = self._serializer.dumps([self._of(listed, filters), *place])
        return token if isinstance(token, str) else token.decode()

    def read(self, listed: str, filters: Mapping[str, Any], cursor: str | None) -> list[Any] | None:
        """The place *cursor* is behind; ``None`` for the beginning.

        Raises:
            Problem: If it is not one of ours, or of another list, or of other filters.
        """
        if cursor is None:
            return None
        place: list[Any]
        try:
            of, *place = self._serializer.loads(cursor)
        except (BadData, ValueError, TypeError):
            of, place = "", []
        if of != self._of(listed, filters):
            fault = Fault(
                detail="is no cursor of this list with these filters; take it from next, as it is.", parameter="cursor"
            )
            raise Problem(Kind.INVALID, "The query cannot be used; see errors.", errors=[fault])
        return place

    def _of(self, listed: str, filters: Mapping[str, Any]) -> str:
        content = json.dumps([self._account, listed, sorted(filters.items())], default=str)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

"""Where a POST comes from: the browser's own word for every form, and a signed field for the merchant's forms."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import request
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from flask_encore.domain.ports import Clock

#: Names the use and the layout of the field: a signature made for anything else does not fit.
SALT = "encore-dashboard-form-v1"

#: A page left open longer than this asks again before it moves money.
FORM_LIFETIME_SECONDS = 7200


def is_own_page() -> bool:
    """Whether the request comes from a page of this host, as far as the browser tells.

    Browsers say so themselves, in Sec-Fetch-Site or, older ones, in Origin. Who says nothing is no browser and holds
    no cookie of a shopper or merchant; the token has to convince.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.host


class FormSeal:
    """The hidden field of a merchant's form: made for one actor and one account, and not for long.

    Args:
        keys: Newest first; all of them are read.
    """

    def __init__(self, keys: Sequence[str], *, account: str, clock: Clock) -> None:
        class Signer(TimestampSigner):
            def get_timestamp(self) -> int:
                return int(clock().timestamp())

        # itsdangerous signs with the last key of a list.
        self._serializer = URLSafeTimedSerializer(list(reversed(keys)), salt=SALT, signer=Signer)
        self._account = account

    def issue(self, actor: str) -> str:
        """The field's value on a page *actor* sees."""
        value = self._serializer.dumps([self._account, actor])
        return value if isinstance(value, str) else value.decode()

    def fits(self, value: str, actor: str) -> bool:
        """Whether *value* was made for *actor* by us, and lately."""
        try:
            told: object = self._serializer.loads(value, max_age=FORM_LIFETIME_SECONDS)
        except BadData:
            return False
        return told == [self._account, actor]

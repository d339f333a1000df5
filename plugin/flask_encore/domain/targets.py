"""Where Encore may send a webhook: which URLs, and which addresses behind them. Pure; nothing here asks the network.

A merchant types the URL, and our server calls it from inside the shop's network. Whoever can type there must not be
able to reach what only that network can: a database's admin page, or a cloud's metadata service.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask_encore.domain.errors import InvalidInput

MAX_URL = 2_000

#: Printable ASCII without space and backslash: what differs between two readers of one URL is not in it.
_PLAIN = re.compile(r"[!-\[\]-~]+\Z")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z")

#: The only hosts that stand for this machine, and only while nothing is live.
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

#: IANA's special-purpose registry, written out: what Python calls global differs between its releases.
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public, and is the host below every virtual machine of Azure
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
    )
)
#: The only part of IPv6 that is handed out to the public …
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
#: … and what of it is not: protocols, Teredo and 6to4 (which carry an IPv4 address), documentation.
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
#: An IPv4 address as seen by a network that has only IPv6.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class TargetRefused(InvalidInput):
    """Encore does not send to this address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that was understood.

    Attributes:
        host: In lower case, without brackets.
        path: With the query; what the request line says.
        is_plain: http, which only this machine may be spoken to with.
        is_local: It names this machine, and that is allowed here.
    """

    host: str
    port: int
    path: str
    is_plain: bool
    is_local: bool

    @property
    def host_header(self) -> str:
        """As the Host header says it: with the port where it is not the usual one."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (80 if self.is_plain else 443) else f"{host}:{self.port}"


def parse(url: object, *, allow_loopback: bool) -> Target:
    """Understand *url*, or refuse it, without asking the network.

    Args:
        allow_loopback: Whether ``localhost``, ``127.0.0.1`` and ``::1`` may be sent to, also with http: never in a shop
            whose key is live.

    Raises:
        TargetRefused: Saying what is wrong and what would be right.
    """
    if not isinstance(url, str) or not url or len(url) > MAX_URL:
        raise TargetRefused(f"A webhook's URL is a text of at most {MAX_URL:,} characters.")
    if not _PLAIN.match(url):
        raise TargetRefused(
            "A webhook's URL has printable ASCII characters only, without spaces and backslashes; write other letters "
            "percent-encoded, and a domain of them as xn--…."
        )
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise TargetRefused(f"A webhook's URL cannot be read ({error}).") from error
    if parts.scheme not in {"https", "http"}:
        raise TargetRefused("A webhook's URL begins with https://.")
    if "@" in parts.netloc:
        raise TargetRefused("A webhook's URL has no user and no password in it; the signature proves who sends.")
    if parts.fragment or "#" in url:
        raise TargetRefused("A webhook's URL has no #fragment; it would not be sent.")
    if port == 0:
        raise TargetRefused("A webhook's URL cannot have the port 0.")
    is_local = host in LOOPBACK
    if is_local and not allow_loopback:
        raise TargetRefused("A webhook is not sent to this machine, except in test mode.")
    if not is_local:
        _check_host(host)
    is_plain = parts.scheme == "http"
    if is_plain and not is_local:
        raise TargetRefused("A webhook's URL begins with https://; http only reaches this machine, in test mode.")
    query = f"?{parts.query}" if parts.query else ""
    return Target(
        host=host,
        port=port or (80 if is_plain else 443),
        path=(parts.path or "/") + query,
        is_plain=is_plain,
        is_local=is_local,
    )


def _check_host(host: str) -> None:
    if "%" in host:
        raise TargetRefused("A webhook's host has no % in it.")
    if ":" in host:
        checked_address(host)
        return
    labels = host.split(".")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        # Libraries read 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1. Whoever means an address writes it plainly.
        checked_address(host)
        return
    if len(host) > 253 or len(labels) < 2 or not all(_LABEL.match(label) for label in labels):
        raise TargetRefused(f"{host!r} is no public host name, such as hooks.example.com.")


def checked_address(text: str) -> str:
    """*text*, if it is an IP address of the public internet, in its usual spelling.

    Raises:
        TargetRefused: If it is private, local, reserved or shared by many, or written in an unusual way.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise TargetRefused(f"{text!r} is no IP address as it is usually written.") from error
    if not is_public(address):
        raise TargetRefused(f"{text} is not an address of the public internet.")
    return text


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether *address* belongs to one machine of the public internet, as far as addresses tell."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
    return not any(address in network for network in _NOT_PUBLIC_V4)

"""The pages beside the API: the Stripe.js stand-in, the hosted checkout, the bank's check."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask_encore.testing.stripe_simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """An answer for a browser."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def serve(world: World, method: str, path: str, query: str, body: str) -> Page:
    """The page at a path; 404 for none."""
    return Page(status=404, body=b"Not found", headers={"Content-Type": "text/plain"})

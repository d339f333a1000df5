"""Stripe's webhook: verify the raw body, apply, answer. Anything that is not a well-signed event is 400, never 500."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from flask_encore.domain.errors import GatewayError, SignatureInvalid
from flask_encore.services import recovering
from flask_encore.services.runtime import logger
from flask_encore.store.database import StoreError
from flask_encore.web.current import state
from flask_encore.web.policies import open_to

NAME = "encore_webhooks"

#: Stripe's events are some kilobytes; a megabyte is a thousand times that.
MAX_BODY = 1_000_000


def create_blueprint() -> Blueprint:
    """The route ``/encore/stripe/webhook``."""
    blueprint = Blueprint(NAME, __name__)
    blueprint.post("/stripe/webhook")(receive)
    return blueprint


@open_to("whoever holds Stripe's signing secret")
def receive() -> tuple[Response, int]:
    """Apply one event. 2xx: its effect is committed (or it has none); 5xx: deliver it again."""
    rt = state().runtime
    if rt.gateway is None:
        return jsonify(error="Encore has no Stripe key; set ENCORE_STRIPE_SECRET_KEY."), 503
    if (request.content_length or 0) > MAX_BODY:
        return jsonify(error=f"The body is larger than {MAX_BODY} bytes."), 413
    # A host that reads every body first leaves the stream empty and the body in the request's own cache.
    body = request.get_data() if request.content_length is not None else request.stream.read(MAX_BODY + 1)
    if len(body) > MAX_BODY:
        return jsonify(error=f"The body is larger than {MAX_BODY} bytes."), 413
    try:
        event = rt.gateway.event(body, request.headers.get("Stripe-Signature", ""))
    except SignatureInvalid as error:
        rt.counts.add("webhook_refused")
        return jsonify(error=str(error)), 400
    try:
        return jsonify(effect=recovering.receive(rt, event)), 200
    except (GatewayError, StoreError) as error:
        logger.warning("webhook %s (%s) could not be applied now: %s", event.id, event.type, type(error).__name__)
        return jsonify(error="The event could not be applied now; deliver it again."), 503

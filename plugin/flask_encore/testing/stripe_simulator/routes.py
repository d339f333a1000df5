"""Which path leads to which room."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from flask_encore.testing.stripe_simulator import charges, checkout, customers, intents, listing, refunds, setup_intents
from flask_encore.testing.stripe_simulator.errors import Json
from flask_encore.testing.stripe_simulator.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation of the API.

    Attributes:
        method: HTTP method.
        path: with ``{id}`` where the object's id stands.
        run: does it; gets the world, the id (empty without one) and the parameters.
        shape: name of the SDK's own TypedDict for the parameters; None where it has none.
        browser: whether a publishable key plus the object's client secret may call it.
    """

    method: str
    path: str
    run: Callable[[World, str, Json], Json]
    shape: str | None = None
    browser: bool = False


def _create_refund(world: World, _: str, params: Json) -> Json:
    return refunds.create(world.ledger, params, pending=world.refunds_pend)


def _list(kind: str, *by: str) -> Callable[[World, str, Json], Json]:
    collection = {"checkout.session": "checkout/sessions"}.get(kind, f"{kind}s")
    return lambda world, _, params: listing.page(world.ledger, kind, params, url=f"/v1/{collection}", by=by)


def _search_intents(world: World, _: str, params: Json) -> Json:
    url = "/v1/payment_intents/search"
    return listing.search(world.ledger, "payment_intent", params, url=url, lag_seconds=world.search_lag_seconds)


def _customer_methods(world: World, customer_id: str, params: Json) -> Json:
    world.ledger.get("customer", customer_id)
    url = f"/v1/customers/{customer_id}/payment_methods"
    wanted = {**params, "customer": customer_id}
    return listing.page(world.ledger, "payment_method", wanted, url=url, by=("customer", "type"))


def _get(kind: str) -> Callable[[World, str, Json], Json]:
    return lambda world, object_id, _: world.ledger.get(kind, object_id)


def _get_method(world: World, method_id: str, _: Json) -> Json:
    return customers.find_method(world.ledger, method_id, param="payment_method", status=404)


def _confirm(world: World, intent_id: str, params: Json) -> Json:
    return intents.confirm(world.ledger, intent_id, params, by_browser="client_secret" in params)


def _authenticate(world: World, intent_id: str, params: Json) -> Json:
    return intents.authenticate(world.ledger, intent_id, success=params.get("success") != "false")


def _authenticate_setup(world: World, setup_id: str, params: Json) -> Json:
    return setup_intents.authenticate(world.ledger, setup_id, success=params.get("success") != "false")


def _confirmation_token(world: World, _: str, params: Json) -> Json:
    """What the Payment Element hands over; only Stripe.js makes these."""
    method = customers.create_method(world.ledger, params.get("payment_method_data") or {})
    return world.ledger.add(
        "confirmation_token",
        expires_at=world.ledger.now() + 12 * 60 * 60,
        payment_intent=None,
        payment_method=method["id"],
        payment_method_preview={"type": method["type"], method["type"]: method[method["type"]]},
        return_url=params.get("return_url"),
        setup_future_usage=params.get("setup_future_usage"),
        setup_intent=None,
        use_stripe_sdk=True,
    )


def _account(world: World, _: str, __: Json) -> Json:
    return {
        "id": world.ledger.account,
        "object": "account",
        "business_profile": {"name": "Simulated shop"},
        "charges_enabled": True,
        "country": "GB",
        "default_currency": "gbp",
        "details_submitted": True,
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Simulated shop"}},
        "type": "standard",
    }


def _webhook_endpoints(world: World, _: str, __: Json) -> Json:
    rows = [
        {
            "id": endpoint.id,
            "object": "webhook_endpoint",
            "api_version": endpoint.api_version,
            "enabled_events": list(endpoint.enabled_events),
            "livemode": False,
            "status": "enabled",
            "url": endpoint.url,
        }
        for endpoint in world.webhooks.endpoints
    ]
    return {"object": "list", "data": rows, "has_more": False, "url": "/v1/webhook_endpoints"}


_PI = "/v1/payment_intents"
_PM = "/v1/payment_methods"
_SI = "/v1/setup_intents"
_CS = "/v1/checkout/sessions"

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path=_PI,
        shape="PaymentIntentCreateParams",
        run=lambda world, _, params: intents.create(world.ledger, params),
    ),
    Route(
        method="GET",
        path=_PI,
        shape="PaymentIntentListParams",
        run=_list("payment_intent", "customer"),
    ),
    Route(method="GET", path=f"{_PI}/search", shape="PaymentIntentSearchParams", run=_search_intents),
    Route(
        method="GET",
        path=f"{_PI}/{{id}}",
        shape="PaymentIntentRetrieveParams",
        run=_get("payment_intent"),
        browser=True,
    ),
    Route(
        method="POST",
        path=f"{_PI}/{{id}}",
        shape="PaymentIntentUpdateParams",
        run=lambda world, intent_id, params: intents.update(world.ledger, intent_id, params),
    ),
    Route(method="POST", path=f"{_PI}/{{id}}/confirm", shape="PaymentIntentConfirmParams", run=_confirm, browser=True),
    Route(
        method="POST",
        path=f"{_PI}/{{id}}/cancel",
        shape="PaymentIntentCancelParams",
        run=lambda world, intent_id, params: intents.cancel(world.ledger, intent_id, params),
    ),
    Route(method="POST", path=f"{_PI}/{{id}}/_authenticate", run=_authenticate, browser=True),
    Route(
        method="POST",
        path="/v1/customers",
        shape="CustomerCreateParams",
        run=lambda world, _, params: customers.create(world.ledger, params),
    ),
    Route(method="GET", path="/v1/customers", shape="CustomerListParams", run=_list("customer", "email")),
    Route(method="GET", path="/v1/customers/{id}", shape="CustomerRetrieveParams", run=_get("customer")),
    Route(
        method="POST",
        path="/v1/customers/{id}",
        shape="CustomerUpdateParams",
        run=lambda world, customer_id, params: customers.update(world.ledger, customer_id, params),
    ),
    Route(
        method="GET",
        path="/v1/customers/{id}/payment_methods",
        shape="CustomerPaymentMethodListParams",
        run=_customer_methods,
    ),
    Route(
        method="POST",
        path=_PM,
        shape="PaymentMethodCreateParams",
        run=lambda world, _, params: customers.create_method(world.ledger, params),
        browser=True,
    ),
    Route(
        method="GET",
        path=_PM,
        shape="PaymentMethodListParams",
        run=_list("payment_method", "customer", "type"),
    ),
    Route(method="GET", path=f"{_PM}/{{id}}", shape="PaymentMethodRetrieveParams", run=_get_method),
    Route(
        method="POST",
        path=f"{_PM}/{{id}}/attach",
        shape="PaymentMethodAttachParams",
        run=lambda world, method_id, params: customers.attach(world.ledger, method_id, params),
    ),
    Route(
        method="POST",
        path=f"{_PM}/{{id}}/detach",
        shape="PaymentMethodDetachParams",
        run=lambda world, method_id, _: customers.detach(world.ledger, method_id),
    ),
    Route(method="POST", path="/v1/confirmation_tokens", run=_confirmation_token, browser=True),
    Route(
        method="GET",
        path="/v1/confirmation_tokens/{id}",
        shape="ConfirmationTokenRetrieveParams",
        run=_get("confirmation_token"),
    ),
    Route(
        method="POST",
        path=_SI,
        shape="SetupIntentCreateParams",
        run=lambda world, _, params: setup_intents.create(world.ledger, params),
    ),
    Route(method="GET", path=_SI, shape="SetupIntentListParams", run=_list("setup_intent", "customer")),
    Route(
        method="GET",
        path=f"{_SI}/{{id}}",
        shape="SetupIntentRetrieveParams",
        run=_get("setup_intent"),
        browser=True,
    ),
    Route(
        method="POST",
        path=f"{_SI}/{{id}}/confirm",
        shape="SetupIntentConfirmParams",
        run=lambda world, setup_id, params: setup_intents.confirm(world.ledger, setup_id, params),
        browser=True,
    ),
    Route(
        method="POST",
        path=f"{_SI}/{{id}}/cancel",
        shape="SetupIntentCancelParams",
        run=lambda world, setup_id, params: setup_intents.cancel(world.ledger, setup_id, params),
    ),
    Route(method="POST", path=f"{_SI}/{{id}}/_authenticate", run=_authenticate_setup, browser=True),
    Route(
        method="POST",
        path=_CS,
        shape="checkout.SessionCreateParams",
        run=lambda world, _, params: checkout.create(world.ledger, params),
    ),
    Route(
        method="GET",
        path=_CS,
        shape="checkout.SessionListParams",
        run=_list("checkout.session", "payment_intent", "customer", "status"),
    ),
    Route(
        method="GET",
        path=f"{_CS}/{{id}}",
        shape="checkout.SessionRetrieveParams",
        run=lambda world, session_id, params: checkout.retrieve(world.ledger, session_id, params),
    ),
    Route(
        method="GET",
        path=f"{_CS}/{{id}}/line_items",
        shape="checkout.SessionLineItemListParams",
        run=lambda world, session_id, _: checkout.line_items(world.ledger, session_id),
    ),
    Route(
        method="POST",
        path=f"{_CS}/{{id}}/expire",
        shape="checkout.SessionExpireParams",
        run=lambda world, session_id, _: checkout.expire(world.ledger, session_id),
    ),
    Route(
        method="GET",
        path="/v1/charges",
        shape="ChargeListParams",
        run=_list("charge", "customer", "payment_intent"),
    ),
    Route(method="GET", path="/v1/charges/{id}", shape="ChargeRetrieveParams", run=_get("charge")),
    Route(
        method="POST",
        path="/v1/charges/{id}",
        shape="ChargeUpdateParams",
        run=lambda world, charge_id, params: charges.update(world.ledger, charge_id, params),
    ),
    Route(method="POST", path="/v1/refunds", shape="RefundCreateParams", run=_create_refund),
    Route(
        method="GET",
        path="/v1/refunds",
        shape="RefundListParams",
        run=_list("refund", "payment_intent", "charge"),
    ),
    Route(method="GET", path="/v1/refunds/{id}", shape="RefundRetrieveParams", run=_get("refund")),
    Route(
        method="POST",
        path="/v1/refunds/{id}",
        shape="RefundUpdateParams",
        run=lambda world, refund_id, params: refunds.update(world.ledger, refund_id, params),
    ),
    Route(
        method="GET", path="/v1/disputes", shape="DisputeListParams", run=_list("dispute", "payment_intent", "charge")
    ),
    Route(method="GET", path="/v1/disputes/{id}", shape="DisputeRetrieveParams", run=_get("dispute")),
    Route(
        method="GET",
        path="/v1/balance_transactions/{id}",
        shape="BalanceTransactionRetrieveParams",
        run=_get("balance_transaction"),
    ),
    Route(method="GET", path="/v1/events", shape="EventListParams", run=_list("event", "type")),
    Route(method="GET", path="/v1/events/{id}", shape="EventRetrieveParams", run=_get("event")),
    Route(method="GET", path="/v1/account", run=_account),
    Route(method="GET", path="/v1/webhook_endpoints", shape="WebhookEndpointListParams", run=_webhook_endpoints),
)

_PATTERNS = tuple((route, re.compile(re.escape(route.path).replace(r"\{id\}", "(?P<id>[^/]+)"))) for route in ROUTES)


def find(method: str, path: str) -> tuple[Route, str] | None:
    """The route and the id in the path; None when Stripe has no such operation."""
    for route, pattern in _PATTERNS:
        if route.method == method and (found := pattern.fullmatch(path)):
            return route, found.groupdict().get("id", "")
    return None

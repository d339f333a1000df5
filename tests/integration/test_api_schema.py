"""The description holds: schemathesis asks what can be asked, and what cannot, and reads every answer by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from api_clients import API, Client
from conftest import START, Shop, shops
from flask import jsonify
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from flask_encore.services import recommender
from flask_encore.testing import FrozenClock, StripeSimulator
from flask_encore.web.api import limiting

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    allow_header_conformance,
    ignored_auth,
]

#: For each operation, way of asking, and choice of keys: those of the description, or of what is there.
EXAMPLES = 3

CAMPAIGN = {"ref": "gift", "name": "A gift", "offer": {"kind": "fixed", "skus": ["mug"]}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Iterator[Shop]:
    """A shop with a bit of everything, asked thousands of times."""
    clock = FrozenClock(START)
    simulator = StripeSimulator(clock=clock.timestamp)
    simulator.start()
    with pytest.MonkeyPatch.context() as patch:
        # Every operation is asked without a valid token too.
        patch.setattr(limiting, "BAD_TOKENS", 100_000)
        with shops(stripe=simulator, clock=clock, folder=tmp_path_factory.mktemp("api"), migrated=migrated) as make:
            made = make(ENCORE_API_REQUESTS_PER_MINUTE=0)
            made.pay()
            assert made.accept(made.token()) == "charged"
            yield made
    simulator.stop()


def asked(shop: Shop, known: dict[str, str], *, only: str = "") -> tuple[Counter[str], list[str]]:
    """How often each operation was asked, and what was found wrong; of one alone where *only* names it."""
    config = SchemathesisConfig.from_dict(
        {
            "generation": {"with-security-parameters": False, "database": "none"},
            # What is wrong may be refused for its If-Match before the body is looked at.
            "checks": {"negative_data_rejection": {"expected-statuses": ["4XX", "503"]}},
        }
    )
    schema = schemathesis.openapi.from_wsgi(f"{API}/openapi.json", shop.app, config=config)
    client = Client(shop, name=f"tester {len(shop.rows('api_tokens'))}")
    times: Counter[str] = Counter()
    wrong: list[str] = []
    for result in schema.get_all_operations():
        operation = result.ok()
        if only not in {"", operation.label}:
            continue
        here = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            both = mode is GenerationMode.POSITIVE and bool(here)
            for given_keys in [{}, here] if both else [here]:
                try:
                    _ask(operation, mode, given_keys, client.headers, times)
                except Unsatisfiable:
                    continue  # nothing can be wrong with what takes nothing
                except (Exception, FailureGroup) as failure:
                    # What a view raises schemathesis raises too, although it was answered.
                    wrong.append(f"{operation.label}: {type(failure).__name__} {failure}")
    return times, wrong


def _ask(operation: Any, mode: Any, keys: dict[str, str], headers: dict[str, str], times: Counter[str]) -> None:
    strategy = operation.as_strategy(generation_mode=mode, **({"path_parameters": keys} if keys else {}))

    @seed(20_260_302)
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def ask(case: Any) -> None:
        times[operation.label] += 1
        case.call_and_validate(headers=headers, checks=CHECKS)

    ask()


@pytest.mark.timeout(300)
def test_no_answer_contradicts_the_description(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # A training in a thread of its own would outlive the test.
    monkeypatch.setattr(recommender, "begin", lambda rt, **_: None)
    charge = shop.rows("charges")[0]["id"]
    Client(shop, name="maker").post("/campaigns", json=CAMPAIGN)
    times, wrong = asked(shop, {"sku": "mug", "order_ref": "1042", "id": charge, "ref": "gift", "version": "v1"})

    assert wrong == []
    assert len(times) >= 20
    assert min(times.values()) >= 1
    assert sum(times.values()) >= 150


READ, BATCH = f"GET {API}/products/{{sku}}", f"POST {API}/products/batch"


def broken_answer(shop: Shop) -> str:
    """A product without its price, which the description promises."""
    shop.app.view_functions["encore_api_products.get_product"] = lambda sku: jsonify(sku=sku)
    return READ


def failing_view(shop: Shop) -> str:
    """A view that fails."""

    def fail(sku: str) -> None:
        raise RuntimeError(sku)

    shop.app.view_functions["encore_api_products.get_product"] = fail
    return READ


def open_view(shop: Shop) -> str:
    """A view that takes anything from anybody."""
    shop.app.view_functions["encore_api_products.write_products"] = lambda: jsonify(written=1)
    return BATCH


@pytest.mark.parametrize("plant", [broken_answer, failing_view, open_view])
def test_control_a_planted_defect_is_found(shop: Shop, plant: Callable[[Shop], str]) -> None:
    views = dict(shop.app.view_functions)
    try:
        planted = plant(shop)
        _, wrong = asked(shop, {"sku": "mug"}, only=planted)
    finally:
        shop.app.view_functions.update(views)

    assert wrong
    assert all(one.startswith(planted) for one in wrong)
    assert asked(shop, {"sku": "mug"}, only=planted)[1] == []

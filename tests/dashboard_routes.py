"""Every route of Encore's and what a page offers to press: read from the URL map and from the HTML, for the tests that
walk them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.routing import IntegerConverter, Rule

from flask_encore.domain.rights import Right
from flask_encore.web.dashboard_frame import NAME
from flask_encore.web.policies import policy_of

#: What stands for an argument of an address nobody has told; no row has such a key.
UNKNOWN = "nothing-1"


@dataclass(frozen=True, slots=True)
class Route:
    """One rule and one method of it.

    Attributes:
        policy: What its view says of itself; ``None`` when it says nothing.
    """

    endpoint: str
    method: str
    path: str
    policy: str | None

    @property
    def right(self) -> Right | None:
        """The right it takes; ``None`` for what no guard stands before."""
        return Right(self.policy) if self.policy in list(Right) else None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def routes(app: Flask, **arguments: str) -> list[Route]:
    """Every route of a blueprint of ours, with *arguments* in its address where they fit."""
    ours = {name for name, blueprint in app.blueprints.items() if blueprint.import_name.split(".")[0] == "flask_encore"}
    return sorted(
        (
            Route(
                rule.endpoint,
                method,
                _address(rule, arguments),
                policy_of(app.view_functions[rule.endpoint]),
            )
            for rule in app.url_map.iter_rules()
            if rule.endpoint.rpartition(".")[0] in ours
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        ),
        key=str,
    )


def _address(rule: Rule, arguments: dict[str, str]) -> str:
    unknown = {name: 1 if isinstance(how, IntegerConverter) else UNKNOWN for name, how in rule._converters.items()}
    built = rule.build({name: arguments.get(name, value) for name, value in unknown.items()}, append_unknown=False)
    assert built is not None, rule
    return built[1]


def of_dashboard(app: Flask, **arguments: str) -> list[Route]:
    """Those behind the guard."""
    return [
        route
        for route in routes(app, **arguments)
        if route.endpoint.partition(".")[0] == NAME and route.endpoint != f"{NAME}.static"
    ]


@dataclass
class Form:
    """A form that posts: where it goes, by any of its buttons, and its hidden fields.

    Attributes:
        actions: Paths; for a dialog, whose form a script aims, ``#`` and the dialog's id.
    """

    actions: set[str] = field(default_factory=set)
    fields: dict[str, str] = field(default_factory=dict)
    buttons: int = 0


@dataclass
class Page(HTMLParser):
    """What can be pressed on a page, and its sections."""

    address: str
    html: str
    links: set[str] = field(default_factory=set)
    forms: list[Form] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._form: Form | None = None
        self._by_id: dict[str, Form] = {}
        self._dialog = ""
        # A sample of the card is inert: nothing of it can be pressed.
        self.feed(re.sub(r"<encore-offer\b.*?</encore-offer>", "", self.html, flags=re.DOTALL))

    @property
    def sections(self) -> Iterator[str]:
        """The HTML of each section."""
        for found in re.finditer(r"<section\b.*?</section>", self.html, flags=re.DOTALL):
            yield found[0]

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in told and not told["href"].startswith("#"):
            self.links.add(urljoin(self.address, told["href"]).partition("#")[0])
        elif tag == "dialog":
            self._dialog = f"#{told['id']}"
        elif tag == "form":
            self._form = None
            if told.get("method", "get").lower() == "post":
                self._form = Form(actions={self._dialog or self._path(told.get("action", ""))})
                self.forms.append(self._form)
                self._by_id[told.get("id", "")] = self._form
        elif tag == "button":
            form = self._by_id.get(told["form"]) if "form" in told else self._form
            if form is not None and told.get("type", "submit") == "submit":
                form.buttons += 1
                if "formaction" in told:
                    form.actions.add(self._path(told["formaction"]))
        elif tag == "input" and self._form is not None and told.get("type") == "hidden":
            self._form.fields[told.get("name", "")] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "dialog":
            self._dialog = ""

    def _path(self, address: str) -> str:
        return urlsplit(urljoin(self.address, address)).path


def crawled(client: Any, home: str) -> dict[str, Page]:
    """Every page that links lead to from *home*, by its address; files and what is not ours are left out.

    Addresses that differ only in the filter are one page: a list has more of those than anybody wants to see.
    """
    found: dict[str, Page] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [home]
    while waiting:
        address = waiting.pop()
        parts = urlsplit(address)
        shape = (parts.path, tuple(sorted(pair.partition("=")[0] for pair in parts.query.split("&"))))
        if parts.netloc or shape in seen or "/dashboard" not in parts.path:
            continue
        seen.add(shape)
        response = client.get(address, follow_redirects=True)
        if response.mimetype != "text/html" or "download=" in parts.query:
            assert response.status_code == 200, address
            continue
        page = Page(address, response.text)
        page.status = response.status_code  # type: ignore[attr-defined]
        found[address] = page
        waiting.extend(sorted(page.links))
    return found

"""The documents say what the code says: keys, defaults, commands, signals, links, and code that runs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from flask_encore import config, signals
from flask_encore.cli import cli
from flask_encore.demo import __main__ as demo
from flask_encore.domain.events import EventKind
from flask_encore.testing.stripe_simulator import pages

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")])

#: Names that begin like a configuration key and belong to the tests instead.
OF_THE_TESTS = {"ENCORE_SKIP_NOTHING", "ENCORE_TEST_POSTGRESQL", "ENCORE_REAL_DATA"}

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def table(name: str) -> list[list[str]]:
    """The cells of the README's table behind the comment ``<!-- table: name -->``, without its head."""
    found = re.search(rf"<!-- table: {name} -->\n((?:\|.*\n)+)", readme())
    assert found, f"README.md has no table {name}"
    rows = [line.strip().strip("|").split(" | ") for line in found[1].splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def default_cell(value: object) -> str:
    """A default as the README shows it: code, a list with commas, and nothing for nothing."""
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`" if value or value == 0 else ""


def commands() -> dict[str, str]:
    """Every ``flask encore …`` command, with what it cannot do without -> the first sentence of its help."""

    def walk(command: click.Command, words: str) -> Iterator[tuple[str, str]]:
        if isinstance(command, click.Group):
            if command.invoke_without_command:
                yield f"flask {words}", command.get_short_help_str(limit=200)
            for name in command.list_commands(click.Context(command)):
                inner = command.get_command(click.Context(command), name)
                assert inner is not None
                yield from walk(inner, f"{words} {name}")
        else:
            needed = [usage(each, click.Context(command)) for each in command.params if each.required]
            yield " ".join(["flask", words, *needed]), command.get_short_help_str(limit=200)

    return dict(walk(cli, "encore"))


def usage(parameter: click.Parameter, context: click.Context) -> str:
    """How a required parameter is written: ``FILE``, ``--currency TEXT``."""
    named = [*parameter.opts[:1]] if isinstance(parameter, click.Option) else []
    return " ".join([*named, parameter.make_metavar(context)])


def test_the_readme_lists_every_configuration_key_with_its_default_and_sentence() -> None:
    assert table("configuration") == [
        [f"`{key}`", default_cell(default), sentence] for key, (default, sentence) in config.keys().items()
    ]


def test_the_configuration_page_speaks_of_every_key() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = config.keys()
    assert [key for key in keys if f"`{key}`" not in text] == []


def test_the_readme_lists_every_command_with_its_help() -> None:
    assert table("commands") == [[f"`{command}`", told] for command, told in commands().items()]


def test_the_readme_lists_every_signal_with_its_sentence() -> None:
    assert table("signals") == [[f"`{signal.name}`", signal.__doc__] for signal in signals.BY_KIND.values()]


def test_there_is_a_signal_for_every_event() -> None:
    assert [signal.name for signal in signals.BY_KIND.values()] == [kind.value for kind in EventKind]
    assert all(getattr(signals, kind.value) is signals.BY_KIND[kind] for kind in EventKind)


@each_document
def test_a_document_names_only_configuration_keys_that_exist(path: Path) -> None:
    named = set(re.findall(r"\bENCORE_[A-Z_]+[A-Z]\b", path.read_text(encoding="utf-8")))
    assert sorted(named - config.keys().keys() - OF_THE_TESTS) == []


@each_document
def test_a_document_names_only_commands_that_exist(path: Path) -> None:
    known = [command.split()[2:] for command in commands()]
    for said in re.findall(r"\bflask encore((?: [a-z]+\b)+)", "\n".join(code_of(path))):
        words = said.split()
        assert any(all(a == b or b.isupper() for a, b in zip(words, each, strict=False)) for each in known), said


@each_document
def test_a_document_names_only_events_that_exist(path: Path) -> None:
    named = set(re.findall(r"""encore\.on\(\s*["'](\w+)["']""", path.read_text(encoding="utf-8")))
    assert named <= {kind.value for kind in EventKind}


@each_document
def test_a_document_names_only_code_that_exists(path: Path) -> None:
    for dotted in re.findall(r"`((?:flask_encore|encore_recommender|encore_static)(?:\.\w+)+)`", path.read_text()):
        assert exists(dotted), dotted


@each_document
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#\s]+)", path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


@each_document
def test_the_python_of_a_document_can_be_parsed(path: Path) -> None:
    for code in blocks(path, "python"):
        ast.parse(code)


@each_document
def test_the_imports_of_a_document_can_be_made(path: Path) -> None:
    for code in blocks(path, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("flask_encore", "encore_")):
                module = import_module(node.module or "")
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_readme_shows_the_signboard_the_demo_prints() -> None:
    shown = re.search(r"^```\n(.* is open\.\n.*?)^```", readme(), re.MULTILINE | re.DOTALL)
    assert shown
    printed = inspect.getsource(demo)
    labels = re.findall(r"^([A-Z][a-z-]+(?: [a-z]+)?) {2,}\S", shown[1], re.MULTILINE)
    assert labels == ["Shop", "Thank-you", "Dashboard", "Test card", "Stripe", "Holdout", "Past"]
    assert [label for label in labels if label not in printed] == []
    assert [said for said in re.findall(r"\((.+)\)$", shown[1], re.MULTILINE) if said not in printed] == []


def test_the_readme_names_the_buttons_of_the_payment_page() -> None:
    named = re.findall(r"^\| \*([^*]+)\*", readme(), re.MULTILINE)
    assert len(named) == 3
    assert [label for label in named if label not in inspect.getsource(pages)] == []


def test_every_make_target_the_readme_names_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {said for code in code_of(ROOT / "README.md") for said in re.findall(r"\bmake ([a-z]+)", code)}
    assert named >= {"demo", "test", "lint"}
    assert named <= targets


def code_of(path: Path) -> list[str]:
    """The inline code and the code blocks of a document."""
    text = path.read_text(encoding="utf-8")
    return [*re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL), *re.findall(r"`([^`\n]+)`", text)]


def exists(dotted: str) -> bool:
    """Whether a dotted name is a module, or a module's attribute, or an attribute's attribute."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False

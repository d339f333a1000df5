"""Where things are: three source roots with one package each, a short top level, and the import law."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOTS = {"plugin": "flask_encore", "recommender": "encore_recommender", "static": "encore_static"}

pytestmark = pytest.mark.skipif(not (ROOT / "plugin").is_dir(), reason="runs in a checkout, this is an installed wheel")

in_git = pytest.mark.skipif(
    not (ROOT / ".git").exists() or shutil.which("git") is None, reason="needs the repository, this is a copy of it"
)

#: The whole top level; dotfiles may join.
TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "constraints.txt",
    "docs",
    "plugin",
    "pyproject.toml",
    "recommender",
    "setup.cfg",
    "static",
    "tests",
}


def modules(package: Path) -> list[Path]:
    return sorted(path for path in package.rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """Every module named in an import of a file, wherever it stands in it; ``.`` is a relative one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." if node.level else str(node.module)


@pytest.mark.parametrize(("root", "package"), ROOTS.items())
def test_a_source_root_holds_exactly_one_package(root: str, package: str) -> None:
    assert [entry.name for entry in (ROOT / root).iterdir()] == [package]
    assert (ROOT / root / package / "__init__.py").is_file()
    assert (ROOT / root / package / "py.typed").is_file()


def test_the_wheel_is_made_of_the_three_packages() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {"packages": [f"{root}/{package}" for root, package in ROOTS.items()]}


@in_git
def test_the_top_level_is_the_allowed_one() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    top = {name.split("/")[0] for name in listed.split("\0") if name}
    assert {name for name in top if not name.startswith(".")} == TOP_LEVEL
    assert ".ci" in top


def test_the_domain_imports_the_standard_library_and_itself_only() -> None:
    domain = modules(ROOT / "plugin/flask_encore/domain")
    assert len(domain) >= 8
    strangers = {
        f"{path.name}: {name}"
        for path in domain
        for name in imported(path)
        if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("flask_encore.domain.")
    }
    assert strangers == set()


def test_every_import_is_absolute() -> None:
    relative = {
        str(path.relative_to(ROOT))
        for root, package in ROOTS.items()
        for path in modules(ROOT / root / package)
        if "." in imported(path)
    }
    assert relative == set()


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"util", "utils", "helper", "helpers", "misc", "common", "tools"}
    names = {path.stem for root, package in ROOTS.items() for path in modules(ROOT / root / package)}
    assert names & drawers == set()


def test_the_import_law_is_kept() -> None:
    """The contracts of setup.cfg; `make lint` runs them too."""
    tool = Path(sys.executable).with_name("lint-imports")
    told = subprocess.run([tool, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "10 kept, 0 broken" in told.stdout

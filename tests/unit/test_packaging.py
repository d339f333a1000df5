"""What is shipped, what it is pinned to, and that it runs where nothing else is installed."""

from __future__ import annotations

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
#: Source root -> its one package.
PACKAGES = {"plugin": "flask_encore", "recommender": "encore_recommender", "static": "encore_static"}
#: The line that parts what the package needs to run from what its developers need.
HALF = "# ==== development only ===="
#: And the next one, from what only the benchmarks install.
MEASURING = "# ==== measuring only ===="


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def pins(text: str) -> dict[str, set[Version]]:
    """Every pinned name of a constraints text -> its versions, one per Python it is pinned for."""
    found: dict[str, set[Version]] = {}
    for name, version in re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(name), set()).add(Version(version))
    return found


def constraints() -> str:
    return (ROOT / "constraints.txt").read_text(encoding="utf-8")


def required(specs: list[str]) -> list[Requirement]:
    return [Requirement(spec) for spec in specs]


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=280,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel made from it; built once."""
    target = tmp_path_factory.mktemp("dist")
    # hatchling is among the pins; where it is missing all the same, an isolated build fetches it.
    isolation = ["--no-isolation"] if importlib.util.find_spec("hatchling") else []
    run(sys.executable, "-m", "build", *isolation, "--outdir", target, ROOT, cwd=ROOT)
    return target


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


def test_the_wheel_holds_the_three_packages_whole_and_nothing_else(wheel: Path) -> None:
    ours = {
        path.relative_to(ROOT / root).as_posix()
        for root, package in PACKAGES.items()
        for path in (ROOT / root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert shipped == ours


@pytest.mark.parametrize(
    "pattern",
    [
        r"flask_encore/py\.typed",
        r"encore_recommender/py\.typed",
        r"encore_static/py\.typed",
        r"flask_encore/templates/encore/.+\.html",
        r"flask_encore/locales/en\.po",
        r"flask_encore/store/migrations/.+\.py",
        r"encore_static/offer/.+\.js",
        r"encore_static/offer/.+\.css",
        r"encore_static/dashboard/.+\.css",
    ],
)
def test_the_wheel_holds_what_is_not_code(wheel: Path, pattern: str) -> None:
    assert [name for name in zipfile.ZipFile(wheel).namelist() if re.fullmatch(pattern, name)]


def test_the_wheel_passes_check_wheel_contents(wheel: Path) -> None:
    told = run(Path(sys.executable).with_name("check-wheel-contents"), wheel, cwd=ROOT)
    assert told.strip().endswith(": OK")


def test_the_wheel_brings_its_two_commands(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        commands = configparser.ConfigParser()
        commands.read_string(archive.read(name).decode())
    assert dict(commands["flask.commands"]) == {"encore": "flask_encore.cli:cli"}
    assert dict(commands["console_scripts"]) == {"encore-recommender": "encore_recommender.cli:main"}


def test_the_sdist_can_be_tested_and_holds_no_rubbish(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "setup.cfg", "README.md", "LICENSE", "Makefile", "constraints.txt", "docs/index.md"}
    assert wanted <= names
    assert {name.partition("/")[0] for name in names} <= {
        *("plugin", "recommender", "static", "tests", "docs", "CHANGELOG.md", "PKG-INFO", ".gitignore"),
        *wanted,
    }
    assert [name for name in names if name.endswith((".pyc", ".sqlite3"))] == []


@pytest.mark.long
@pytest.mark.timeout(300)  # a minute of downloads on a slow line, and the journey
def test_a_clean_environment_with_only_the_wheel_runs_the_whole_journey(wheel: Path, tmp_path: Path) -> None:
    """Nothing of the checkout can be imported there: no editable install, no source root, no test tool."""
    if os.environ.get("ENCORE_SKIP_NOTHING") != "1":
        pytest.skip("downloads every dependency; set ENCORE_SKIP_NOTHING=1 to run it")
    needed = tmp_path / "needed.txt"
    needed.write_text(constraints().partition(HALF)[0], encoding="utf-8")
    python = tmp_path / "venv" / "bin" / "python"
    if uv := shutil.which("uv"):
        run(uv, "venv", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
        install = [uv, "pip", "install", "--python", python]
        check = [uv, "pip", "check", "--python", python]
    else:
        run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
        install, check = [python, "-m", "pip", "install"], [python, "-m", "pip", "check"]
    run(*install, "--no-deps", "--require-hashes", "-r", needed, cwd=tmp_path)
    run(*install, "--no-deps", wheel, cwd=tmp_path)
    run(*check, cwd=tmp_path)
    where = run(python, "-I", "-c", "import flask_encore; print(flask_encore.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    assert "doctor" in run(python.with_name("flask"), "encore", "--help", cwd=tmp_path)
    journey = tmp_path / "journey.py"
    shutil.copy(ROOT / "tests" / "acceptance" / "journey.py", journey)
    run(python, "-I", journey, cwd=tmp_path)


def test_the_pins_name_no_index_no_host_and_no_folder() -> None:
    lines = [line for line in constraints().splitlines() if line and not line.startswith("#")]
    pin, digest = r"[a-z0-9-]+==[\w.!+]+( ; [^/\\]+)? \\", r" {4}--hash=sha256:[0-9a-f]{64}( \\)?"
    assert [line for line in lines if not re.fullmatch(f"{pin}|{digest}", line)] == []
    assert "://" not in constraints()


def test_every_dependency_is_pinned_within_its_bounds_and_where_it_is_needed() -> None:
    first, _, rest = constraints().partition(HALF)
    running, developing, measuring = pins(first), pins(first + rest.partition(MEASURING)[0]), pins(first + rest)
    told = project()
    optional = told["project"]["optional-dependencies"]
    for requirement in required(
        told["project"]["dependencies"] + optional["testing"] + told["build-system"]["requires"]
    ):
        assert running[canonicalize_name(requirement.name)], requirement
    asked = [*told["project"]["dependencies"], *chain(*optional.values()), *chain(*told["dependency-groups"].values())]
    for requirement in required(asked):
        versions = measuring[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement
    heavy = {*optional["spark"], *told["dependency-groups"]["peers"]}
    for requirement in required([each for each in asked if each not in heavy]):
        assert developing[canonicalize_name(requirement.name)], requirement


def test_what_the_package_requires_ends_before_the_next_major_version() -> None:
    told = project()["project"]
    known = pins(constraints())
    for requirement in required([*told["dependencies"], *chain(*told["optional-dependencies"].values())]):
        bounds = {each.operator: Version(each.version) for each in requirement.specifier}
        newest = max(known[canonicalize_name(requirement.name)])
        assert bounds.keys() == {">=", "<"}, requirement
        assert bounds["<"] == Version(str(newest.major + 1)), requirement
        assert bounds[">="] <= newest, requirement


def test_make_alone_says_what_there_is() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    told = run("make", "--no-print-directory", cwd=ROOT, MAKEFLAGS="")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert targets
    assert re.findall(r"^  make ([\w-]+) +\w", told, re.MULTILINE) == targets[1].split()


def test_a_python_that_is_too_old_is_refused_with_the_fix(tmp_path: Path) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    old.chmod(0o755)
    done = subprocess.run(
        ["make", "demo", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == (
        f"Flask-Encore needs Python 3.11 or newer, and {old} is not. Install one, or name one you have: "
        "make demo PYTHON=python3.12"
    )
    assert not (tmp_path / ".venv").exists()

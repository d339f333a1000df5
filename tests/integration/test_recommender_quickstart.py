"""The recommender's quickstart runs as it is printed, in its order, and prints what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from encore_recommender.cli import cli

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recommender-quickstart.md"


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every block of code, in the order of the page."""
    return re.findall(r"^```(\w+)\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def words(output: str) -> list[str]:
    """The lines without figures, versions, seconds and the width of columns: those change with every better model."""
    plain = re.sub(r"\b\d{8}T\d{6}Z-[0-9a-f]+\b", "VERSION", output)
    plain = re.sub(r"\b(not distinguishable|(B is )?(better|worse))\b", "VERDICT", plain)
    plain = re.sub(r", # times more than chance", "", re.sub(r"[+-]?\d[\d.,]*", "#", plain))
    return sorted(" ".join(line.split()) for line in plain.splitlines() if line.strip())


@pytest.mark.long
def test_the_quickstart_runs_from_the_export_to_the_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed, compared, run = "", 0, 0
    for language, text in blocks():
        if language == "python":
            exec(text, {})
        elif language == "sh":
            printed = ""
            for line in text.splitlines():
                program, *arguments = shlex.split(line, comments=True)
                if program == "encore-recommender":
                    result = CliRunner().invoke(cli, arguments)
                    assert result.exit_code == 0, (line, result.output)
                    quiet = "--quiet" in arguments
                    printed += "" if quiet else result.output
                    run += 1
        else:
            assert words(printed) == words(text)
            compared += 1
    assert (run, compared) == (8, 5)
    assert (tmp_path / "quality.png").read_bytes().startswith(b"\x89PNG")


def test_every_option_the_quickstart_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE.read_text(encoding="utf-8"))) - {"--help"}
    known = {option for command in cli.commands.values() for each in command.params for option in each.opts}
    assert sorted(named - known) == []

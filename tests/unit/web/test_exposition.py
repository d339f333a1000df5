"""Prometheus' text format, read back by its grammar."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from flask_encore.web.exposition import Family, single, text

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|Inf)|NaN"
HELP = re.compile(rf"# HELP {_NAME} (?:[^\\\n]|\\[\\n])*")
TYPE = re.compile(rf"# TYPE {_NAME} (?:counter|gauge|histogram|summary|untyped)")
SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ({_NUMBER})")


def grammatical(exposition: str) -> dict[str, str]:
    """Every series -> its value as written; fails on a line the format does not know, and on a series said twice."""
    assert exposition.endswith("\n") or not exposition
    series: dict[str, str] = {}
    family = ""
    for line in exposition.split("\n")[:-1]:
        if line.startswith("#"):
            assert HELP.fullmatch(line) or TYPE.fullmatch(line), line
            family = line.split(" ")[2]
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        assert found[1] == family
        assert line.rpartition(" ")[0] not in series
        series[line.rpartition(" ")[0]] = found[3]
    return series


def test_a_family_is_a_help_a_type_and_its_series() -> None:
    family = Family(name="a_total", kind="counter", help="How often.", samples=[({"event": "x"}, 2), ({}, 0.5)])
    assert text([family]) == '# HELP a_total How often.\n# TYPE a_total counter\na_total{event="x"} 2\na_total 0.5\n'


def test_a_family_without_a_series_is_left_out() -> None:
    assert text([single("age", "Age.", None), single("up", "Up.", 0)]) == "# HELP up Up.\n# TYPE up gauge\nup 0\n"


def test_values_that_are_no_number_are_written_as_the_format_spells_them() -> None:
    values = [float("inf"), float("-inf"), float("nan"), 1e-07, 10**17]
    lines = text([Family(name="x", kind="gauge", help="", samples=[({"n": str(v)}, v) for v in values])]).splitlines()
    assert [line.split(" ")[1] for line in lines[2:]] == ["+Inf", "-Inf", "NaN", "1e-07", "100000000000000000"]


@given(st.text(), st.text(), st.floats())
def test_whatever_is_in_a_label_or_a_help_the_grammar_holds(label: str, help: str, value: float) -> None:
    exposition = text(
        [Family(name="odd", kind="gauge", help=help, samples=[({"event": label, "process": "1"}, value)])]
    )

    [series] = grammatical(exposition)

    inner = series.removeprefix('odd{event="').removesuffix('",process="1"}')
    back = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), inner)
    assert back == label

"""Prometheus' text format, read back by its grammar."""

from __future__ import annotations

import re

from exposition_grammar import grammatical
from hypothesis import given
from hypothesis import strategies as st

from flask_encore.web.exposition import Family, single, text


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

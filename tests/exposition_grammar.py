"""The grammar of Prometheus' text format 0.0.4, line by line."""

from __future__ import annotations

import re

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

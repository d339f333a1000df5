"""The code that is printed in the documents, for the tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def block(document: str, name: str) -> str:
    """The Python block behind ``<!-- runs: name -->``."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = re.search(rf"<!-- runs: {name} -->\n *```python\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    assert found, f"{document} has no block {name}"
    return found[1]

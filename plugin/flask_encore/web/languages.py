"""What a language is called, for merchants."""

from __future__ import annotations

from babel import Locale, UnknownLocaleError


def language_name(tag: str) -> str:
    """The English name of a language tag (``de-AT``: German (Austria)); one nobody knows is its own name."""
    try:
        return str(Locale.parse(tag, sep="-").get_display_name("en") or tag)
    except (UnknownLocaleError, ValueError):
        return tag

"""Draws a product's picture: a flat illustration in colours taken from its name. No asset comes from elsewhere."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib import resources
from string import Template
from urllib.parse import quote

#: Colour word in a title -> main colour, its shade, its light, and the paper behind it.
PALETTES = {
    "sage": ("#8fa98a", "#64805f", "#c6d5c1", "#eef2ea"),
    "forest": ("#3f6b52", "#274936", "#8fb39d", "#e6efe8"),
    "moss": ("#7b8b4a", "#57642f", "#bcc78f", "#f0f2e3"),
    "green": ("#5f8f5a", "#41683e", "#abcaa5", "#e9f2e6"),
    "indigo": ("#3f5488", "#293862", "#92a3cb", "#e8ecf5"),
    "blue": ("#4b7ba6", "#30567a", "#a3c3dd", "#e7f0f6"),
    "rust": ("#b8623a", "#8a4425", "#e0a888", "#f8ece4"),
    "copper": ("#b97345", "#8b5230", "#e3b390", "#f7ede4"),
    "oxblood": ("#7f2f35", "#591e23", "#c0878b", "#f5e8e8"),
    "red": ("#b5443c", "#852e28", "#e09c96", "#f9e9e7"),
    "rose": ("#c98a8f", "#a0646b", "#ecc9cb", "#faeff0"),
    "plum": ("#7a4a78", "#573356", "#bd98bb", "#f2eaf2"),
    "mustard": ("#d3a12f", "#a1791b", "#efd492", "#fbf4e0"),
    "brass": ("#c5a04c", "#957630", "#e6d19b", "#f8f3e3"),
    "orange": ("#d9823b", "#a95f24", "#f2c096", "#fcf0e4"),
    "lemon": ("#e0c24a", "#ad922a", "#f4e7ab", "#fcf8e3"),
    "cream": ("#e4d6b4", "#b9a87f", "#f6efdd", "#efe9dc"),
    "oat": ("#cdb894", "#9f8b67", "#eadfc9", "#f5f0e6"),
    "walnut": ("#8a5a36", "#623d22", "#c79d7d", "#f4ebe3"),
    "slate": ("#5d6b75", "#414c54", "#a9b5bd", "#e9edf0"),
    "grey": ("#7f8a90", "#5c666b", "#c2cacd", "#eff2f3"),
    "lavender": ("#8d83b5", "#665d8c", "#c9c3e0", "#f0eef7"),
}

#: Other words that stand for one of these colours.
_SYNONYMS = {
    "black": "slate", "white": "cream", "pink": "rose", "purple": "plum", "ivory": "cream", "honey": "mustard",
    "gold": "brass", "silver": "grey", "mint": "sage", "brown": "walnut", "teal": "blue", "yellow": "lemon",
    "sepia": "walnut", "zinc": "grey", "dove": "grey", "storm": "slate", "heather": "lavender", "damson": "plum",
    "blackcurrant": "plum", "rhubarb": "rose", "beetroot": "oxblood", "tomato": "red", "gooseberry": "moss",
    "quince": "orange", "marmalade": "orange", "jasmine": "sage", "chamomile": "lemon", "rosehip": "red",
    "matcha": "moss", "sencha": "green", "hojicha": "rust", "genmaicha": "mustard", "assam": "rust",
    "darjeeling": "copper", "lapsang": "slate", "bamboo": "oat", "terracotta": "rust",
    "peppermint": "green", "ginger": "mustard", "verbena": "lemon", "rooibos": "rust", "nettle": "forest",
}  # fmt: skip

#: For a shop whose products name no shape: the first word of this list found in the title tells what to draw.
SHAPE_WORDS = {
    "teapot": "teapot", "tea pot": "teapot", "mug": "mug", "cup": "cup", "saucer": "cup", "kettle": "kettle",
    "cosy": "cosy", "hottie": "cosy", "hot water": "cosy", "t-light": "candle", "lantern": "lantern",
    "candlestick": "candlestick", "candle": "candle", "light": "lantern", "lamp": "lantern", "match": "matches",
    "lunch bag": "bag", "jumbo bag": "bag", "bag": "bag", "shopper": "bag", "sack": "sack", "basket": "basket",
    "trinket": "box", "box": "box", "drawer": "box", "cabinet": "box", "cake case": "box", "tissue": "box",
    "cake tin": "tin", "tin": "tin", "baking": "tin", "cake": "tin", "cutter": "cutter", "bowl": "bowl",
    "dish": "bowl", "plate": "bowl", "apron": "apron", "glove": "mitt", "towel": "towel", "napkin": "cloth",
    "cushion": "cloth", "blanket": "cloth", "cloth": "cloth", "doily": "cloth", "rug": "cloth", "jam": "jar",
    "jar": "jar", "bottle": "bottle", "wine": "bottle", "water": "bottle", "soda": "bottle", "beer": "bottle",
    "milk": "bottle", "oil": "bottle", "juice": "bottle", "honey": "honey", "sugar": "sack", "flour": "sack",
    "rice": "sack", "chocolate": "chocolate", "candy": "chocolate", "biscuit": "biscuit", "cookie": "biscuit",
    "scone": "biscuit", "muffin": "biscuit", "brownie": "chocolate", "bread": "board", "toast": "board",
    "sandwich": "board", "chopping": "board", "sign": "board", "knife": "knife", "cutlery": "knife",
    "spoon": "spoon", "whisk": "whisk", "pan": "pan", "notebook": "notebook", "journal": "notebook",
    "book": "notebook", "diary": "notebook", "card": "card", "envelope": "envelope", "paper": "envelope",
    "letter": "envelope", "wrap": "tape", "tape": "tape", "ribbon": "tape", "garland": "tape", "bunting": "tape",
    "pencil": "pencil", "crayon": "pencil", "pen": "pen", "ink": "ink", "paint": "paint", "tag": "label",
    "label": "label", "marker": "label", "plant": "pot", "garden": "trowel", "herb": "pot", "pot": "pot",
    "flower": "pot", "vegetable": "sprout", "watering": "can", "twine": "twine", "string": "twine",
    "bird": "nest", "house": "nest", "seed": "packet", "soap": "soap", "bath": "balm", "brush": "brush",
    "chalkboard": "board", "cakestand": "bowl", "cake stand": "bowl", "frame": "card", "mirror": "card",
    "coffee": "mug", "tea": "caddy", "hanger": "label", "heart": "bag", "christmas": "candlestick",
}  # fmt: skip

#: What is drawn when a title says nothing we know.
PARCEL = "box"

_FIXED = {"w": "#c79a68", "v": "#7b5534", "k": "#33302c", "p": "#fffaf0", "m": "#b9c0c4"}
_GROUP = re.compile(r'<g id="([a-z-]+)">(.*)</g>')


@cache
def shapes() -> dict[str, str]:
    """Every shape that can be drawn: name -> SVG fragment with colour placeholders."""
    sheet = resources.files("flask_encore.demo").joinpath("shapes.svg").read_text("utf-8")
    return {found[1]: found[2] for found in map(_GROUP.match, sheet.splitlines()) if found}


def picture_url(sku: str) -> str:
    """Where the shop serves the picture of *sku*."""
    return f"/pictures/{quote(sku, safe='')}.svg"


def shape_of(title: str) -> str:
    """The shape that fits *title* best; a parcel when none does."""
    lower = title.lower()
    return next((shape for word, shape in _shape_patterns() if word.search(lower)), PARCEL)


@cache
def _shape_patterns() -> list[tuple[re.Pattern[str], str]]:
    """Whole words, in the singular or plural: bunting is no tin."""
    return [(re.compile(rf"\b{re.escape(word)}(?:e?s)?\b"), shape) for word, shape in SHAPE_WORDS.items()]


def palette_of(sku: str, title: str) -> tuple[str, str, str, str]:
    """The colours a title names (its last colour word), else colours drawn from the SKU."""
    for word in reversed(re.findall(r"[a-z]+", title.lower())):
        name = _SYNONYMS.get(word, word)
        if name in PALETTES:
            return PALETTES[name]
    return list(PALETTES.values())[_digest(sku) % len(PALETTES)]


def picture(sku: str, title: str, shape: str = "") -> str:
    """The SVG picture of a product; the same every time. *shape* falls back to what the title suggests."""
    drawing = shapes().get(shape) or shapes()[shape_of(title)]
    main, shade, light, paper = palette_of(sku, title)
    backdrop = _BACKDROPS[_digest(sku) // len(PALETTES) % len(_BACKDROPS)]
    colours = {"a": main, "b": shade, "c": light, "bg": paper, **_FIXED}
    return Template(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 240" width="480" height="480">'
        f'<rect width="240" height="240" fill="$bg"/>{backdrop}'
        '<ellipse cx="120" cy="197" rx="84" ry="9" fill="$k" opacity=".14"/>'
        f"{drawing}</svg>"
    ).substitute(colours)


_BACKDROPS = (
    '<circle cx="120" cy="112" r="92" fill="$c" opacity=".38"/>',
    '<path d="M36 197v-85a84 84 0 0 1 168 0v85z" fill="$c" opacity=".38"/>',
    '<path d="M0 168q60-34 120-12t120-18v102H0z" fill="$c" opacity=".42"/>',
    '<rect x="30" y="30" width="180" height="167" rx="10" fill="$c" opacity=".32"/>',
)


def _digest(sku: str) -> int:
    return int.from_bytes(hashlib.sha256(sku.encode()).digest()[:6], "big")

"""Which products stand in for each other: variants of one parent, and titles that differ in colour or size alone."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

#: A larger family says more about how a shop fills in its forms ("Poster", parent "0") than about its products.
LARGEST_FAMILY = 100

#: Words for colours, without accents; German, English, French, Spanish, Italian, Dutch, Portuguese, Polish and
#: Scandinavian, with the endings they take. Left out where the same letters name a thing: a curtain rod, a viola.
_COLOURS = """
amber amethyst anthracite apricot aqua beige black blue bordeaux brass bronze brown burgundy charcoal clear cobalt
copper coral cream crimson cyan emerald fuchsia gold golden gray green grey indigo ivory khaki lavender lilac lime
magenta maroon mauve mint multicolour multicolor multicoloured multicolored mustard natural navy olive orange peach
petrol pink plum purple red rose ruby rust sapphire scarlet silver sky tan taupe teal transparent turquoise violet
white yellow matt matte
anthrazit blau blaue blauer blaues braun braune brauner braunes bunt bunte bunter buntes dunkelblau
dunkelgrun dunkelrot gelb gelbe gelber gelbes golden grau graue grauer graues grun grune gruner grunes hellblau
hellgrun lila rosa rot rote roter rotes schwarz schwarze schwarzer schwarzes silber turkis weiss weisse weisser
weisses
argent argente blanc blanche bleu bleue brun brune clair claire dore doree fonce foncee gris grise jaune marron
multicolore noir noire or pourpre rouge vert verte
amarilla amarillo azul blanca blanco celeste dorado gris marron morado naranja negra negro plateado roja rojo
rosado verde violeta oscura oscuro clara claro
arancione argento azzurra azzurro bianca bianco blu gialla giallo grigia grigio marrone nera nero oro rossa rosso
chiara chiaro scura scuro
blauw blauwe bruin bruine geel gele goud grijs grijze groen groene oranje paars paarse rood rode roze wit witte
zilver zwart zwarte
amarela amarelo branca branco cinza dourado laranja prata preta preto roxa roxo vermelha vermelho
biala bialy brazowa brazowy czarna czarny czerwona czerwony fioletowy granatowa granatowy niebieska niebieski
pomaranczowy rozowa rozowy srebrny szara szary zielona zielony zlota zloty zolta zolty
bla gra gron grona gul gula guld hvid hvit lyserod morkebla oransje roda rosa svart svarta solv vit vita
"""
COLOURS = frozenset(_COLOURS.split())

#: Only right before a colour: a light is a thing, light blue is a colour.
_SHADES = "light dark pale bright pastel deep hell dunkel licht donker lys ljus mork jasny ciemny"
SHADES = frozenset(_SHADES.split())

#: Words for sizes, likewise.
_SIZES = """
xxs xs s m l xl xxl xxxl xxxxl 2xl 3xl 4xl 5xl one onesize mini small medium large big giant jumbo extra size tall
short long wide narrow petite
klein kleine kleiner kleines mittel gross grosse grosser grosses riesig grosze
petit petite moyen moyenne grand grande taille
pequena pequeno mediana mediano talla
piccola piccolo media medio taglia
groot grote maat
media tamanho
mala maly srednia sredni duza duzy rozmiar
lille liten mellem mellan stor stora storrelse storlek
"""
SIZES = frozenset(_SIZES.split())

#: Numbers with a unit of length, volume or weight. A number alone may be a volume of a series, the next thing to buy.
_MEASURE = re.compile(r"\d+(?:[.,]\d+)?(?:x\d+(?:[.,]\d+)?)*(?:mm|cm|dm|m|in|inch|ft|ml|cl|dl|l|g|kg|oz|lb)")
_UNITS = "mm cm dm in inch inches ft ml cl dl ltr litre liter kg gr gram grams oz lb"
UNITS = frozenset(_UNITS.split())
_NUMBER = re.compile(r"\d+(?:[.,]\d+)?(?:x\d+(?:[.,]\d+)?)*")
_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)?")
_WITHIN_A_WORD = re.compile(r"(?<=\w)['’`´\-‐‑](?=\w)")
_BY = re.compile(r"(?<=\d)\s*[x×]\s*(?=\d)")
#: LETTER "S" is a letter, not a size.
_QUOTED_LETTER = re.compile(r"[\"'“”„‘’](\w)[\"'“”„‘’]")


def families(skus: Sequence[str], *, titles: Mapping[str, str], parents: Mapping[str, str]) -> NDArray[np.int32]:
    """Number the families of products that stand in for each other.

    Products are one family when they have the same parent, or when their titles are the same words once those
    for colours, sizes and measures are left out. Every member agrees with every other on those words, so that a
    row of small differences never joins a bag to a mug; only shared parents join groups of titles.

    Args:
        skus: The products.
        titles: Title per SKU, where known.
        parents: Parent product per SKU, where known.

    Returns:
        Per product the number of its family, from 0 in order of appearance; -1 for one that has none.
    """
    if not titles and not parents:
        return np.full(len(skus), -1, dtype=np.int32)
    by_parent = _groups(parents.get(sku) or None for sku in skus)
    by_title = _groups(words(titles[sku]) or None if sku in titles else None for sku in skus)
    joined = _groups(_joined(by_parent, by_title))
    # Where joining makes too large a family, parents stand alone.
    alone = np.flatnonzero((joined < 0) & (by_parent >= 0))
    joined[alone] = len(skus) + by_parent[alone]
    return _groups(number if number >= 0 else None for number in joined.tolist())


def words(title: str) -> tuple[str, ...]:
    """What a title names beyond colour, size and measure: its words in one spelling, sorted; maybe none."""
    plain = _QUOTED_LETTER.sub(r" letter\1 ", title).casefold()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).replace("ø", "o").replace("ł", "l")
        plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    found = _WORD.findall(_WITHIN_A_WORD.sub("", _BY.sub("x", plain)))
    named: list[str] = []
    for i, word in enumerate(found):
        following = found[i + 1] if i + 1 < len(found) else ""
        measure = _MEASURE.fullmatch(word) or (_NUMBER.fullmatch(word) and following in UNITS)
        shade = word in SHADES and following in COLOURS
        if not (word in COLOURS or word in SIZES or word in UNITS or shade or measure):
            named.append(word.removesuffix("s") if len(word) > 3 else word)
    return tuple(sorted(named))


def _groups(keys: Iterable[Hashable]) -> NDArray[np.int32]:
    """Number equal keys by appearance; -1 for None, for a key of its own, and for one that too many have."""
    keys = list(keys)
    shared = Counter(keys)
    numbers: dict[Hashable, int] = {}
    found = [
        numbers.setdefault(key, len(numbers)) if key is not None and 1 < shared[key] <= LARGEST_FAMILY else -1
        for key in keys
    ]
    return np.array(found, dtype=np.int32)


def _joined(by_parent: NDArray[np.int32], by_title: NDArray[np.int32]) -> list[str | None]:
    """One key for all that share a parent or a title, directly or through another such group."""
    above: dict[str, str] = {}

    def top(group: str) -> str:
        while above.setdefault(group, group) != group:
            above[group] = above[above[group]]
            group = above[group]
        return group

    groups = [
        [f"{kind}{number}" for kind, number in (("p", parent), ("t", title)) if number >= 0]
        for parent, title in zip(by_parent.tolist(), by_title.tolist(), strict=True)
    ]
    for both in groups:
        if len(both) == 2:
            above[top(both[1])] = top(both[0])
    return [top(some[0]) if some else None for some in groups]

"""The card in all fourteen languages on a phone: words are long, amounts are longer, and the total stays in sight."""

from __future__ import annotations

from browser.patterns import OpenPage, PatternShop, visit
from offer_cards import offer_card

from flask_encore.domain.money import Money
from flask_encore.web.contexts import CardState
from flask_encore.web.phrases import CATALOGUES

#: The widest price block: five digits, a reference price, and tax whose amount is known.
AMOUNTS = {name: Money(1_234_567, "gbp") for name in ("item", "discount", "shipping", "total", "tax", "was")}

INSIDE = """(box) => [...box.querySelectorAll('.price dd, button')].every((each) => {
  const outer = box.getBoundingClientRect(), inner = each.getBoundingClientRect();
  return inner.left >= outer.left && inner.right <= outer.right;
})"""


def test_no_language_pushes_an_amount_or_a_button_out_of_the_card(
    open_page: OpenPage, pattern_shop: PatternShop, problems: list[str]
) -> None:
    page = open_page(viewport={"width": 320, "height": 640})
    outside = []
    for language in sorted(CATALOGUES):
        visit(page, pattern_shop, offer_card(CardState.OPEN, locale=language, **AMOUNTS))
        section = page.locator("encore-offer section")
        if not section.evaluate(INSIDE) or section.evaluate("(box) => box.scrollWidth > box.clientWidth"):
            outside.append(language)
    assert outside == []
    assert problems == []

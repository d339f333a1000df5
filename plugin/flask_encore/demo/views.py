"""The shop's shelves and basket: catalogue, search, product page, pictures. Everything works without JavaScript."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from flask_encore.demo import till, visit
from flask_encore.demo.campaigns import TRIALS
from flask_encore.demo.pictures import picture
from flask_encore.demo.shop import shop
from flask_encore.domain.money import MINIMUM_CHARGE, Money

#: Products on one page of a shelf, and on the front page: whole rows at two, three and four columns.
PAGE, FRONT = 24, 12

#: Pictures in the shop window, each from another shelf.
WINDOW = 3

#: A product's picture never changes; browsers may keep it for a day.
PICTURE_AGE = 86_400

#: What Stripe's documentation says to try.
TEST_CARDS = (
    ("4242 4242 4242 4242", "works"),
    ("4000 0027 6000 3184", "asks the bank on every payment, on the offer's click too"),
    ("4000 0000 0000 9995", "declined: insufficient funds"),
)


def create_blueprint() -> Blueprint:
    """All of the shop's routes."""
    blueprint = Blueprint("shop", __name__, template_folder="templates", static_folder=None)
    blueprint.before_request(_refuse_other_origins)
    blueprint.before_request(_choose_language)
    blueprint.get("/")(home)
    blueprint.get("/shelves/<slug>")(shelf)
    blueprint.get("/search")(search)
    blueprint.get("/products/<path:sku>")(product)
    blueprint.get("/pictures/<path:sku>.svg")(picture_of)
    blueprint.get("/basket")(show_basket)
    blueprint.post("/basket")(change_basket)
    blueprint.post("/try/<slug>")(fill_basket)
    till.mount(blueprint)
    return blueprint


def home() -> str:
    """The front page."""
    books = shop().books
    shelves = [(category, size, books.shelf(category.name, limit=3)) for category, size in books.categories()]
    favourites = books.favourites(limit=FRONT)
    window = [items[0] for _category, _size, items in shelves[1::3] if items] if len(shelves) > WINDOW else favourites
    return render_template(
        "demo/home.html",
        shelves=shelves,
        favourites=favourites,
        window=window[:WINDOW],
        trials=TRIALS if books.meta("trials") else (),
    )


def shelf(slug: str) -> str:
    """A category, page by page."""
    books = shop().books
    found = next(((category, size) for category, size in books.categories() if category.slug == slug), None)
    if found is None:
        abort(404)
    category, size = found
    page = max(request.args.get("page", 1, type=int), 1)
    products = books.shelf(category.name, limit=PAGE, offset=(page - 1) * PAGE) if page <= size // PAGE + 1 else []
    if not products:
        abort(404)
    return render_template("demo/shelf.html", category=category, products=products, page=page, more=page * PAGE < size)


def search() -> str:
    """Products by name."""
    words = request.args.get("q", "").strip()[:80]
    return render_template("demo/search.html", words=words, products=shop().books.search(words, limit=PAGE * 2))


def product(sku: str) -> str:
    """One product, with its neighbours on the shelf."""
    found = shop().books.product(sku)
    if found is None:
        abort(404)
    parent = found.product.parent
    beside = [
        item
        for item in shop().books.shelf(found.product.category or "", limit=5)
        if item.product.sku != sku and (parent is None or item.product.parent != parent)
    ]
    variants = shop().books.variants(parent) if parent else []
    return render_template("demo/product.html", item=found, variants=variants, beside=beside[:4])


def picture_of(sku: str) -> Response:
    """The product's picture."""
    found = shop().books.product(sku)
    if found is None:
        abort(404)
    response = Response(picture(sku, found.name, found.shape), mimetype="image/svg+xml")
    response.cache_control.public = True
    response.cache_control.max_age = PICTURE_AGE
    return response


def show_basket() -> str:
    """The basket, and under it what paying means for the card."""
    lines = visit.basket_lines()
    total = visit.total_of(lines) if lines else None
    return render_template(
        "demo/basket.html",
        lines=lines,
        total=total,
        least=Money(MINIMUM_CHARGE.get(total.currency, 0), total.currency) if total else None,
        test_cards=TEST_CARDS,
        simulated=shop().access.simulated,
        apology=request.args.get("apology") == "1",
    )


def change_basket() -> BaseResponse:
    """Put a product in, change its quantity, or take it out (quantity 0); then back to where that was asked."""
    found = shop().books.product(request.form.get("sku", ""))
    if found is None:
        abort(404)
    sku = found.product.sku
    asked = request.form.get("quantity", 1, type=int)
    wanted = visit.basket().get(sku, 0) + asked if request.form.get("add") else asked
    stock = visit.LARGEST_QUANTITY if found.product.stock is None else found.product.stock
    visit.put(sku, max(min(wanted, stock, visit.LARGEST_QUANTITY), 0))
    return redirect(url_for("shop.show_basket"), code=303)


def fill_basket(slug: str) -> BaseResponse:
    """Put one of the table's baskets in place of what was there; then have a look at it."""
    trial = next((trial for trial in TRIALS if trial.slug == slug and shop().books.meta("trials")), None)
    if trial is None:
        abort(404)
    visit.empty_basket()
    for sku, quantity in trial.basket.items():
        visit.put(sku, quantity)
    return redirect(url_for("shop.show_basket"), code=303)


def not_found(_error: HTTPException) -> tuple[str, int]:
    """Whatever is not there, and whatever is not yours."""
    return render_template("demo/not_found.html"), 404


def _choose_language() -> None:
    visit.choose_locale(request.args.get("lang"))


def _refuse_other_origins() -> None:
    """Forms are posted from the shop's own pages; Encore's do their own checking."""
    if request.method != "POST":
        return
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    ours = site in {"same-origin", "none"} if site else origin is None or urlsplit(origin).netloc == request.host
    if not ours:
        abort(403)

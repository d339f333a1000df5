"""`recommend`, `explain` and `compare`: what a model says, and which of two says it better."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from encore_recommender import Explanation
from encore_recommender.baskets import Baskets
from encore_recommender.bounds import Bounds
from encore_recommender.cli import reports
from encore_recommender.cli.frame import (
    HOLD_OUT,
    SEED,
    BadData,
    Output,
    Reader,
    Refused,
    outputs,
    read_file,
    reads,
    width,
)
from encore_recommender.evaluation import split
from encore_recommender.exams import CONTEXTS, compared, exam, without_history
from encore_recommender.model import CoPurchaseModel
from encore_recommender.persistence import CURRENT, MANIFEST, load, open_model, read_manifest

_MODEL = click.argument("model", type=click.Path(exists=True, file_okay=False, path_type=Path))
_SKUS = click.argument("skus", nargs=-1, required=True, metavar="SKU...")


@click.command(epilog="Example:  encore-recommender recommend models MUG-1 TEA-6 -k 3 --exclude MUG-2")
@outputs
@_MODEL
@_SKUS
@click.option("-k", default=10, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option("--exclude", multiple=True, metavar="SKU", help="Never to be recommended; repeatable.")
@click.option("--allow", multiple=True, metavar="SKU", help="Nothing but these; repeatable.")
@click.option("--history", multiple=True, metavar="SKU", help="The customer bought it before; once per order.")
@click.option("--before", multiple=True, metavar="SKU", help="Offered before in the same sequence; repeatable.")
@click.option("--pin", multiple=True, metavar="SKU=SKU", help="Beside the first, the second comes first; repeatable.")
@click.option("--block", multiple=True, metavar="SKU=SKU", help="Never together; repeatable.")
@click.option("--category", "only", multiple=True, help="Nothing but this category; repeatable.")
@click.option("--no-category", "never", multiple=True, help="Nothing of this category; repeatable.")
@click.option("--per-category", type=click.IntRange(1), help="So many of one category at most.")
@click.option("--substitutes", is_flag=True, help="Products like those in the basket too.")
@click.option("--prices", type=click.Path(exists=True, path_type=Path), help="An order history with prices, for:")
@click.option("--min-price", type=click.FloatRange(0), help="Nothing cheaper.")
@click.option("--max-price", type=click.FloatRange(0), help="Nothing dearer.")
def recommend(
    model: Path,
    skus: tuple[str, ...],
    out: Output,
    k: int,
    exclude: tuple[str, ...],
    allow: tuple[str, ...],
    history: tuple[str, ...],
    before: tuple[str, ...],
    **bounds: Any,
) -> None:
    """Rank what to offer beside a basket of SKUs with the live model under MODEL; `-` reads one SKU per line."""
    opened, basket = _opened(model)[0], _basket(skus)
    _name_unknown(opened, [*basket, *history], out)
    answer = opened.recommend(
        basket,
        k=k,
        exclude=exclude,
        history=history or None,
        allowed=allow or None,
        bounds=_bounds(**bounds),
        sequence=before,
    )
    rows = zip(answer.ids, answer.scores, answer.probabilities, answer.explanations, strict=True)
    found = {
        "model": opened.version,
        "basket": basket,
        "recommendations": [
            {"sku": sku, "score": score, "probability": probability, **_plain(why)}
            for sku, score, probability, why in rows
        ],
    }
    out.result(found, reports.recommended(found, width=width()))


@click.command(epilog="Example:  encore-recommender explain models MUG-1 --for TEA-6")
@outputs
@_MODEL
@_SKUS
@click.option("--for", "sku", required=True, metavar="SKU", help="The product to explain.")
def explain(model: Path, skus: tuple[str, ...], out: Output, sku: str) -> None:
    """Say what speaks for a product beside a basket of SKUs, in counts of orders; `-` reads one SKU per line."""
    opened, basket = _opened(model)[0], _basket(skus)
    _name_unknown(opened, [*basket, sku], out)
    why = opened.explain(basket, sku)
    found = {
        "model": opened.version,
        "basket": basket,
        "sku": sku,
        "explanation": None if why is None else _plain(why),
    }
    if why is None:
        out.result(found, f"{sku}: nobody bought it in the orders the model learned from")
    else:
        out.result(found, f"{sku}: {f'beside {why.because_of}, ' if why.because_of else ''}{why.sentence()}")


@click.command(epilog="Example:  encore-recommender compare models-old models-new newer-orders.csv --fail-if-worse")
@outputs
@click.argument("model_a", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("model_b", type=click.Path(exists=True, file_okay=False, path_type=Path))
@reads
@HOLD_OUT
@click.option("--fail-if-worse", is_flag=True, help="Exit with 1 if B is worse than A.")
@SEED
def compare(
    model_a: Path,
    model_b: Path,
    read: Reader,
    out: Output,
    hold_out: float | None,
    fail_if_worse: bool,
    seed: int,
) -> None:
    """Ask two models about the same orders of DATA: is B better than A, or not distinguishable?

    Asked are the orders after the last one either model learned from; with --hold-out, that share of DATA's newest
    orders (the share the models were fitted with). The interval is that of a paired bootstrap over orders, 95 %.
    """
    (a, after_a), (b, after_b) = _opened(model_a), _opened(model_b)
    baskets = Baskets.from_lines(read()).without_upsell()
    test, after = baskets, max((at for at in (after_a, after_b) if at is not None), default=None)
    if hold_out:
        test = split(baskets, share=hold_out)[1]
    elif baskets.times is None or after is None:
        out.warn("The orders or the models have no times, so all orders are asked, also those the models know.")
    else:
        test = baskets.take(baskets.times > after)
    contexts: dict[str, Any] = {}
    with out.progress() as tell:
        for number, (name, context) in enumerate(CONTEXTS.items()):
            tell("asking", number / len(CONTEXTS))
            asked = exam(test, context=context, seed=seed)
            if not asked.queries:
                raise BadData(_nothing_to_ask(after))
            answers = [asked.answers(without_history(each.ids)) for each in (a, b)]
            contexts[name] = {"questions": len(asked.queries), **compared(asked, *answers).as_dict()}
    found = {"a": a.version, "b": b.version, "orders": test.n_orders, "contexts": contexts}
    out.result(found, reports.compared(found))
    if fail_if_worse and any(each["verdict"] == "worse" for each in contexts.values()):
        raise Refused("B is worse than A.")


def _plain(why: Explanation) -> dict[str, Any]:
    return {**asdict(why), "why": why.sentence()}


def _opened(path: Path) -> tuple[CoPurchaseModel, float | None]:
    """The live model of a folder of models, or that of one model's own folder; and when its last order was."""
    if (path / MANIFEST).exists() or not (path / CURRENT).exists():
        model, directory = open_model(path), path
    else:
        model = load(path)
        directory = path / f"model-{model.version}"
    last = read_manifest(directory).get("data_window", {}).get("last_order_at")
    return model, last if isinstance(last, (int, float)) else None


def _basket(skus: tuple[str, ...]) -> list[str]:
    if skus != ("-",):
        return list(skus)
    return [line.strip() for line in sys.stdin if line.strip()]


def _name_unknown(model: CoPurchaseModel, skus: list[str], out: Output) -> None:
    known = frozenset(model.skus)
    for sku in dict.fromkeys(skus):
        if sku not in known:
            close = ", ".join(get_close_matches(sku, model.skus, n=3))
            near = f"; near it are {close}" if close else ""
            out.note(f"{sku} is not known{near}.")


def _bounds(
    *,
    pin: tuple[str, ...],
    block: tuple[str, ...],
    only: tuple[str, ...],
    never: tuple[str, ...],
    per_category: int | None,
    substitutes: bool,
    prices: Path | None,
    min_price: float | None,
    max_price: float | None,
) -> Bounds:
    pinned: dict[str, list[str]] = {}
    for line, sku in map(_pair("--pin"), pin):
        pinned.setdefault(line, []).append(sku)
    guarded = min_price is not None or max_price is not None
    if guarded and prices is None:
        raise click.UsageError("--min-price and --max-price need --prices, an order history with prices")
    known = read_file(prices, lambda stage, share: None).prices if prices else {}
    return Bounds(
        pinned=pinned,
        blocked=[_pair("--block")(pair) for pair in block],
        only_categories=only or None,
        never_categories=never,
        per_category=per_category,
        substitutes=substitutes,
        prices={sku: _thousandths(price) for sku, price in known.items()},
        min_price=None if min_price is None else _thousandths(min_price),
        max_price=None if max_price is None else _thousandths(max_price),
    )


def _thousandths(price: float) -> int:
    """Whole units finer than any currency's, so that a guard compares without knowing the currency."""
    return round(price * 1_000)


def _pair(option: str) -> Callable[[str], tuple[str, str]]:
    def parted(text: str) -> tuple[str, str]:
        one, mark, other = text.partition("=")
        if not (one and mark and other):
            raise click.UsageError(f"{option} takes two SKUs with = between them, not {text!r}")
        return one, other

    return parted


def _nothing_to_ask(after: float | None) -> str:
    last = (
        ""
        if after is None
        else f" after {datetime.fromtimestamp(after, UTC):%Y-%m-%d %H:%M} (the last one learned from)"
    )
    return (
        f"there is nothing to ask: no order of two products or more{last}. Pass newer orders, or keep some back: "
        "fit both with --hold-out 0.2, and compare with --hold-out 0.2"
    )

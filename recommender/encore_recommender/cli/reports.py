"""What the commands found, as people read it; the same plain values that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from encore_recommender.cli.tables import table

CONTEXT_TITLES = {"full_basket": "full basket (all other lines known)", "one_line": "one line known"}


def fitted(found: Mapping[str, Any]) -> str:
    """Of `fit`: what was learned, how well, and where it is."""
    metrics = found["metrics"]
    rows = [
        ["orders", f"{found['orders']:,}", *_window(found)],
        ["lines", f"{found['lines']:,}", ""],
        ["products", f"{found['products']:,}", ""],
    ]
    head = table(["", "", ""], rows, numbers="lr")
    quality = [
        [
            title,
            *(
                f"{metrics[context + rival][metric]:.4f}"
                for metric in ("hit_rate_at_3", "ndcg_at_10")
                for rival in ("", "_popularity")
            ),
            f"{metrics[context]['queries']:,}",
        ]
        for context, title in CONTEXT_TITLES.items()
    ]
    judged = table(
        ["on the newest fifth", "hit rate@3", "best-sellers", "NDCG@10", "best-sellers", "questions"],
        quality,
        numbers="lrrrrr",
    )
    return f"{head}\n\n{judged}"


def evaluated(found: Mapping[str, Any]) -> str:
    """Of `evaluate`: a table per context, and ours against the best of the others."""
    taught = found["taught"]
    parts = [
        f"Learned from the first {taught['orders']:,} orders ({taught['products']:,} products, "
        f"{taught['seconds']:.1f} s); asked about the last {found['asked_orders']:,}."
    ]
    for context, each in found["contexts"].items():
        if not each["questions"]:
            parts.append(f"{CONTEXT_TITLES[context]}: no question, for no later order has two products.")
            continue
        methods = each["methods"]
        valued = any("value_weighted_hit_rate_at_3" in method for method in methods.values())
        head = [CONTEXT_TITLES[context], "NDCG@10", "95 %", "HR@1", "HR@3", "HR@10", "MRR", "coverage@3"]
        rows = [
            [
                name,
                f"{m['ndcg_at_10']['value']:.4f}",
                f"{m['ndcg_at_10']['low']:.4f}–{m['ndcg_at_10']['high']:.4f}",
                *(f"{m[k]['value']:.4f}" for k in ("hit_rate_at_1", "hit_rate_at_3", "hit_rate_at_10", "mrr_at_10")),
                f"{m['coverage_at_3']:.4f}",
                *([f"{m.get('value_weighted_hit_rate_at_3', 0.0):.4f}"] if valued else []),
            ]
            for name, m in sorted(methods.items(), key=lambda named: -named[1]["ndcg_at_10"]["value"])
        ]
        parts.append(table([*head, *(["value HR@3"] if valued else [])], rows, numbers="lrrrrrrrr"))
        rival, against = max(each["encore_against"].items(), key=lambda named: named[1]["a"]["value"])
        parts.append(f"encore against the best of them, {rival}: {difference(against)}.")
    if found["left_out"]:
        parts.append("\n".join(f"Left out: {name} ({why})." for name, why in found["left_out"].items()))
    return "\n\n".join(parts)


def difference(comparison: Mapping[str, Any]) -> str:
    """A paired comparison in words: `+0.0123 NDCG@10 [+0.0100, +0.0146], better`."""
    by = comparison["difference"]
    return f"{by['value']:+.4f} NDCG@10 [{by['low']:+.4f}, {by['high']:+.4f}], {comparison['verdict']}"


def recommended(found: Mapping[str, Any], *, width: int | None) -> str:
    """Of `recommend`."""
    if not found["recommendations"]:
        return "nothing to recommend"
    rows = [
        [str(rank), each["sku"], f"{each['probability']:.1%}", each["because_of"] or "", each["why"]]
        for rank, each in enumerate(found["recommendations"], start=1)
    ]
    return table(["", "product", "bought with it", "because of", "why"], rows, numbers="rlrll", width=width)


def compared(found: Mapping[str, Any]) -> str:
    """Of `compare`: B against A per context."""
    rows = [
        [
            CONTEXT_TITLES[context],
            f"{each['a']['value']:.4f}",
            f"{each['b']['value']:.4f}",
            f"{each['difference']['value']:+.4f}",
            f"[{each['difference']['low']:+.4f}, {each['difference']['high']:+.4f}]",
            f"B is {each['verdict']}" if each["verdict"] != "not distinguishable" else "not distinguishable",
        ]
        for context, each in found["contexts"].items()
    ]
    told = table(["NDCG@10", "A", "B", "B minus A", "95 %", ""], rows, numbers="lrrrrl")
    return f"A {found['a']}\nB {found['b']}\n{found['orders']:,} orders asked\n\n{told}"


def _window(found: Mapping[str, Any]) -> Sequence[str]:
    first, last = found["first_order_at"], found["last_order_at"]
    if first is None or last is None:
        return ["without times"]
    return [f"{datetime.fromtimestamp(first, UTC):%Y-%m-%d} to {datetime.fromtimestamp(last, UTC):%Y-%m-%d}"]

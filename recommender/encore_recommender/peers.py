"""Public methods to compare with, each tuned on the same validation orders. Reference implementations, dense and plain.

They follow the papers or, for the item-kNN family, what `implicit` computes; ALS and prod2vec need `implicit` and
`gensim` and can be asked only where those are installed. Nothing that serves needs any of this.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from encore_recommender.baskets import Baskets
from encore_recommender.evaluation import DEPTH, Query, split
from encore_recommender.exams import CONTEXTS, Answers, Exam, exam
from encore_recommender.tuning import VALIDATION_SHARE

#: Dense tables of more products than this do not fit beside each other into a few gigabytes.
MOST_PRODUCTS = 8_000

#: Questions scored at once: 256 rows of 8,000 products are 16 MB.
AT_ONCE = 256

Scores = Callable[[Any], NDArray[Any]]
"""Queries x products (CSR of ones) in, queries x products scores out."""


@dataclass(frozen=True)
class Taught:
    """What a method may learn from."""

    baskets: Baskets

    @cached_property
    def orders(self) -> Any:
        b = self.baskets
        return sparse.csr_array((np.ones(b.n_lines), b.items, b.start), shape=(b.n_orders, len(b.skus)))

    @cached_property
    def sold(self) -> NDArray[np.float64]:
        return np.bincount(self.baskets.items, minlength=len(self.baskets.skus)).astype(np.float64)

    def gram(self, size_exponent: float = 0.0, half_life_days: float | None = None) -> NDArray[np.float64]:
        """Orders with each pair, each order weighted, scaled so that a line counts 1 on average."""
        b = self.baskets
        weights = np.maximum(b.sizes - 1, 1.0) ** -size_exponent
        if half_life_days and b.times is not None:
            weights = weights * np.exp2(-(b.times.max() - b.times) / 86_400.0 / half_life_days)
        weighted = self.orders.copy()
        weighted.data = np.repeat(weights, b.sizes)
        dense: NDArray[np.float64] = (self.orders.T @ weighted).toarray()
        scaled: NDArray[np.float64] = dense * (self.sold.sum() / np.trace(dense))
        return scaled


Method = Callable[[Taught], Iterator[tuple[str, Scores]]]
"""Yields every setting of its grid, named, fitted."""

WEIGHTINGS = ((0.0, None), (0.5, None), (0.5, 120.0))


def _sum_of_rows(table: NDArray[Any]) -> Scores:
    return lambda asked: asked @ table


def _no_diagonal(table: NDArray[Any]) -> NDArray[Any]:
    np.fill_diagonal(table, 0.0)
    return table


def popularity(taught: Taught) -> Iterator[tuple[str, Scores]]:
    yield "", lambda asked: np.tile(taught.sold, (asked.shape[0], 1))


def association_rules(taught: Taught) -> Iterator[tuple[str, Scores]]:
    """Highest confidence of any rule with one line on its left."""
    together = taught.gram()
    for support in (2, 5, 10):
        confidence = _no_diagonal(np.where(together >= support, together, 0.0) / np.maximum(taught.sold, 1.0)[:, None])

        def best_rule(asked: Any, confidence: NDArray[Any] = confidence) -> NDArray[Any]:
            lines = np.split(asked.indices, asked.indptr[1:-1])
            return np.stack([confidence[line].max(axis=0, initial=0.0) for line in lines])

        yield f"support {support}", best_rule


def _nearest(similarity: NDArray[Any], k: int) -> NDArray[Any]:
    if k >= len(similarity):
        return similarity
    bar = np.partition(similarity, -k, axis=1)[:, -k]
    return np.where(similarity >= bar[:, None], similarity, 0.0)


def _knn(weighted: Any) -> Iterator[tuple[str, Scores]]:
    """Each product is its row of `weighted`; a product counts as a neighbour of itself, as in `implicit`."""
    similarity = (weighted @ weighted.T).toarray()
    for k in (20, 100, 400):
        yield f"K {k}", _sum_of_rows(_nearest(similarity, k))


def _unit_rows(rows: Any) -> Any:
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    return sparse.diags_array(1.0 / np.maximum(length, 1e-12)) @ rows


def _inverse_frequency(taught: Taught) -> Any:
    return sparse.diags_array(np.log(len(taught.sold)) - np.log1p(taught.baskets.sizes))


def knn_cosine(taught: Taught) -> Iterator[tuple[str, Scores]]:
    yield from _knn(_unit_rows(taught.orders.T.tocsr()))


def knn_tfidf(taught: Taught) -> Iterator[tuple[str, Scores]]:
    yield from _knn(_unit_rows(taught.orders.T.tocsr() @ _inverse_frequency(taught)))


def knn_bm25(taught: Taught) -> Iterator[tuple[str, Scores]]:
    rows = taught.orders.T.tocsr()
    length = taught.sold / taught.sold.mean()
    for k1, b in product((0.1, 1.2), (0.2, 0.75, 1.0)):
        saturated = (k1 + 1.0) / (k1 * (1.0 - b + b * length) + 1.0)
        weighted = sparse.diags_array(saturated) @ rows @ _inverse_frequency(taught)
        yield from ((f"K1 {k1} B {b} {name}", scores) for name, scores in _knn(weighted))


def sar(taught: Taught) -> Iterator[tuple[str, Scores]]:
    together, n = taught.gram(), np.maximum(taught.sold, 1.0)
    for threshold in (1, 3, 10):
        kept = np.where(together >= threshold, together, 0.0)
        union = np.maximum(n[:, None] + n[None, :] - together, 1.0)
        yield f"jaccard {threshold}", _sum_of_rows(_no_diagonal(kept / union))
        yield f"lift {threshold}", _sum_of_rows(_no_diagonal(kept / np.outer(n, n)))
        yield f"counts {threshold}", _sum_of_rows(_no_diagonal(kept.copy()))


def _rebuild(gram: NDArray[Any], ridge: float, dropout: float) -> Scores:
    inverse = np.linalg.inv(gram + np.diag(ridge + dropout / (1.0 - dropout) * np.diag(gram)))
    return _sum_of_rows(_no_diagonal(-inverse / np.diag(inverse)[None, :]))


def ease(taught: Taught) -> Iterator[tuple[str, Scores]]:
    gram = taught.gram()
    yield from ((f"ridge {ridge}", _rebuild(gram, ridge, 0.0)) for ridge in (20.0, 50.0, 200.0, 500.0))


def edlae(taught: Taught) -> Iterator[tuple[str, Scores]]:
    """With the order weights that a careful hand would try."""
    for exponent, half_life in WEIGHTINGS:
        gram = taught.gram(exponent, half_life)
        for ridge in (20.0, 50.0, 100.0, 200.0):
            for dropout in (0.1, 0.33):
                name = f"size {exponent} half-life {half_life} ridge {ridge} dropout {dropout}"
                yield name, _rebuild(gram, ridge, dropout)


def asymmetric_cosine(taught: Taught) -> Iterator[tuple[str, Scores]]:
    for exponent, half_life in WEIGHTINGS:
        gram = taught.gram(exponent, half_life)
        n = np.maximum(np.diag(gram), 1e-9)
        for a in (0.7, 0.8, 0.9):
            cosine = _no_diagonal(gram / (n[:, None] ** a * n[None, :] ** (1.0 - a)))
            for q in (1.0, 3.0, 6.0):
                yield f"size {exponent} half-life {half_life} a {a} q {q}", _sum_of_rows(cosine**q)


def pure_svd(taught: Taught) -> Iterator[tuple[str, Scores]]:
    for factors in (2, 8, 64, 256):
        if factors < min(taught.orders.shape):
            start = np.ones(min(taught.orders.shape))
            _, _, right = svds(taught.orders, k=factors, v0=start)
            yield f"factors {factors}", partial(_projected, right)


def _projected(factors: NDArray[Any], asked: Any) -> NDArray[Any]:
    scores: NDArray[Any] = (asked @ factors.T) @ factors
    return scores


def als(taught: Taught) -> Iterator[tuple[str, Scores]]:
    """`implicit`, folding the basket in."""
    from implicit.als import AlternatingLeastSquares

    for factors, ridge, alpha in ((32, 10.0, 5.0), (64, 10.0, 5.0), (128, 10.0, 5.0), (128, 50.0, 20.0)):
        model = AlternatingLeastSquares(
            factors=factors, regularization=ridge, alpha=alpha, iterations=10, random_state=0, num_threads=1
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # its advice on threads, which is about speed alone
            model.fit(sparse.csr_matrix(taught.orders, dtype=np.float32), show_progress=False)

        def fold_in(asked: Any, model: Any = model) -> NDArray[Any]:
            rows = sparse.csr_matrix(asked, dtype=np.float32)
            users = model.recalculate_user(np.arange(asked.shape[0]), rows)
            scores: NDArray[Any] = users @ model.item_factors.T
            return scores

        yield f"factors {factors} ridge {ridge} alpha {alpha}", fold_in


def prod2vec(taught: Taught) -> Iterator[tuple[str, Scores]]:
    """`gensim` skip-gram with an order as a sentence; from a basket's mean input vector to output vectors."""
    from gensim.models import Word2Vec

    b = taught.baskets
    sentences = [[str(i) for i in b.items[b.start[o] : b.start[o + 1]].tolist()] for o in range(b.n_orders)]
    model = Word2Vec(sentences, vector_size=64, window=20, min_count=1, sg=1, negative=10, epochs=8, seed=0, workers=1)
    inputs, outputs = (np.zeros((len(b.skus), 64)) for _ in range(2))
    for word, row in model.wv.key_to_index.items():
        inputs[int(word)], outputs[int(word)] = model.wv.vectors[row], model.syn1neg[row]

    def scores(weight: float, asked: Any) -> NDArray[Any]:
        mean = _unit_sum(asked) @ inputs
        similar: NDArray[Any] = mean @ outputs.T
        return similar + weight * np.log(np.maximum(taught.sold, 1.0))

    # Negatives are drawn in proportion to sales ** 0.75, which the learned product lacks for a probability.
    for weight in (0.0, 0.75):
        yield f"64 dimensions, popularity {weight}", partial(scores, weight)


def _unit_sum(asked: Any) -> Any:
    return sparse.diags_array(1.0 / np.maximum(np.diff(asked.indptr), 1)) @ asked


METHODS: dict[str, Method] = {
    "popularity": popularity,
    "association rules": association_rules,
    "item-kNN cosine": knn_cosine,
    "item-kNN TF-IDF": knn_tfidf,
    "item-kNN BM25": knn_bm25,
    "SAR": sar,
    "EASE": ease,
    "EDLAE": edlae,
    "asymmetric cosine": asymmetric_cosine,
    "PureSVD": pure_svd,
    "ALS (implicit)": als,
    "prod2vec (gensim)": prod2vec,
}

#: What else has to be installed.
NEEDS: dict[str, str] = {"ALS (implicit)": "implicit", "prod2vec (gensim)": "gensim"}


def left_out(name: str, *, products: int) -> str:
    """Why a method cannot be asked here, as the end of a sentence; empty when it can."""
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        return f"{NEEDS[name]} is not installed"
    if products > MOST_PRODUCTS:
        return f"its dense tables are made for {MOST_PRODUCTS:,} products at most, these are {products:,}"
    return ""


def tuned(
    name: str, train: Baskets, exams: Mapping[str, Exam], *, progress: Callable[[], None] | None = None
) -> dict[str, tuple[str, Answers]]:
    """A method's answers with the setting that was best on the newest eighth of what it learned from.

    Args:
        name: Of METHODS.
        train: Orders to learn from and to tune on.
        exams: Per context of `exams.CONTEXTS`, the questions; every context is tuned for apart.
        progress: Called after every setting.

    Returns:
        Per context, the setting and the answers.
    """
    tell = progress or (lambda: None)
    earlier, later = split(train, share=VALIDATION_SHARE)
    small, whole = Taught(earlier), Taught(train)
    practice = {context: exam(later, context=CONTEXTS[context]) for context in exams}
    best = dict.fromkeys(exams, (-1.0, ""))
    for setting, scores in METHODS[name](small):
        for context, asked in practice.items():
            gain = float(answered(scores, asked, small).gains.mean()) if asked.queries else 0.0
            best[context] = max(best[context], (gain, setting), key=lambda found: found[0])
        tell()
    found: dict[str, tuple[str, Answers]] = {}
    for setting, scores in METHODS[name](whole):
        for context, asked in exams.items():
            if best[context][1] == setting:
                found[context] = (setting, answered(scores, asked, whole))
        tell()
    return found


def answered(scores: Scores, asked: Exam, taught: Taught) -> Answers:
    """A method's answers to an exam."""
    lists = _ranked(scores, asked.queries, taught)
    return asked.answers(lambda query, k: next(lists))


def _ranked(scores: Scores, asked: Sequence[Query], taught: Taught) -> Iterator[list[str]]:
    """The first ten of every question; of equal scores the better seller."""
    skus = taught.baskets.skus
    index = {sku: i for i, sku in enumerate(skus)}
    by_sales = np.argsort(-taught.sold, kind="stable")[: int(np.count_nonzero(taught.sold))]
    for low in range(0, len(asked), AT_ONCE):
        part = asked[low : low + AT_ONCE]
        lines = [sorted(index[sku] for sku in query.basket if sku in index) for query in part]
        indptr = np.cumsum([0, *map(len, lines)])
        flat = np.concatenate(lines).astype(np.int64)
        shown = sparse.csr_array((np.ones(len(flat)), flat, indptr), shape=(len(part), len(skus)))
        dense = np.asarray(scores(shown), dtype=np.float64).copy()
        for i, query in enumerate(part):
            dense[i, [index[sku] for sku in query.exclude if sku in index]] = -np.inf
        dense = dense[:, by_sales]
        # Scores that differ in the last bits are equal.
        order = np.argsort(-np.round(dense, 12), axis=1, kind="stable")[:, :DEPTH]
        for row, ranking in zip(dense, order, strict=True):
            yield [skus[by_sales[i]] for i in ranking.tolist() if row[i] > -np.inf]

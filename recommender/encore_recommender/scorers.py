"""How well two products go together, from counts: three complementary answers per pair.

`conditional` says what else buyers of one product take, `cosine` which pairs stand out in both directions, and
`dropout_ease` what one line of a basket adds that its other lines have not already said. None wins everywhere:
the first is best where one line is known or orders are few, the last for long baskets from wide assortments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from encore_recommender.counting import Counts, PairBlock

#: Per conditional score, the orders at which half of what is said about a product comes from its own orders, and the
#: standard errors taken off every count: few and none where products lead to each other, many and two where most of
#: what is bought together is there by chance.
PRIORS = ((5.0, 0.0), (60.0, 2.0))

#: Aiolli's asymmetry and locality: best-sellers are discounted a little, strong pairs speak up.
ASYMMETRY, LOCALITY = 0.8, 3.0


def share_of_lines(counts: Counts) -> NDArray[np.float64]:
    """Per product, its weighted share of all order lines: what is bought when nothing else is known."""
    share: NDArray[np.float64] = counts.weighted_orders_with / max(float(counts.weighted_orders_with.sum()), 1e-9)
    return share


def conditional(block: PairBlock, counts: Counts, *, prior: float, standard_errors: float = 0.0) -> NDArray[np.float64]:
    """Shrunken P(column | row): `(c(i, j) + m s(j)) / (n(i) + m)`, s(j) the share of all lines that are j.

    A count of c orders may be off by its root, so `standard_errors` / sqrt(c) of it can be left out of account.
    A Dirichlet prior of m orders centred on the whole table, as in DuMouchel (1999), "Bayesian data mining in
    large frequency tables", The American Statistician 53(3): without evidence it is the best-sellers.
    """
    sure = np.maximum(1.0 - standard_errors / np.sqrt(np.maximum(block.together, 1)), 0.0)
    probability: NDArray[np.float64] = (block.weighted * sure + prior * share_of_lines(counts)[block.columns]) / (
        counts.weighted_orders_with[block.rows] + prior
    )
    return probability


def cosine(block: PairBlock, counts: Counts) -> NDArray[np.float64]:
    """Asymmetric cosine with locality: `(c(i, j) / (n(i)**a n(j)**(1 - a))) ** q`.

    Aiolli (2013), "Efficient top-n recommendation for very large scale binary rated datasets", RecSys.
    """
    n = np.maximum(counts.weighted_orders_with, np.finfo(np.float64).tiny)
    expected = n[block.rows] ** ASYMMETRY * n[block.columns] ** (1.0 - ASYMMETRY)
    values: NDArray[np.float64] = (block.weighted / expected) ** LOCALITY
    return values


def grams(
    blocks: Iterable[tuple[int, int, PairBlock, PairBlock]], counts: Counts, head: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Orders with each pair of the `head` best-selling products: weighted, and every order alike.

    Each is scaled so that a line counts 1 on average.

    Args:
        blocks: Pairs weighted as in `counts` first, see `pair_blocks`; those beyond the head are not looked at.
        counts: How often each product was bought.
        head: So many best-sellers.
    """
    weighted, plain = np.zeros((head, head), dtype=np.float32), np.zeros((head, head), dtype=np.float32)
    for first, _, block, _ in blocks:
        if first >= head:
            break
        within = (block.rows < head) & (block.columns < head)
        rows, columns = block.rows[within], block.columns[within]
        weighted[rows, columns], plain[rows, columns] = block.weighted[within], block.together[within]
    lines = float(counts.orders_with[:head].sum())
    for dense, alone in ((weighted, counts.weighted_orders_with), (plain, counts.orders_with)):
        np.fill_diagonal(dense, alone[:head])
        dense *= np.float32(lines / max(float(alone[:head].sum()), np.finfo(np.float64).tiny))
    return weighted, plain


def dropout_ease(gram: NDArray[Any], *, ridge: float, dropout: float) -> NDArray[Any]:
    """Item-to-item weights that rebuild each order from its other lines, in closed form; may be below 0.

    Minimises the squared error of rebuilding orders with lines dropped at random, with nothing on the
    diagonal: `B = I - P diag(P)**-1`, `P = (G + ridge I + dropout diag(G))**-1`. Steck (2019), "Embarrassingly
    shallow autoencoders for sparse data", WWW; Steck (2020), "Autoencoders that don't overfit towards the
    identity", NeurIPS.

    Returns:
        Products x products, float32: row i holds what line i says about every product.
    """
    n = len(gram)
    if n == 0:
        return np.zeros((0, 0), dtype=np.float32)
    system = np.array(gram.T, dtype=np.float64, order="F")  # its own transpose, and so in LAPACK's order already
    system[np.arange(n), np.arange(n)] += ridge + dropout * np.diag(gram)
    # The factorisation of a symmetric matrix costs half of a general inverse.
    factor, failed = lapack.dpotrf(system, lower=1, overwrite_a=1, clean=0)
    inverse, failed_too = lapack.dpotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:  # cannot be: a Gram matrix plus a positive diagonal
        raise ArithmeticError("the co-purchase matrix could not be inverted")
    lower, diagonal = inverse.astype(np.float32), np.diag(inverse).astype(np.float32)
    del system, factor, inverse
    weights: NDArray[Any] = np.tril(lower, -1)
    weights += weights.T
    weights /= -diagonal[None, :]
    return weights

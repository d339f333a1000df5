"""Counting co-purchases in SQL: one text for SQLite, PostgreSQL, DuckDB and Spark.

Each step is a SELECT over the steps before it; an engine stores the result under the step's name. Two tables come from
outside:

    lines    order_id, product, upsell, placed_at: whole numbers; products numbered as their SKUs sort; upsell 1 where
             only an offer sold the line, else 0; placed_at Unix seconds, NULL where unknown; lines may repeat
    weights  size, placed_at, by_root, by_size, lately: what an order counts, in whole units, from `counting`

Weights come from Python because they are powers, and no two engines promise to round a power alike. From then on only
whole numbers are added and compared, so every engine gives the same counts to the last unit.
"""

from __future__ import annotations

#: One line per order and product; sold by an offer only if every part of it was.
MERGED = """
SELECT order_id, product, MIN(upsell) AS upsell, MIN(placed_at) AS placed_at
FROM lines
GROUP BY order_id, product
"""

#: Orders with a line that no offer sold; one without a time counts as the oldest.
ORDERS = """
SELECT order_id, CAST(SUM(1 - upsell) AS BIGINT) AS size,
       COALESCE(MIN(placed_at), (SELECT MIN(placed_at) FROM lines), 0) AS placed_at
FROM merged
GROUP BY order_id
HAVING SUM(1 - upsell) > 0
"""

#: What has to be weighed, between ORDERS and BASKETS: orders of one size and one time weigh the same.
KINDS = """
SELECT size, placed_at, COUNT(*) AS orders
FROM orders
WHERE placed_at >= {since} AND placed_at < {until}
GROUP BY size, placed_at
"""

#: How many orders there are, and between which times.
SPAN = "SELECT COUNT(*) AS orders, MIN(placed_at) AS oldest, MAX(placed_at) AS newest FROM orders WHERE size <= {most}"

LEFT_OUT = "SELECT COUNT(*) AS orders FROM orders WHERE size > {most}"

#: The lines that count. An order too long to be weighed is left out.
BASKETS = """
SELECT merged.order_id, merged.product, orders.size, weights.by_root, weights.by_size, weights.lately
FROM merged
JOIN orders ON orders.order_id = merged.order_id
JOIN weights ON weights.size = orders.size AND weights.placed_at = orders.placed_at
WHERE merged.upsell = 0
"""

#: Best-seller first, equal ones by SKU; `partners` bounds the pairs of a product.
PRODUCTS = """
SELECT ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, product) - 1 AS item, product, COUNT(*) AS orders_with,
       CAST(SUM(by_root) AS BIGINT) AS by_root, CAST(SUM(by_size) AS BIGINT) AS by_size,
       CAST(SUM(lately) AS BIGINT) AS lately, CAST(SUM(size - 1) AS BIGINT) AS partners
FROM baskets
GROUP BY product
"""

#: In the order they are stored in; `weights` is loaded after the second.
STEPS = {"merged": MERGED, "orders": ORDERS, "baskets": BASKETS, "products": PRODUCTS}

TOP_PAIRS = """
WITH pairs AS (
    SELECT products.item, others.item AS other, COUNT(*) AS together,
           CAST(SUM(ours.by_root) AS BIGINT) AS by_root, CAST(SUM(ours.by_size) AS BIGINT) AS by_size
    FROM products
    JOIN baskets ours ON ours.product = products.product
    JOIN baskets theirs ON theirs.order_id = ours.order_id AND theirs.product <> ours.product
    JOIN products others ON others.product = theirs.product
    WHERE products.item >= {first} AND products.item < {last}
    GROUP BY products.item, others.item
), ranked AS (
    SELECT item, other, together, by_root, by_size,
           ROW_NUMBER() OVER (PARTITION BY item ORDER BY by_size DESC, together DESC, other) AS place
    FROM pairs
)
SELECT item, other, together, by_root, by_size
FROM ranked
WHERE place <= {top_k}
ORDER BY item, other
"""


def top_pairs(*, first: int, last: int, top_k: int) -> str:
    """The `top_k` strongest pairs of each of the products `first` to `last - 1`, by product, then other product.

    Strongest: largest sum of weights by size, then most orders, then better seller.
    """
    return TOP_PAIRS.format(first=int(first), last=int(last), top_k=int(top_k))

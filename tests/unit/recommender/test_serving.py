"""One model serves many threads, and costs a process little until it is asked."""

import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Barrier, BrokenBarrierError

import numpy as np
import pytest
from numpy.typing import NDArray

from encore_recommender import Baskets, Bounds, CoPurchaseModel, CoPurchaseRecommender, Provenance, load, save
from encore_recommender import ids as ids_module
from encore_recommender.ids import Names
from encore_recommender.neighbours import Neighbours, merged

THREADS = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop of 60 products with categories and families, saved."""
    draw = random.Random(3)
    weights = [1 / rank for rank in range(1, 61)]
    rows = [
        (f"{order}", f"p{line:02d}")
        for order in range(900)
        for line in sorted(set(draw.choices(range(60), weights, k=draw.randint(2, 7))))
    ]
    baskets = Baskets.from_rows(
        rows,
        categories={f"p{i:02d}": f"c{i % 4}" for i in range(60)},
        parents={f"p{i:02d}": f"parent {i // 2}" for i in range(0, 60, 3)},
    )
    root = tmp_path_factory.mktemp("models")
    about = Provenance(created_at=datetime(2026, 3, 1, tzinfo=UTC))
    save(CoPurchaseRecommender(tune=False).fit(baskets).model_, root, about=about)
    return root


def questions() -> list[list[str]]:
    draw = random.Random(4)
    return [draw.sample([f"p{i:02d}" for i in range(60)], k=1 + number % 9) for number in range(120)]


def answers(model: CoPurchaseModel, asked: list[list[str]]) -> list[tuple[object, ...]]:
    bounds = Bounds(pinned={"p01": ["p40"]}, blocked=[("p00", "p02")], never_categories=["c3"], per_category=4)
    return [
        (found.ids, found.scores, found.explanations, found.probabilities)
        for basket in asked
        for found in [model.recommend(basket, k=10, exclude=["p05"], history=["p07", "p09"], bounds=bounds)]
    ]


def right_threads(root: Path, expected: list[tuple[object, ...]]) -> list[bool]:
    """Whether each of many threads, on one model nobody has asked before, answers as expected."""
    asked, shared, together = questions(), load(root), Barrier(THREADS)

    def ask(seed: int) -> bool:
        order = random.Random(seed).sample(range(len(asked)), k=len(asked))
        together.wait()
        try:
            return answers(shared, [asked[i] for i in order]) == [expected[i] for i in order]
        except RuntimeError:  # a dictionary changed while it was read
            return False

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(ask, range(THREADS)))


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads that change places all the time, and caches that are full at once."""
    monkeypatch.setattr(ids_module, "REMEMBERED", 5)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hurried")
def test_threads_that_share_a_model_get_the_answers_of_one_alone(root: Path) -> None:
    assert right_threads(root, answers(load(root), questions())) == [True] * THREADS


@pytest.mark.usefixtures("hurried")
def test_the_same_threads_notice_one_scratch_array_shared_between_queries(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = np.zeros(60)
    two, alone = Barrier(2), True

    def shared_totals(self: Neighbours, items: list[int]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        scratch.fill(0.0)
        for item in items:
            for neighbour, weight in self.row(item).items():
                scratch[neighbour] += weight
        if not alone:
            with suppress(BrokenBarrierError):  # the last thread has nobody to meet
                two.wait(timeout=1.0)
        found = np.flatnonzero(scratch > 0.0)
        return found, scratch[found]

    expected = answers(load(root), questions())
    monkeypatch.setattr(Neighbours, "totals", shared_totals)
    assert answers(load(root), questions()) == expected
    alone = False
    assert False in right_threads(root, expected)


def test_an_opened_model_holds_no_name_before_it_is_asked(root: Path) -> None:
    model = load(root)
    assert (len(model.skus.at), len(model.skus.number)) == (0, 0)
    model.recommend(["p00"], k=3)
    assert len(model.skus.number) == 1
    assert 3 <= len(model.skus.at) < 10


def test_caches_stay_within_their_limits(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ids_module, "REMEMBERED", 5)
    model = load(root)
    answers(model, questions())
    assert max(len(model.skus.at), len(model.skus.number)) <= 5


def test_serving_imports_its_own_few_modules_and_numpy() -> None:
    code = (
        "import sys, encore_recommender\n"
        "assert encore_recommender.load and encore_recommender.Bounds\n"
        "heavy = {'scipy', 'sklearn', 'pandas', 'pyarrow', 'duckdb', 'matplotlib', 'sqlite3'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
        "training = ('copurchase', 'tuning', 'blending', 'counting', 'scorers', 'evaluation', 'acceptance', 'cli')\n"
        "print([name for name in training if f'encore_recommender.{name}' in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert answer.stdout == "[]\n[]\n"


@pytest.mark.parametrize("name", ["p", "brød", "茶", "\ud800", "x\ny", "p\0", "a" * 5_000])
def test_a_name_is_found_by_number_and_by_name(name: str) -> None:
    names = Names.of(["first", name, "last"])
    names.check()
    assert (names.at[1], names.number[name], len(names)) == (name, 1, 3)
    assert [names.number[other] for other in ("FIRST", name + "!", name[1:], "\udfff")] == [-1] * 4
    assert tuple(names) == ("first", name, "last")


@pytest.mark.parametrize("other", [None, 7, b"p", ("p",)])
def test_what_is_no_text_is_no_name(other: object) -> None:
    assert Names.of(["p"]).number[other] == -1  # type: ignore[index]


def test_a_digest_finds_and_the_name_itself_decides() -> None:
    names = Names.of(["a", "b", "c"])
    same = Names(names.blob, names.offsets, np.full(3, names.sorted_digests[0]), np.arange(3, dtype=np.int32))
    first = names[int(names.by_digest[0])]
    assert [same.number[name] for name in ("a", "b", "c")] == [names.number[n] if n == first else -1 for n in "abc"]


def test_few_allowed_products_are_found_however_far_down_they_sell(root: Path) -> None:
    model = load(root)
    worst = model.skus[-3:]
    for allowed in (set(worst), set(worst) | {"unheard of"}, set(model.skus)):
        assert set(model.recommend([], k=60, allowed=allowed).ids) <= allowed
    assert model.recommend([], k=9, allowed=set(worst)).ids == tuple(
        sku for sku in model.recommend([], k=60).ids if sku in worst
    )


def lists(*rows: dict[int, float], size: int) -> Neighbours:
    items = [item for row in rows for item in row]
    return Neighbours(
        start=np.cumsum([0, *map(len, rows), *[0] * (size - len(rows))]),
        items=np.array(items, dtype=np.int32),
        weights=np.array([weight for row in rows for weight in row.values()], dtype=np.float32),
        together=np.array([10 + item for item in items], dtype=np.int32),
    )


def test_merged_tables_say_what_each_said_apart() -> None:
    one = lists({2: 0.5, 1: 1.0}, {0: 0.25}, size=3)
    few = lists({1: -2.0}, {2: 1e-12, 0: 1e9}, size=3)
    tables = merged({"one": one, "few": few})
    assert tables["one"].items is tables["few"].items
    assert [list(tables["one"].row(item).items()) for item in range(3)] == [[(1, 1.0), (2, 0.5)], [(0, 0.25)], []]
    assert [tables["few"].row(item) for item in range(3)] == [{1: -2.0}, {0: 65504.0, 2: 2.0**-24}, {}]
    assert tables["few"].together_with(1) == {0: 10, 2: 12}
    assert merged(tables) == tables


@pytest.mark.parametrize(("products", "dtype"), [(1 << 16, np.uint16), ((1 << 16) + 1, np.int32)])
def test_numbers_take_two_bytes_while_that_is_enough(products: int, dtype: type[np.generic]) -> None:
    table = lists({products - 1: 1.0}, size=products)
    together = merged({"one": table})["one"]
    assert together.items.dtype == dtype
    assert together.items.tolist() == [products - 1]


def test_names_are_a_sequence() -> None:
    names = Names.of(["a", "b"])
    assert (names[0:2], names[-1], "b" in names, "c" in names) == (("a", "b"), "b", True, False)
    assert names == Names.of(["a", "b"]) != Names.of(["ab", ""])

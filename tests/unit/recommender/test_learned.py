"""What was learned, in one file: it goes on in another process, and a file that is not ours is refused by name."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from encore_recommender import Baskets, CoPurchaseRecommender, ModelRefused, learned
from encore_recommender.model import CoPurchaseModel

DAY = 86_400.0


@pytest.fixture(scope="module")
def shop() -> Baskets:
    rng = np.random.default_rng(3)
    rows = [
        (f"o{order}", f"p{line:02d}", 1, f"c{order % 9}", order * DAY)
        for order in range(200)
        for line in sorted(set(np.minimum(rng.geometric(0.1, size=4), 40).tolist()))
    ]
    return Baskets.from_rows(rows, categories={"p01": "café", "p99": "café"}, titles={"p01": "One"})


@pytest.fixture(scope="module")
def fitted(shop: Baskets) -> CoPurchaseRecommender:
    return CoPurchaseRecommender(min_support=1, max_lines=40, tune=False).fit(shop.take(np.arange(150)))


@pytest.fixture
def state(fitted: CoPurchaseRecommender, tmp_path: Path) -> Path:
    path = tmp_path / "learned" / "state.npz"
    learned.save(fitted, path)
    return path


def tables(model: CoPurchaseModel) -> list[list[object]]:
    tables = [
        [t.start.tolist(), t.items.tolist(), t.weights.tolist(), t.together.tolist()] for t in model.tables.values()
    ]
    return [list(model.skus), model.orders, model.orders_with.tolist(), model.category_of.tolist(), *tables]


def altered(state: Path, change: Callable[[dict[str, bytes]], None], *, compression: int = zipfile.ZIP_STORED) -> Path:
    """The same file with other contents and nothing that gives them away; `change` gets the members."""
    with zipfile.ZipFile(state) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(state, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return state


def told(**values: object) -> Callable[[dict[str, bytes]], None]:
    """Another manifest."""

    def change(members: dict[str, bytes]) -> None:
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | values).encode()

    return change


def holding(name: str, content: object) -> Callable[[dict[str, bytes]], None]:
    """Another array, or other names, with the checksum that belongs to it."""

    def change(members: dict[str, bytes]) -> None:
        if isinstance(content, dict):
            data = json.dumps(json.loads(members[name]) | content).encode()
        elif isinstance(content, bytes):
            data = content
        else:
            file = io.BytesIO()
            np.save(file, content, allow_pickle=True)  # type: ignore[arg-type]
            data = file.getvalue()
        members[name] = data
        sums = json.loads(members["manifest.json"])["sha256"] | {name: hashlib.sha256(data).hexdigest()}
        told(sha256=sums)(members)

    return change


def test_another_process_goes_on_where_this_one_stopped(shop: Baskets, state: Path) -> None:
    more = shop.take(np.arange(140, 200))
    here = CoPurchaseRecommender(min_support=1, max_lines=40).fit(shop.take(np.arange(150)))
    learned.save(here, state)
    here.partial_fit(more)
    there = learned.restore(state).partial_fit(more)
    assert tables(there.model_) == tables(here.model_)
    assert there.get_params() == here.get_params()
    assert (there.choice_, there.n_orders_, there.n_lines_, there.orders_left_out_, there.orders_repeated_) == (
        here.choice_,
        200,
        here.n_lines_,
        0,
        10,
    )
    assert there.feature_names_in_.tolist() == here.feature_names_in_.tolist()


def test_orders_without_times_or_references_come_back_as_they_were(tmp_path: Path) -> None:
    matrix = np.array([[1, 1, 0], [0, 1, 1]])
    model = CoPurchaseRecommender(min_support=np.int64(1)).partial_fit(matrix)  # type: ignore[arg-type]
    learned.save(model, tmp_path / "state.npz")
    back = learned.restore(tmp_path / "state.npz")
    assert (back.ledger_.orders.times, back.ledger_.orders.order_digests) == (None, None)
    assert tables(back.model_) == tables(model.model_)


def test_nothing_learned_from_comes_back_as_nothing(tmp_path: Path) -> None:
    learned.save(CoPurchaseRecommender().partial_fit(Baskets.from_rows([])), tmp_path / "state.npz")
    back = learned.restore(tmp_path / "state.npz")
    assert (back.n_orders_, back.recommend(["bread"], k=3).ids) == (0, ())


def test_the_file_names_no_customer_and_no_order(shop: Baskets, state: Path) -> None:
    data = state.read_bytes()
    assert b"p17" in data
    assert b'"c3"' not in data
    assert b"o17" not in data


def test_saving_replaces_the_file_in_one_step(shop: Baskets, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state.read_bytes()
    more = learned.restore(state).partial_fit(shop)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            learned.save(more, state)
    assert state.read_bytes() == before
    learned.save(more, state)
    assert learned.restore(state).n_orders_ == 200
    assert [path.name for path in state.parent.iterdir()] == ["state.npz"]


def test_a_forgotten_order_is_gone_from_the_file(state: Path) -> None:
    model = learned.restore(state)
    digest = model.ledger_.orders.order_digests
    assert digest is not None
    gone = digest[0].tobytes()
    assert gone in state.read_bytes()
    learned.save(model.forget(["o0"]), state)
    assert gone not in state.read_bytes()
    assert learned.restore(state).n_orders_ == 149


def test_where_nothing_was_learned_the_refusal_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"nothing was learned here yet \(state.npz\): train"):
        learned.restore(tmp_path / "state.npz")


@pytest.mark.parametrize("kept", [0, 1, 100, -1, -100])
def test_a_torn_file_is_refused(state: Path, kept: int) -> None:
    state.write_bytes(state.read_bytes()[:kept])
    with pytest.raises(ModelRefused, match="train again"):
        learned.restore(state)


def test_any_changed_byte_of_an_array_is_noticed(state: Path) -> None:
    data = bytearray(state.read_bytes())
    data[len(data) // 2] ^= 1
    state.write_bytes(data)
    with pytest.raises(ModelRefused, match="train again"):
        learned.restore(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(told(format="other"), "is not the state of a recommender", id="another format"),
        pytest.param(
            told(format_version=2),
            "has format 2 and this release reads up to 1: upgrade encore_recommender",
            id="a later version",
        ),
        pytest.param(told(format_version="1"), "does not say its format version", id="a version in words"),
        pytest.param(told(format_version=True), "does not say its format version", id="a version that is true"),
        pytest.param(told(sha256=[]), "does not give the checksums", id="no checksums"),
        pytest.param(told(sha256={}), "names.json has changed since it was written", id="no checksum of a file"),
        pytest.param(
            told(parameters={"top_k": 0}), "has parameters or counts that are not ours", id="a parameter out of range"
        ),
        pytest.param(
            told(parameters={"run": "rm"}), "has parameters or counts that are not ours", id="an unknown parameter"
        ),
        pytest.param(told(parameters=None), "has parameters or counts that are not ours", id="no parameters"),
        pytest.param(told(orders_left_out="many"), "has parameters or counts that are not ours", id="a count in words"),
        pytest.param(told(choice={}), "has a choice of blends that is not ours", id="no blends"),
        pytest.param(told(choice=7), "has a choice of blends that is not ours", id="a number for blends"),
        pytest.param(lambda members: members.update({"manifest.json": b"{"}), "cannot be read", id="half a manifest"),
        pytest.param(
            lambda members: members.update({"manifest.json": b"[" * 100_000}),
            "cannot be read",
            id="a manifest nested deeply",
        ),
        pytest.param(
            lambda members: members.update({"manifest.json": b" " * 2_000_000}),
            "far too large to be ours",
            id="a manifest of two megabytes",
        ),
        pytest.param(
            lambda members: members.update({"../outside": b""}), "does not hold exactly the files", id="a file outside"
        ),
        pytest.param(lambda members: members.pop("times.npy"), "does not hold exactly the files", id="a file too few"),
        pytest.param(holding("names.json", {"more": 1}), "does not list exactly the names", id="more names"),
        pytest.param(
            holding("names.json", {"skus": ["p01"]}), "names a product that it does not have", id="too few products"
        ),
        pytest.param(holding("names.json", {"skus": ["p01", "p01"]}), "repeats a product", id="a product twice"),
        pytest.param(
            holding("names.json", {"skus": ["p01", ""]}), "has a product without a name", id="a product without a name"
        ),
        pytest.param(holding("names.json", {"skus": 3}), "has a product without a name", id="a number for products"),
        pytest.param(
            holding("names.json", {"titles": {"p01": 1}}), "has titles that are not texts", id="a number for a title"
        ),
        pytest.param(holding("items.npy", np.array([object()])), "cannot be read", id="pickled objects"),
        pytest.param(holding("items.npy", np.zeros((2, 2), dtype=np.int32)), "cannot be read", id="two dimensions"),
        pytest.param(holding("items.npy", np.zeros(3, dtype=np.int64)), "cannot be read", id="another type"),
        pytest.param(
            holding("items.npy", np.zeros(3, dtype=np.int32)), "has lists that do not fit together", id="too few lines"
        ),
        pytest.param(holding("items.npy", b"\x93NUMPY\x01\x00"), "cannot be read", id="half a header"),
        pytest.param(
            holding("start.npy", np.zeros(0, dtype=np.int64)), "has lists that do not fit together", id="no offsets"
        ),
        pytest.param(holding("times.npy", np.zeros(3)), "has times that do not fit its orders", id="too few times"),
        pytest.param(
            holding("times.npy", np.full(150, np.nan)),
            "has times that do not fit its orders",
            id="times that are no numbers",
        ),
        pytest.param(
            holding("times.npy", np.arange(150.0)[::-1]), "has times that do not fit its orders", id="times that fall"
        ),
        pytest.param(
            holding("order_digests.npy", np.zeros(3, dtype=np.uint64)),
            "has references that do not fit",
            id="too few references",
        ),
        pytest.param(
            holding("dense_start.npy", np.zeros(1, dtype=np.int64)),
            "has lists that do not fit together",
            id="too few lists",
        ),
        pytest.param(
            holding("dense_values.npy", np.zeros(1, dtype=np.float32)),
            "has scores that are not numbers",
            id="too few scores",
        ),
    ],
)
def test_a_file_that_is_not_ours_is_refused(
    state: Path, change: Callable[[dict[str, bytes]], None], message: str
) -> None:
    with pytest.raises(ModelRefused, match=message):
        learned.restore(altered(state, change))


def test_a_header_that_claims_a_terabyte_makes_no_room_for_it(state: Path) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<i4", "fortran_order": False, "shape": (1 << 38,)})
    with pytest.raises(ModelRefused, match="cannot be read"):
        learned.restore(altered(state, holding("items.npy", file.getvalue())))


def test_an_order_that_repeats_a_product_is_refused(state: Path) -> None:
    orders = learned.restore(state).ledger_.orders
    items = orders.items.copy()
    longest = int(np.argmax(orders.sizes))
    items[orders.start[longest] + 1] = items[orders.start[longest]]
    with pytest.raises(ModelRefused, match="repeats a product in an order or a list"):
        learned.restore(altered(state, holding("items.npy", items)))


def test_a_compressed_file_is_refused_before_it_unfolds(state: Path) -> None:
    with pytest.raises(ModelRefused, match="is compressed, which ours never is"):
        learned.restore(altered(state, lambda members: None, compression=zipfile.ZIP_DEFLATED))


def test_only_training_opens_what_was_learned() -> None:
    code = "import encore_recommender, sys; sys.exit('encore_recommender.learned' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

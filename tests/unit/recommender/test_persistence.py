import hashlib
import json
import os
import pickle
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encore_recommender import Baskets, CoPurchaseRecommender, ModelRefused, Provenance, load, save
from encore_recommender.persistence import ARRAYS, CURRENT, MANIFEST

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path, breakfast: Baskets) -> Path:
    save(CoPurchaseRecommender().fit(breakfast).model_, tmp_path, about=Provenance(created_at=NOON))
    return tmp_path


def live(root: Path) -> Path:
    return root / (root / CURRENT).read_text().strip()


def rewrite_manifest(root: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = live(root) / MANIFEST
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def forge(root: Path, name: str, data: bytes) -> None:
    """Replace a file and make the manifest agree, as someone with write access would."""
    (live(root) / f"{name}.npy").write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    rewrite_manifest(root, lambda manifest: manifest["files"].update({name: entry}))


def npy(array: np.ndarray[Any, Any], **options: Any) -> bytes:
    buffer = BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def changed(root: Path, name: str, change: Callable[[np.ndarray[Any, Any]], object]) -> bytes:
    array = np.load(live(root) / f"{name}.npy")
    change(array)
    return npy(array)


def refusal(root: Path) -> str:
    with pytest.raises(ModelRefused) as refused:
        load(root)
    return str(refused.value)


def test_a_loaded_model_answers_like_the_saved_one(root: Path, breakfast: Baskets) -> None:
    saved, loaded = CoPurchaseRecommender().fit(breakfast).model_, load(root)
    for basket in ([], ["bread"], ["bread", "butter"], ["tea", "unheard of"], ["jam", "milk", "bread"]):
        assert loaded.recommend(basket, k=9) == saved.recommend(basket, k=9)
    assert loaded.skus == saved.skus


def test_names_and_categories_of_any_script_come_back(tmp_path: Path) -> None:
    rows = [("1", "brød"), ("1", "茶 green"), ("2", "brød"), ("2", "茶 green"), ("3", "x\ny")]
    baskets = Baskets.from_rows(rows, categories={"brød": "Bäckerei", "kage": "Bäckerei"})
    save(CoPurchaseRecommender().fit(baskets).model_, tmp_path, about=Provenance(created_at=NOON))
    loaded = load(tmp_path)
    assert loaded.skus == ("brød", "茶 green", "x\ny", "kage")
    assert loaded.recommend(["brød"], k=1).ids == ("茶 green",)
    assert loaded.recommend(["kage"], k=1).explanations[0].kind == "category"


def test_an_empty_model_can_be_saved_and_loaded(tmp_path: Path) -> None:
    save(CoPurchaseRecommender().fit(Baskets.from_rows([])).model_, tmp_path, about=Provenance(created_at=NOON))
    assert load(tmp_path).recommend(["bread"], k=3).ids == ()


def test_arrays_are_mapped_and_cannot_be_written(root: Path) -> None:
    items = load(root).tables["many"].items
    assert isinstance(items.base, np.memmap)
    assert not items.flags.writeable


def test_the_manifest_says_where_the_model_comes_from(tmp_path: Path, breakfast: Baskets) -> None:
    about = Provenance(
        created_at=NOON,
        parameters={"top_k": 50},
        metrics={"full_basket": {"hit_rate_at_3": 0.5}},
        seed=7,
        first_order_at=1.0,
        last_order_at=2.0,
        lines=13,
    )
    version = save(CoPurchaseRecommender().fit(breakfast).model_, tmp_path, about=about)
    manifest = json.loads((live(tmp_path) / MANIFEST).read_text())
    files = manifest.pop("files")
    assert set(files) == set(ARRAYS)
    assert manifest == {
        "format": "encore-recommender co-purchase model",
        "format_version": 2,
        "version": version,
        "created_at": "2026-03-01T12:00:00+00:00",
        "data_window": {"first_order_at": 1.0, "last_order_at": 2.0},
        "parameters": {"top_k": 50},
        "metrics": {"full_basket": {"hit_rate_at_3": 0.5}},
        "seed": 7,
        "counts": {"orders": 6, "lines": 13, "products": 5},
    }
    assert re.fullmatch(r"20260301T120000Z-[0-9a-f]{12}", version)


def test_saving_the_same_model_twice_is_harmless(root: Path, breakfast: Baskets) -> None:
    before = sorted(path.name for path in root.rglob("*"))
    save(CoPurchaseRecommender().fit(breakfast).model_, root, about=Provenance(created_at=NOON))
    assert sorted(path.name for path in root.rglob("*")) == before


def test_the_newest_save_is_live_and_two_older_models_are_kept(root: Path, breakfast: Baskets) -> None:
    model = CoPurchaseRecommender().fit(breakfast).model_
    versions = [save(model, root, about=Provenance(created_at=NOON + timedelta(days=day))) for day in range(1, 5)]
    assert load(root).version == versions[-1]
    assert sorted(path.name for path in root.iterdir()) == [CURRENT, *(f"model-{v}" for v in versions[1:])]


@pytest.mark.parametrize("step", ["rename", "replace"])
def test_a_save_that_fails_leaves_the_live_model_and_no_debris(
    root: Path, breakfast: Baskets, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = load(root).version

    def no_space(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, step, no_space)
    with pytest.raises(OSError, match="No space left"):
        save(CoPurchaseRecommender().fit(breakfast).model_, root, about=Provenance(created_at=NOON + timedelta(days=1)))
    assert load(root).version == before
    assert [path.name for path in root.iterdir() if path.name.startswith(".")] == []


def test_what_a_save_killed_long_ago_left_is_removed(root: Path, breakfast: Baskets) -> None:
    abandoned, in_progress = root / ".writing-1-00000000", root / ".writing-2-00000000"
    abandoned.mkdir()
    in_progress.mkdir()
    os.utime(abandoned, (0, 0))
    save(CoPurchaseRecommender().fit(breakfast).model_, root, about=Provenance(created_at=NOON))
    assert (abandoned.exists(), in_progress.exists()) == (False, True)


def test_a_time_without_a_timezone_is_refused(tmp_path: Path, breakfast: Baskets) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="created_at needs a timezone"):
        save(CoPurchaseRecommender().fit(breakfast).model_, tmp_path, about=Provenance(created_at=naive))
    assert list(tmp_path.iterdir()) == []


def test_a_metric_that_is_no_number_is_refused(tmp_path: Path, breakfast: Baskets) -> None:
    about = Provenance(created_at=NOON, metrics={"hit_rate_at_3": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        save(CoPurchaseRecommender().fit(breakfast).model_, tmp_path, about=about)
    assert list(tmp_path.iterdir()) == []


def test_no_model_is_a_sentence_with_the_fix(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "no model has been trained here yet: train one"


@pytest.mark.parametrize(
    "pointer",
    [b"", b"../../etc", b"model-1/../../x", b"/etc", b"model-\xff", b"model-1\nmodel-2", b"model-" + b"9" * 999],
)
def test_a_pointer_that_names_no_model_directory_is_refused(root: Path, pointer: bytes) -> None:
    (root / CURRENT).write_bytes(pointer)
    assert refusal(root) == "CURRENT does not name a model directory: train again to write it anew"


def test_a_pointer_to_a_model_that_is_gone_is_refused(root: Path) -> None:
    (root / CURRENT).write_text("model-1")
    assert refusal(root) == "model-1 has no manifest: train again"


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_a_truncated_file_is_refused(root: Path, name: str) -> None:
    path = live(root) / f"{name}.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{name}.npy has " in refusal(root)


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_a_missing_file_is_refused(root: Path, name: str) -> None:
    (live(root) / f"{name}.npy").unlink()
    assert refusal(root).endswith(": train again")


@pytest.mark.parametrize("name", sorted(ARRAYS))
def test_a_flipped_bit_is_refused(root: Path, name: str) -> None:
    path = live(root) / f"{name}.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert f"{name}.npy has changed since it was written" in refusal(root)


def test_a_file_that_is_a_link_is_refused(root: Path) -> None:
    path = live(root) / "skus.npy"
    elsewhere = root / "elsewhere.npy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert "skus.npy is not a plain file" in refusal(root)


def test_a_future_version_is_refused_with_both_ways_out(root: Path) -> None:
    rewrite_manifest(root, lambda manifest: manifest.update(format_version=3))
    assert refusal(root) == (
        f"{live(root).name} has format 3 and this release reads up to 2: "
        "upgrade encore_recommender, or train again with this release"
    )


class Payload:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return Path.touch, (self.path,)  # type: ignore[return-value]


def test_pickled_bytes_are_refused_and_never_run(root: Path, tmp_path: Path) -> None:
    proof = tmp_path / "executed"
    objects = np.empty(1, dtype=object)
    objects[0] = Payload(proof)
    for data in (pickle.dumps(Payload(proof)), npy(objects, allow_pickle=True)):
        forge(root, "one_items", data)
        assert refusal(root).endswith(": train again")
    assert not proof.exists()
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()  # the payload does work


HOSTILE: list[tuple[str, Callable[[Path], bytes], str]] = [
    ("one_items", lambda root: npy(np.zeros(3, dtype=np.int64)), "holds int64 with 1 dimensions"),
    ("one_items", lambda root: npy(np.zeros((2, 2), dtype=np.int32)), "holds int32 with 2 dimensions"),
    ("one_items", lambda root: npy(np.zeros(3, dtype=">i4")), "holds >i4 with 1 dimensions"),
    ("one_items", lambda root: npy(np.zeros(99, dtype=np.int32)), "neighbour lists that do not fit"),
    ("one_items", lambda root: b"PK\x03\x04 not an array", "cannot be read"),
    ("one_items", lambda root: b"", "cannot be read"),
    (
        "many_items",
        lambda root: npy(np.zeros(4, dtype=np.int32)).replace(b"(4,)", b"(9,)"),
        "cannot be read",
    ),
    ("many_items", lambda root: changed(root, "many_items", lambda a: a.fill(5)), "neighbour lists that do not fit"),
    ("many_items", lambda root: changed(root, "many_items", lambda a: a.fill(-1)), "neighbour lists that do not fit"),
    ("one_start", lambda root: changed(root, "one_start", lambda a: a.fill(2**62)), "neighbour lists that do not fit"),
    ("one_start", lambda root: changed(root, "one_start", lambda a: a.put(1, 99)), "neighbour lists that do not fit"),
    ("one_start", lambda root: npy(np.zeros(0, dtype=np.int64)), "neighbour lists that do not fit"),
    ("one_weights", lambda root: changed(root, "one_weights", lambda a: a.fill(np.nan)), "not a number"),
    ("one_weights", lambda root: changed(root, "one_weights", lambda a: a.fill(np.inf)), "not a number"),
    ("one_weights", lambda root: changed(root, "one_weights", lambda a: a.fill(-1)), "not above 0"),
    ("one_weights", lambda root: npy(np.ones(1, dtype=np.float32)), "neighbour lists of unequal length"),
    ("one_together", lambda root: changed(root, "one_together", lambda a: a.fill(7)), "more orders with two products"),
    ("one_together", lambda root: changed(root, "one_together", lambda a: a.fill(-1)), "more orders with two products"),
    ("orders_with", lambda root: changed(root, "orders_with", lambda a: a.fill(7)), "product counts that do not fit"),
    ("orders_with", lambda root: npy(np.array([1, 2, 3, 4, 5])), "product counts that do not fit"),
    ("orders_with", lambda root: npy(np.array([4, 3])), "product counts that do not fit"),
    ("category_of", lambda root: changed(root, "category_of", lambda a: a.fill(3)), "categories that do not fit"),
    ("category_of", lambda root: npy(np.zeros(0, dtype=np.int32)), "categories that do not fit"),
    ("memories", lambda root: npy(np.zeros(5)), "weights of history"),
    ("memories", lambda root: changed(root, "memories", lambda a: a.fill(np.inf)), "weights of history"),
    ("calibrations", lambda root: changed(root, "calibrations", lambda a: a.fill(np.nan)), "weights of history"),
    ("skus", lambda root: changed(root, "skus", lambda a: a.fill(0xFF)), "cannot be read"),
    ("sku_offsets", lambda root: changed(root, "sku_offsets", lambda a: a.put(1, 999)), "cannot be read"),
    ("sku_offsets", lambda root: npy(np.zeros(0, dtype=np.int64)), "cannot be read"),
    ("sku_offsets", lambda root: changed(root, "sku_offsets", lambda a: a.put(1, 0)), "without a name"),
]


@pytest.mark.parametrize(("name", "data", "why"), HOSTILE, ids=[f"{case[0]}-{i}" for i, case in enumerate(HOSTILE)])
def test_arrays_that_do_not_fit_are_refused_even_with_a_right_checksum(
    root: Path, name: str, data: Callable[[Path], bytes], why: str
) -> None:
    forge(root, name, data(root))
    sentence = refusal(root)
    assert why in sentence
    assert sentence.endswith(": train again")


def traversal(manifest: dict[str, Any]) -> None:
    manifest["files"]["../../secrets"] = manifest["files"].pop("skus")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (traversal, "does not list exactly the files of a model"),
        (lambda m: m["files"].pop("skus"), "does not list exactly the files of a model"),
        (lambda m: m.update(files=["skus"]), "does not list exactly the files of a model"),
        (lambda m: m["files"].update(skus={}), "does not give size and checksum of every file"),
        (lambda m: m["files"]["skus"].update(bytes=-1), "does not give size and checksum of every file"),
        (lambda m: m.update(format="something else"), "is not a co-purchase model"),
        (lambda m: m.update(format_version=0), "has the outdated format 0"),
        (lambda m: m.update(format_version="1"), "does not say its format version"),
        (lambda m: m.update(version="20200101T000000Z-0"), "names another version than its directory"),
        (lambda m: m["counts"].update(orders=True), "does not say how many orders it counted"),
        (lambda m: m["counts"].update(orders=3), "has product counts that do not fit its products"),
        (lambda m: m.update(seed=float("nan")), "has a manifest that is not JSON"),
    ],
    ids=[
        "path traversal",
        "file missing",
        "files no mapping",
        "no checksum",
        "negative size",
        "other format",
        "outdated",
        "version no number",
        "other version",
        "orders no number",
        "fewer orders than a product has",
        "NaN",
    ],
)
def test_a_manifest_that_does_not_add_up_is_refused(
    root: Path, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    rewrite_manifest(root, change)
    assert refusal(root) == f"{live(root).name} {why}: train again"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "not json", "[" * 100_000, "\x00", "x" * (1 << 20) + "x"],
    ids=["empty", "list", "prose", "deep", "nul", "huge"],
)
def test_a_manifest_that_is_no_manifest_is_refused(root: Path, text: str) -> None:
    (live(root) / MANIFEST).write_text(text)
    assert refusal(root).endswith(": train again")

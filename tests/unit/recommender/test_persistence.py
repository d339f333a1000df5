import hashlib
import json
import mmap
import os
import pickle
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from encore_recommender import (
    Baskets,
    CoPurchaseModel,
    CoPurchaseRecommender,
    ModelRefused,
    Provenance,
    Recommendations,
    load,
    save,
)
from encore_recommender.arrayfiles import fingerprint
from encore_recommender.persistence import ARRAYS, CURRENT, MANIFEST, _content, verify

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
    """Replace a file and make the manifest and the version agree, as someone with write access would."""
    (live(root) / f"{name}.npy").write_bytes(data)
    entry = {
        "bytes": len(data),
        "fingerprint": fingerprint(np.frombuffer(data, dtype=np.uint8)),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    rewrite_manifest(root, lambda manifest: manifest["files"].update({name: entry}))
    sign(root)


def sign(root: Path) -> None:
    """Give the manifest the version that its content asks for."""
    manifest = json.loads((live(root) / MANIFEST).read_text())
    version = f"{manifest.pop('version')[:-12]}{_content(manifest)}"
    (live(root) / MANIFEST).write_text(json.dumps({**manifest, "version": version}))
    live(root).rename(root / f"model-{version}")
    (root / CURRENT).write_text(f"model-{version}")


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
    assert tuple(loaded.skus) == ("brød", "茶 green", "x\ny", "kage")
    assert loaded.recommend(["brød"], k=1).ids == ("茶 green",)
    assert loaded.recommend(["kage"], k=1).explanations[0].kind == "category"


def test_an_empty_model_can_be_saved_and_loaded(tmp_path: Path) -> None:
    save(CoPurchaseRecommender().fit(Baskets.from_rows([])).model_, tmp_path, about=Provenance(created_at=NOON))
    assert load(tmp_path).recommend(["bread"], k=3).ids == ()


def test_arrays_are_mapped_and_cannot_be_written(root: Path) -> None:
    items = load(root).tables["many"].items
    base: Any = items
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base.obj if isinstance(base, memoryview) else base, mmap.mmap)
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
        "format_version": 3,
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


def test_what_a_model_replaces_goes_and_takes_no_place_among_the_older_ones(root: Path, breakfast: Baskets) -> None:
    model = CoPurchaseRecommender().fit(breakfast).model_
    versions = [save(model, root, about=Provenance(created_at=NOON + timedelta(days=day))) for day in (1, 2, 3)]
    for day in (4, 5, 6):
        about = Provenance(created_at=NOON + timedelta(days=day))
        versions.append(save(model, root, about=about, replaces=versions[-1] if day > 4 else ""))
    assert load(root).version == versions[-1]
    kept = [versions[1], versions[2], versions[-1]]
    assert sorted(path.name for path in root.iterdir()) == [CURRENT, *(f"model-{v}" for v in kept)]


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
    path = live(root) / "sku_names.npy"
    elsewhere = root / "elsewhere.npy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    assert "sku_names.npy is not a plain file" in refusal(root)


def test_a_future_version_is_refused_with_both_ways_out(root: Path) -> None:
    rewrite_manifest(root, lambda manifest: manifest.update(format_version=4))
    assert refusal(root) == (
        f"{live(root).name} has format 4 and this release reads up to 3: "
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
        forge(root, "items", data)
        assert refusal(root).endswith(": train again")
    assert not proof.exists()
    pickle.loads(pickle.dumps(Payload(proof)))
    assert proof.exists()  # the payload does work


HOSTILE: list[tuple[str, Callable[[Path], bytes], str]] = [
    ("items", lambda root: npy(np.zeros(3, dtype=np.int64)), "items.npy is not an array of <u2 or <i4"),
    ("items", lambda root: npy(np.zeros((2, 2), dtype=np.int32)), "is not an array of"),
    ("items", lambda root: npy(np.zeros(3, dtype=">i4")), "is not an array of"),
    ("items", lambda root: npy(np.zeros(3, dtype=np.float32)), "is not an array of"),
    ("items", lambda root: npy(np.zeros(99, dtype=np.uint16)), "neighbour lists that do not fit"),
    ("items", lambda root: b"PK\x03\x04 not an array", "cannot be read"),
    ("items", lambda root: b"", "cannot be read"),
    ("items", lambda root: npy(np.zeros(8, dtype=np.uint16)).replace(b"(8,)", b"(9,)"), "cannot be read"),
    ("items", lambda root: npy(np.zeros(8, dtype=np.uint16))[:-1], "cannot be read"),
    ("items", lambda root: changed(root, "items", lambda a: a.fill(5)), "neighbour lists that do not fit"),
    ("items", lambda root: npy(np.full(6, -1, dtype=np.int32)), "neighbour lists that do not fit"),
    ("start", lambda root: changed(root, "start", lambda a: a.fill(2**62)), "neighbour lists that do not fit"),
    ("start", lambda root: changed(root, "start", lambda a: a.put(1, 99)), "neighbour lists that do not fit"),
    ("start", lambda root: npy(np.zeros(0, dtype=np.int64)), "neighbour lists that do not fit"),
    ("weights_one", lambda root: changed(root, "weights_one", lambda a: a.fill(np.nan)), "not a number"),
    ("weights_few", lambda root: changed(root, "weights_few", lambda a: a.fill(np.inf)), "not a number"),
    ("weights_few", lambda root: changed(root, "weights_few", lambda a: a.fill(-np.inf)), "not a number"),
    ("weights_many", lambda root: changed(root, "weights_many", lambda a: a.put(0, -np.nan)), "not a number"),
    ("weights_one", lambda root: changed(root, "weights_one", lambda a: a.fill(-1)), "below 0 that must not be"),
    ("weights_one", lambda root: npy(np.ones(1, dtype=np.float16)), "neighbour lists of unequal length"),
    ("together", lambda root: npy(np.ones(1, dtype=np.uint16)), "neighbour lists of unequal length"),
    ("together", lambda root: changed(root, "together", lambda a: a.fill(7)), "more orders with two products"),
    ("together", lambda root: npy(np.full(6, -1, dtype=np.int32)), "more orders with two products"),
    ("orders_with", lambda root: changed(root, "orders_with", lambda a: a.fill(7)), "product counts that do not fit"),
    ("orders_with", lambda root: npy(np.array([1, 2, 3, 4, 5])), "product counts that do not fit"),
    ("orders_with", lambda root: npy(np.array([4, 3])), "product counts that do not fit"),
    ("category_of", lambda root: changed(root, "category_of", lambda a: a.fill(3)), "categories or families that do"),
    ("category_of", lambda root: npy(np.zeros(0, dtype=np.int32)), "categories or families that do not fit"),
    ("family_of", lambda root: changed(root, "family_of", lambda a: a.fill(-2)), "categories or families that do"),
    ("family_of", lambda root: changed(root, "family_of", lambda a: a.fill(5)), "categories or families that do"),
    ("memories", lambda root: npy(np.zeros(5)), "weights of history"),
    ("memories", lambda root: changed(root, "memories", lambda a: a.fill(np.inf)), "weights of history"),
    ("calibrations", lambda root: changed(root, "calibrations", lambda a: a.fill(np.nan)), "weights of history"),
    ("sku_names", lambda root: changed(root, "sku_names", lambda a: a.fill(0xFF)), "cannot be read"),
    ("sku_names", lambda root: changed(root, "sku_names", lambda a: a.put([4, 5], [0xC3, 0xA9])), "within a letter"),
    ("sku_offsets", lambda root: changed(root, "sku_offsets", lambda a: a.put(1, 999)), "cannot be read"),
    ("sku_offsets", lambda root: npy(np.zeros(0, dtype=np.int64)), "cannot be read"),
    ("sku_offsets", lambda root: changed(root, "sku_offsets", lambda a: a.put(1, 0)), "or a name is empty"),
    ("sku_by_digest", lambda root: changed(root, "sku_by_digest", lambda a: a.put(1, 5)), "belongs to no name"),
    ("sku_by_digest", lambda root: npy(np.zeros(4, dtype=np.int32)), "another number of digests"),
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
    manifest["files"]["../../secrets"] = manifest["files"].pop("items")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (traversal, "does not list exactly the files of a model"),
        (lambda m: m["files"].pop("items"), "does not list exactly the files of a model"),
        (lambda m: m.update(files=["items"]), "does not list exactly the files of a model"),
        (lambda m: m["files"].update(items={}), "does not give size and checksums of every file"),
        (lambda m: m["files"]["items"].update(bytes=-1), "does not give size and checksums of every file"),
        (lambda m: m.update(format="something else"), "is not a co-purchase model"),
        (lambda m: m.update(format_version=0), "has the outdated format 0"),
        (lambda m: m.update(format_version="1"), "does not say its format version"),
        (lambda m: m.update(version="20200101T000000Z-0"), "names another version than its directory"),
        (lambda m: m["counts"].update(orders=True), "does not say how many orders it counted"),
        (lambda m: m["counts"].update(orders=7), "has a manifest that has changed since it was written"),
        (lambda m: m["counts"].update(lines=14), "has a manifest that has changed since it was written"),
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
        "another order",
        "another line",
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


def test_fewer_orders_than_a_product_has_are_refused_even_with_a_right_checksum(root: Path) -> None:
    rewrite_manifest(root, lambda manifest: manifest["counts"].update(orders=3))
    sign(root)
    assert refusal(root) == f"{live(root).name} has product counts that do not fit its products: train again"


BASKETS = ([], ["bread"], ["butter", "unheard of"], ["bread", "jam"], ["tea", "milk", "jam", "bread", "butter"])


def answers(model: CoPurchaseModel) -> list[Recommendations]:
    return [model.recommend(basket, k=9, history=["tea"]) for basket in BASKETS]


def mutant(data: bytes, draw: random.Random) -> bytes:
    """The bytes after one accident or attack."""
    low, high = sorted(draw.choices(range(len(data) + 1), k=2))
    match draw.randrange(8):
        case 0:
            place = draw.randrange(len(data))
            return data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :]
        case 1:
            return data[:low]
        case 2:
            return data[:low] + bytes(high - low) + data[high:]
        case 3:
            return data[:low] + draw.randbytes(high - low) + data[high:]
        case 4:
            return data[high:] + data[low:high] + data[:low]
        case 5:
            return data + data[low:high]
        case 6:
            return data[:low] + data[low:high][::-1] + data[high:]
        case _:
            return draw.randbytes(draw.randrange(300))


def test_of_a_thousand_mutants_each_is_refused_or_answers_alike(root: Path) -> None:
    expected, draw = answers(load(root)), random.Random(5)
    files = [root / CURRENT, *sorted(live(root).iterdir())]
    refused = alike = 0
    for _ in range(1_000):
        path = draw.choice(files)
        original = path.read_bytes()
        path.write_bytes(mutant(original, draw))
        try:
            found = answers(load(root))
        except ModelRefused:
            refused += 1
        else:
            assert found == expected
            alike += path.read_bytes() == original or path.name in (CURRENT, MANIFEST)
        path.write_bytes(original)
    assert refused + alike == 1_000
    assert refused > 900


def test_of_mutants_with_right_checksums_none_breaks_a_query(root: Path, tmp_path: Path) -> None:
    draw, refused = random.Random(6), 0
    for _ in range(150):
        name = draw.choice(sorted(ARRAYS))
        path, directory = live(root) / f"{name}.npy", live(root)
        manifest, original = (directory / MANIFEST).read_bytes(), path.read_bytes()
        forge(root, name, original[:128] + mutant(original[128:] or b"\0", draw))
        try:
            assert len(answers(load(root))) == 5
        except ModelRefused:
            refused += 1
        live(root).rename(directory)
        (directory / MANIFEST).write_bytes(manifest)
        path = directory / f"{name}.npy"
        path.write_bytes(original)
        (root / CURRENT).write_text(directory.name)
    assert 50 < refused < 150


def test_a_whole_model_passes_the_slow_check(root: Path) -> None:
    verify(live(root))


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("together", lambda a: a.fill(4), "counts more orders with two products than with one of them"),
        ("sku_digests", lambda a: a.put(0, 7), "repeats a name or has a digest that is not its name's"),
        ("sku_names", lambda a: a.put(0, ord("x")), "repeats a name or has a digest that is not its name's"),
    ],
)
def test_the_slow_check_finds_what_only_someone_could_forge(
    root: Path, name: str, change: Callable[[np.ndarray[Any, Any]], object], why: str
) -> None:
    forge(root, name, changed(root, name, change))
    assert len(answers(load(root))) == 5
    with pytest.raises(ModelRefused) as refused:
        verify(live(root))
    assert str(refused.value) == f"{live(root).name} {why}: train again"


def test_the_slow_check_asks_sha_256(root: Path) -> None:
    rewrite_manifest(root, lambda manifest: manifest["files"]["items"].update(sha256="0" * 64))
    sign(root)
    load(root)
    with pytest.raises(ModelRefused, match=r"has another SHA-256 of items\.npy than when it was written"):
        verify(live(root))


def test_every_flipped_bit_of_a_page_and_beyond_changes_the_fingerprint() -> None:
    data = np.frombuffer(random.Random(7).randbytes(4_096 + 13), dtype=np.uint8).copy()
    whole, seen = fingerprint(data), set()
    for place in range(len(data)):
        data[place] ^= 1 << place % 8
        seen.add(fingerprint(data))
        data[place] ^= 1 << place % 8
    assert whole not in seen
    assert len(seen) == len(data)


def test_swapped_words_and_pages_change_the_fingerprint() -> None:
    words = np.arange(2_048, dtype="<u8")
    prints = {fingerprint(words.view(np.uint8))}
    for one, other in ((0, 1), (0, 511), (511, 512), (5, 2_047)):
        swapped = words.copy()
        swapped[[one, other]] = swapped[[other, one]]
        prints.add(fingerprint(swapped.view(np.uint8)))
    prints.add(fingerprint(np.roll(words, 512).view(np.uint8)))
    assert len(prints) == 6

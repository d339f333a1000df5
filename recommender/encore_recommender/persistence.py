"""A model on disk: plain arrays and a manifest, checked before use, swapped in one step. Never executes anything.

    models/
        CURRENT                      one line: the name of the live model's directory
        KEEP                         versions that are not removed, a line each; absent when there are none
        model-20260301T020000Z-9f86d081/
            manifest.json            format, parameters, metrics, and size and checksums of every array file
            sku_names.npy  items.npy  weights_one.npy  ...

Readers map the arrays, so all workers share one copy in memory. Files are never changed after they are
written, only replaced as a whole; a reader keeps what it has mapped. The version ends with a checksum of the
manifest, the manifest holds those of the arrays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from encore_recommender import arrayfiles, ids
from encore_recommender.model import Calibration, CoPurchaseModel, Memory
from encore_recommender.neighbours import SIZES, Neighbours

FORMAT = "encore-recommender co-purchase model"

#: Raise it with every change that an older reader would misread.
FORMAT_VERSION = 3

CURRENT = "CURRENT"
KEEP = "KEEP"
MANIFEST = "manifest.json"

#: Every model holds exactly these files of these types, so a manifest cannot name any other path.
ARRAYS: Mapping[str, tuple[str, ...]] = {
    **{
        f"{kind}_{part}": (dtype,)
        for kind in ("sku", "category")
        for part, dtype in (("names", "|u1"), ("offsets", "<i8"), ("digests", "<u8"), ("by_digest", "<i4"))
    },
    "orders_with": ("<i8",),
    "category_of": ("<i4",),
    "family_of": ("<i4",),
    "start": ("<i8",),
    # As wide as the shop needs.
    "items": ("<u2", "<i4"),
    "together": ("<u2", "<i4"),
    **{f"weights_{size}": ("<f2",) for size in SIZES},
    "memories": ("<f8",),
    "calibrations": ("<f8",),
}

#: Patterns of half precision from here on are infinite or not a number: without a sign, and with one.
_NOT_FINITE, _NOT_FINITE_SIGNED = 0x7C00, 0xFC00

#: A manifest is a few kB; a larger one is not ours and is not read.
LARGEST_MANIFEST = 1 << 20

#: Models kept besides the live one, for going back.
KEPT = 2

#: No save takes a day, so what is older was left behind by one that was killed.
ABANDONED_AFTER_SECONDS = 86_400.0

_NAME = re.compile(r"model-[0-9A-Za-z]+(?:-[0-9A-Za-z]+)*", re.ASCII)
_LONGEST_NAME = 100


class ModelRefused(Exception):
    """The model on disk cannot be used; the message names what is wrong and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a manifest says about a model besides its arrays; JSON values only."""

    created_at: datetime
    """Timezone-aware."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    first_order_at: float | None = None
    """Unix seconds of the oldest order learned from, None when unknown."""
    last_order_at: float | None = None
    lines: int = 0
    """Order lines learned from."""


def save(model: CoPurchaseModel, root: Path, *, about: Provenance, replaces: str = "") -> str:
    """Write the model beside the others and make it the live one.

    Everything is written and synced under a temporary name and then renamed, so a crash at any point leaves
    the previous model live. Saving the same model twice is harmless. Older models beyond the last few are
    removed; readers that have them mapped keep them.

    Args:
        model: What to save.
        root: The directory that holds the models and CURRENT; made if absent.
        about: Where the model comes from.
        replaces: A version that this one is the same as but for newer orders, and that nobody goes back to: it is
            removed, and takes no place among the older ones.

    Returns:
        The version, unique to this content and second.

    Raises:
        ValueError: `created_at` has no timezone, or a parameter or metric is not plain JSON.
        OSError: The disk said no; the live model is untouched.
    """
    if about.created_at.tzinfo is None:
        raise ValueError("created_at needs a timezone")
    root.mkdir(parents=True, exist_ok=True)
    writing = root / f".writing-{os.getpid()}-{os.urandom(4).hex()}"
    writing.mkdir()
    try:
        files = {name: arrayfiles.write(writing / f"{name}.npy", array) for name, array in _arrays(model).items()}
        manifest = _manifest(model, about, files)
        version = f"{about.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{_content(manifest)}"
        text = json.dumps({**manifest, "version": version}, indent=2, allow_nan=False, sort_keys=True)
        _write_synced(writing / MANIFEST, text.encode())
        _sync_directory(writing)
        target = root / f"model-{version}"
        if not target.exists():
            writing.rename(target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    _sync_directory(root)
    put_live(root, version)
    _forget_old(root, live=target.name, replaced=f"model-{replaces}")
    return version


def put_live(root: Path, version: str) -> None:
    """Make a saved model the one that is served, in one step; an older one, to go back to it. `open_model` it first."""
    _replace(root / CURRENT, f"model-{version}\n")


def keep(root: Path, versions: Collection[str]) -> None:
    """Let no later save remove one of *versions*; those of the call before are kept for their age only. Idempotent."""
    if versions or (root / KEEP).exists():
        _replace(root / KEEP, "".join(f"{version}\n" for version in sorted(versions)))


def load(root: Path) -> CoPurchaseModel:
    """Open the live model under `root`: verify every byte and bound, then map it.

    Raises:
        ModelRefused: There is none, or it is torn, altered, of another format, or inconsistent. Whoever
            holds an older model keeps it.
    """
    name = _read_small(root / CURRENT, "no model has been trained here yet: train one").decode("utf-8", "replace")
    name = name.removesuffix("\n")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ModelRefused(f"{CURRENT} does not name a model directory: train again to write it anew")
    return open_model(root / name)


def open_model(directory: Path) -> CoPurchaseModel:
    """Open one model directory, verified as in `load`.

    Raises:
        ModelRefused: See `load`.
    """
    manifest = read_manifest(directory)
    arrays = _mapped(directory, manifest)
    skus, categories = (
        ids.Names(*(arrays[f"{kind}_{part}"] for part in ("names", "offsets", "digests", "by_digest")))
        for kind in ("sku", "category")
    )
    try:
        skus.check()
        categories.check()
    except ValueError as error:
        _refuse(directory, f"cannot be read ({error})")
    orders, orders_with = manifest["counts"]["orders"], arrays["orders_with"]
    if len(orders_with) != len(skus) or not _within(orders_with, 0, orders) or bool((np.diff(orders_with) > 0).any()):
        _refuse(directory, "has product counts that do not fit its products")
    for name, most in (("category_of", len(categories) - 1), ("family_of", len(skus) - 1)):
        if len(arrays[name]) != len(skus) or not _within(arrays[name], -1, most):
            _refuse(directory, "has categories or families that do not fit its products")
    _check_lists(directory, arrays)
    memories, calibrations = arrays["memories"], arrays["calibrations"]
    numbers = np.concatenate([memories, calibrations])
    if len(memories) != 2 * len(SIZES) or len(calibrations) != 5 * len(SIZES) or not np.all(np.abs(numbers) < 1e6):
        _refuse(directory, "has weights of history or of certainty that are not numbers")
    start, items, together = arrays["start"], arrays["items"], arrays["together"]
    return CoPurchaseModel(
        skus=skus,
        orders=orders,
        orders_with=orders_with,
        tables={
            size: Neighbours(start=start, items=items, weights=arrays[f"weights_{size}"], together=together)
            for size in SIZES
        },
        memories={size: Memory(*memories[2 * i : 2 * i + 2].tolist()) for i, size in enumerate(SIZES)},
        calibrations={size: Calibration(*calibrations[5 * i : 5 * i + 5].tolist()) for i, size in enumerate(SIZES)},
        categories=categories,
        category_of=arrays["category_of"],
        family_of=arrays["family_of"],
        version=manifest["version"],
    )


def verify(directory: Path) -> None:
    """All that `open_model` makes sure of, and what would take it too long: SHA-256, digests, counts that add up.

    For `doctor` and for whoever receives a model from elsewhere; takes a second for a large shop.

    Raises:
        ModelRefused: It should not be served.
    """
    model, manifest = open_model(directory), read_manifest(directory)
    for name, entry in manifest["files"].items():
        if not arrayfiles.unchanged(directory / f"{name}.npy", entry):
            _refuse(directory, f"has another SHA-256 of {name}.npy than when it was written")
    for names in (model.skus, model.categories):
        if any(names.number[name] != number for number, name in enumerate(names)):
            _refuse(directory, "repeats a name or has a digest that is not its name's")
    table, orders_with = model.tables[SIZES[0]], model.orders_with
    rows = np.repeat(np.arange(len(orders_with)), np.diff(table.start))
    rarer = np.minimum(orders_with[rows], orders_with[table.items])
    if bool(np.any((table.together > rarer) | (rows == table.items))):
        _refuse(directory, "counts more orders with two products than with one of them")


def read_manifest(directory: Path) -> dict[str, Any]:
    """The manifest of a model directory, its shape checked.

    Raises:
        ModelRefused: It is missing, not JSON, of another format or version, or incomplete.
    """
    raw = _read_small(directory / MANIFEST, f"{directory.name} has no manifest: train again")
    try:
        manifest = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse(directory, "has a manifest that is not JSON")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        _refuse(directory, "is not a co-purchase model")
    written = manifest.get("format_version")
    if not isinstance(written, int):
        _refuse(directory, "does not say its format version")
    if written > FORMAT_VERSION:
        raise ModelRefused(
            f"{directory.name} has format {written} and this release reads up to {FORMAT_VERSION}: "
            "upgrade encore_recommender, or train again with this release"
        )
    if written < FORMAT_VERSION:
        _refuse(directory, f"has the outdated format {written}")
    files, counts = manifest.get("files"), manifest.get("counts")
    if not isinstance(files, dict) or set(files) != set(ARRAYS):
        _refuse(directory, "does not list exactly the files of a model")
    if not all(_is_file_entry(entry) for entry in files.values()):
        _refuse(directory, "does not give size and checksums of every file")
    if not isinstance(counts, dict) or not _is_count(counts.get("orders")):
        _refuse(directory, "does not say how many orders it counted")
    if manifest.get("version") != directory.name.removeprefix("model-"):
        _refuse(directory, "names another version than its directory")
    if not str(manifest["version"]).endswith(f"-{_content(manifest)}"):
        _refuse(directory, "has a manifest that has changed since it was written")
    return manifest


def _arrays(model: CoPurchaseModel) -> dict[str, NDArray[Any]]:
    table = model.tables[SIZES[0]]
    arrays: dict[str, NDArray[Any]] = {
        "orders_with": model.orders_with,
        "category_of": model.category_of,
        "family_of": model.family_of,
        "start": table.start,
        "items": table.items,
        "together": table.together,
        **{f"weights_{size}": model.tables[size].weights for size in SIZES},
        "memories": np.array([model.memories[size] for size in SIZES]).ravel(),
        "calibrations": np.array([model.calibrations[size] for size in SIZES]).ravel(),
    }
    for kind, names in (("sku", model.skus), ("category", model.categories)):
        arrays |= {f"{kind}_names": names.blob, f"{kind}_offsets": names.offsets}
        arrays |= {f"{kind}_digests": names.sorted_digests, f"{kind}_by_digest": names.by_digest}
    return {name: _as_one_of(dtypes, arrays[name]) for name, dtypes in ARRAYS.items()}


def _as_one_of(dtypes: tuple[str, ...], array: NDArray[Any]) -> NDArray[Any]:
    dtype = array.dtype.newbyteorder("<").str
    return np.ascontiguousarray(array, dtype=dtype if dtype in dtypes else dtypes[-1])


def _manifest(model: CoPurchaseModel, about: Provenance, files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "created_at": about.created_at.astimezone(UTC).isoformat(),
        "data_window": {"first_order_at": about.first_order_at, "last_order_at": about.last_order_at},
        "parameters": dict(about.parameters),
        "metrics": dict(about.metrics),
        "seed": about.seed,
        "counts": {"orders": model.orders, "lines": about.lines, "products": len(model.skus)},
        "files": dict(files),
    }


def _content(manifest: Mapping[str, Any]) -> str:
    """A checksum of all the manifest says but its version, which ends with it."""
    said = {name: value for name, value in manifest.items() if name != "version"}
    return hashlib.sha256(json.dumps(said, allow_nan=False, sort_keys=True).encode()).hexdigest()[:12]


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    """Make a rename last through a power cut; platforms that cannot open a directory have no such call."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(file: Path, text: str) -> None:
    """Write a small file in one step that lasts."""
    pointer = file.with_name(f".{file.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        _write_synced(pointer, text.encode())
        pointer.replace(file)
    finally:
        pointer.unlink(missing_ok=True)
    _sync_directory(file.parent)


def _kept(root: Path) -> frozenset[str]:
    """Names of directories that `keep` keeps."""
    try:
        return frozenset(f"model-{line}" for line in (root / KEEP).read_text("utf-8").split())
    except (OSError, UnicodeDecodeError):
        return frozenset()


def _forget_old(root: Path, *, live: str, replaced: str) -> None:
    """Remove models beyond the newest few, and what saves that were killed long ago left half-written.

    Versions begin with their time, so names sort by age.
    """
    spared = {live, *_kept(root)}
    replaced = live if replaced in spared else replaced
    old = sorted(path for path in root.glob("model-*") if path.name not in {*spared, replaced} and path.is_dir())
    written_at = (root / CURRENT).stat().st_mtime
    abandoned = [
        path for path in root.glob(".writing-*") if written_at - path.stat().st_mtime > ABANDONED_AFTER_SECONDS
    ]
    for path in [*old[: max(len(old) - KEPT, 0)], *abandoned, *([root / replaced] if replaced != live else [])]:
        shutil.rmtree(path, ignore_errors=True)


def _read_small(path: Path, absent: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_MANIFEST + 1)
    except OSError:
        raise ModelRefused(absent) from None
    if len(data) > LARGEST_MANIFEST:
        raise ModelRefused(f"{path.name} is far too large to be ours: train again")
    return data


def _mapped(directory: Path, manifest: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    try:
        return {
            name: arrayfiles.mapped(directory / f"{name}.npy", manifest["files"][name], dtypes)
            for name, dtypes in ARRAYS.items()
        }
    except (OSError, ValueError) as error:
        _refuse(directory, f"cannot be read ({error})")


def _check_lists(directory: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse lists that do not fit the products, so that nothing served later can be out of bounds."""
    start, items, together = arrays["start"], arrays["items"], arrays["together"]
    orders_with = arrays["orders_with"]
    in_shape = len(start) == len(orders_with) + 1 and start[0] == 0 and start[-1] == len(items)
    if not in_shape or bool((start[1:] < start[:-1]).any()):
        _refuse(directory, "has neighbour lists that do not fit its products")
    # Read without a sign a number below 0 is a large one: one look tells both.
    if _largest(items) >= max(int(np.count_nonzero(orders_with)), 1):
        _refuse(directory, "has neighbour lists that do not fit its products")
    if _largest(together) > int(orders_with.max(initial=0)):
        _refuse(directory, "counts more orders with two products than with any one")
    for size in SIZES:
        weights = arrays[f"weights_{size}"]
        if not len(weights) == len(items) == len(together):
            _refuse(directory, "has neighbour lists of unequal length")
        # Where rows are added up, one product may speak against another.
        signed = _largest(weights) if size != "one" else 0
        unsigned = int(weights.view("<i2").max(initial=0)) if size != "one" else _largest(weights)
        if unsigned >= _NOT_FINITE or signed >= _NOT_FINITE_SIGNED:
            _refuse(directory, "has a weight that is not a number, or one below 0 that must not be")


def _largest(values: NDArray[Any]) -> int:
    """The largest pattern of bits, read as a number without a sign; 0 of none."""
    return int(values.view(f"<u{values.dtype.itemsize}").max(initial=0))


def _within(values: NDArray[Any], least: int, most: int) -> bool:
    return len(values) == 0 or (int(values.min()) >= least and int(values.max()) <= most)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_file_entry(entry: object) -> bool:
    if not isinstance(entry, dict) or not _is_count(entry.get("bytes")):
        return False
    return isinstance(entry.get("sha256"), str) and isinstance(entry.get("fingerprint"), str)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(directory: Path, why: str) -> NoReturn:
    raise ModelRefused(f"{directory.name} {why}: train again") from None

"""A model on disk: plain arrays and a manifest, checked before use, swapped in one step. Never executes anything.

    models/
        CURRENT                      one line: the name of the live model's directory
        model-20260301T020000Z-9f86d081/
            manifest.json            format, parameters, metrics, and size and SHA-256 of every array file
            skus.npy  one_items.npy  ...

Readers map the arrays, so all workers share one copy in memory. Files are never changed after they are
written, only replaced as a whole; a reader keeps what it has mapped.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from encore_recommender import ids
from encore_recommender.model import Calibration, CoPurchaseModel, Memory
from encore_recommender.neighbours import SIZES, Neighbours

FORMAT = "encore-recommender co-purchase model"

#: Raise it with every change that an older reader would misread.
FORMAT_VERSION = 2

CURRENT = "CURRENT"
MANIFEST = "manifest.json"

#: Every model holds exactly these files, so a manifest cannot name any other path.
ARRAYS: Mapping[str, str] = {
    "skus": "uint8",
    "sku_offsets": "int64",
    "orders_with": "int64",
    "categories": "uint8",
    "category_offsets": "int64",
    "category_of": "int32",
    **{
        f"{size}_{part}": dtype
        for size in SIZES
        for part, dtype in (("start", "int64"), ("items", "int32"), ("weights", "float32"), ("together", "int32"))
    },
    "memories": "float64",
    "calibrations": "float64",
}

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


def save(model: CoPurchaseModel, root: Path, *, about: Provenance) -> str:
    """Write the model beside the others and make it the live one.

    Everything is written and synced under a temporary name and then renamed, so a crash at any point leaves
    the previous model live. Saving the same model twice is harmless. Older models beyond the last few are
    removed; readers that have them mapped keep them.

    Args:
        model: What to save.
        root: The directory that holds the models and CURRENT; made if absent.
        about: Where the model comes from.

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
        files = {name: _write_array(writing / f"{name}.npy", array) for name, array in _arrays(model).items()}
        content = hashlib.sha256("".join(entry["sha256"] for entry in files.values()).encode()).hexdigest()
        version = f"{about.created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{content[:12]}"
        manifest = json.dumps(_manifest(model, version, about, files), indent=2, allow_nan=False, sort_keys=True)
        _write_synced(writing / MANIFEST, manifest.encode())
        _sync_directory(writing)
        target = root / f"model-{version}"
        if not target.exists():
            writing.rename(target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    _sync_directory(root)
    put_live(root, version)
    _forget_old(root, live=target.name)
    return version


def put_live(root: Path, version: str) -> None:
    """Make a saved model the one that is served, in one step; an older one, to go back to it. `open_model` it first."""
    pointer = root / f".{CURRENT}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        _write_synced(pointer, f"model-{version}\n".encode())
        pointer.replace(root / CURRENT)
    finally:
        pointer.unlink(missing_ok=True)
    _sync_directory(root)


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
    try:
        arrays = {name: _map_array(directory, name, manifest["files"][name]) for name in ARRAYS}
        skus = ids.unpack(arrays["skus"], arrays["sku_offsets"])
        categories = ids.unpack(arrays["categories"], arrays["category_offsets"])
    except (OSError, ValueError) as error:
        _refuse(directory, f"cannot be read ({error})")
    tables = {size: _neighbours(arrays, size) for size in SIZES}
    orders, orders_with, category_of = manifest["counts"]["orders"], arrays["orders_with"], arrays["category_of"]
    n = len(skus)
    if len(set(skus)) != n or "" in skus:
        _refuse(directory, "repeats a product or has one without a name")
    if len(orders_with) != n or not _within(orders_with, 0, orders) or bool(np.any(np.diff(orders_with) > 0)):
        _refuse(directory, "has product counts that do not fit its products")
    if len(category_of) != n or not _within(category_of, -1, len(categories) - 1):
        _refuse(directory, "has categories that do not fit its products")
    for size, table in tables.items():
        _check_table(directory, table, orders_with)
        # Where rows are added up, one product may speak against another.
        if size == "one" and bool(np.any(table.weights <= 0)):
            _refuse(directory, "has a weight that is not above 0")
    memories, calibrations = arrays["memories"], arrays["calibrations"]
    numbers = np.concatenate([memories, calibrations])
    if len(memories) != 2 * len(SIZES) or len(calibrations) != 5 * len(SIZES) or not np.all(np.abs(numbers) < 1e6):
        _refuse(directory, "has weights of history or of certainty that are not numbers")
    return CoPurchaseModel(
        skus=skus,
        orders=orders,
        orders_with=orders_with,
        tables=tables,
        memories={size: Memory(*memories[2 * i : 2 * i + 2].tolist()) for i, size in enumerate(SIZES)},
        calibrations={size: Calibration(*calibrations[5 * i : 5 * i + 5].tolist()) for i, size in enumerate(SIZES)},
        categories=categories,
        category_of=category_of,
        version=manifest["version"],
    )


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
        _refuse(directory, "does not give size and checksum of every file")
    if not isinstance(counts, dict) or not _is_count(counts.get("orders")):
        _refuse(directory, "does not say how many orders it counted")
    if manifest.get("version") != directory.name.removeprefix("model-"):
        _refuse(directory, "names another version than its directory")
    return manifest


def _arrays(model: CoPurchaseModel) -> dict[str, NDArray[Any]]:
    skus, sku_offsets = ids.pack(model.skus)
    categories, category_offsets = ids.pack(model.categories)
    arrays: dict[str, NDArray[Any]] = {
        "skus": skus,
        "sku_offsets": sku_offsets,
        "orders_with": model.orders_with,
        "categories": categories,
        "category_offsets": category_offsets,
        "category_of": model.category_of,
    }
    for prefix, table in model.tables.items():
        arrays[f"{prefix}_start"] = table.start
        arrays[f"{prefix}_items"] = table.items
        arrays[f"{prefix}_weights"] = table.weights
        arrays[f"{prefix}_together"] = table.together
    arrays["memories"] = np.array([model.memories[size] for size in SIZES]).ravel()
    arrays["calibrations"] = np.array([model.calibrations[size] for size in SIZES]).ravel()
    return {name: np.ascontiguousarray(arrays[name], dtype=dtype) for name, dtype in ARRAYS.items()}


def _manifest(
    model: CoPurchaseModel, version: str, about: Provenance, files: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": version,
        "created_at": about.created_at.astimezone(UTC).isoformat(),
        "data_window": {"first_order_at": about.first_order_at, "last_order_at": about.last_order_at},
        "parameters": dict(about.parameters),
        "metrics": dict(about.metrics),
        "seed": about.seed,
        "counts": {"orders": model.orders, "lines": about.lines, "products": len(model.skus)},
        "files": dict(files),
    }


def _write_array(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    with path.open("xb") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {"sha256": _digest(path), "bytes": path.stat().st_size}


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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _forget_old(root: Path, *, live: str) -> None:
    """Remove models beyond the newest few, and what saves that were killed long ago left half-written.

    Versions begin with their time, so names sort by age.
    """
    old = sorted(path for path in root.glob("model-*") if path.name != live and path.is_dir())
    written_at = (root / CURRENT).stat().st_mtime
    abandoned = [
        path for path in root.glob(".writing-*") if written_at - path.stat().st_mtime > ABANDONED_AFTER_SECONDS
    ]
    for path in old[: max(len(old) - KEPT, 0)] + abandoned:
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


def _map_array(directory: Path, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    path = directory / f"{name}.npy"
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path.name} is not a plain file")
    if found.st_size != entry["bytes"]:
        raise ValueError(f"{path.name} has {found.st_size} bytes where {entry['bytes']} were written")
    if _digest(path) != entry["sha256"]:
        raise ValueError(f"{path.name} has changed since it was written")
    # Raises on anything but a plain array: it has no code path that unpickles.
    array = np.lib.format.open_memmap(path, mode="r")
    if array.dtype.str != np.dtype(ARRAYS[name]).str or array.ndim != 1:
        raise ValueError(f"{path.name} holds {array.dtype} with {array.ndim} dimensions")
    return array.view(np.ndarray)


def _neighbours(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Neighbours:
    return Neighbours(
        start=arrays[f"{prefix}_start"],
        items=arrays[f"{prefix}_items"],
        weights=arrays[f"{prefix}_weights"],
        together=arrays[f"{prefix}_together"],
    )


def _check_table(directory: Path, table: Neighbours, orders_with: NDArray[Any]) -> None:
    """Refuse lists that do not fit the products, so that nothing served later can be out of bounds."""
    n, sold = len(orders_with), int(np.count_nonzero(orders_with))
    start, items, together = table.start, table.items, table.together
    in_shape = len(start) == n + 1 and start[0] == 0 and start[-1] == len(items)
    if not in_shape or bool(np.any(np.diff(start) < 0)) or not _within(items, 0, sold - 1):
        _refuse(directory, "has neighbour lists that do not fit its products")
    if len(table.weights) != len(items) or len(together) != len(items):
        _refuse(directory, "has neighbour lists of unequal length")
    rows = np.repeat(np.arange(n), np.diff(start))
    rarer = np.minimum(orders_with[rows], orders_with[items])
    if not bool(np.all((together >= 0) & (together <= rarer) & (rows != items))):
        _refuse(directory, "counts more orders with two products than with one of them")
    if not bool(np.all(np.isfinite(table.weights))):
        _refuse(directory, "has a weight that is not a number")


def _within(values: NDArray[Any], least: int, most: int) -> bool:
    return len(values) == 0 or (int(values.min()) >= least and int(values.max()) <= most)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_file_entry(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("sha256"), str) and _is_count(entry.get("bytes"))


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(directory: Path, why: str) -> NoReturn:
    raise ModelRefused(f"{directory.name} {why}: train again") from None

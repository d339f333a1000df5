"""What a recommender has learned, in one file, so that another process can go on with `partial_fit`.

A zip of plain arrays (`.npy`, stored and not compressed), a list of names and a manifest with the SHA-256 of each:

    manifest.json  names.json  start.npy  items.npy  ...

It holds the orders as product numbers, with times and with digests of their references: no customers, no
quantities, no counts, which are made of the orders. The model that web workers serve is another thing: `persistence`.
Opening verifies everything and executes nothing. Needs scipy and scikit-learn, like `copurchase`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from encore_recommender.baskets import Baskets
from encore_recommender.blending import Blend
from encore_recommender.copurchase import CoPurchaseRecommender
from encore_recommender.dense import DenseScores
from encore_recommender.ledger import Ledger
from encore_recommender.model import Calibration, Memory
from encore_recommender.neighbours import SIZES
from encore_recommender.persistence import ModelRefused
from encore_recommender.tuning import Choice

FORMAT = "encore-recommender learned state"

#: Raise it with every change that an older reader would misread.
FORMAT_VERSION = 1

MANIFEST, NAMES = "manifest.json", "names.json"

#: Every file holds exactly these arrays, so a manifest cannot name anything else.
ARRAYS: Mapping[str, str] = {
    "start": "<i8",
    "items": "<i4",
    # Empty where no order has one.
    "times": "<f8",
    "order_digests": "<u8",
    "dense_start": "<i8",
    "dense_columns": "<i4",
    "dense_values": "<f4",
}

#: What the catalogue says of products, SKU by SKU.
DESCRIPTIONS = ("categories", "titles", "parents")

#: A manifest is a few kB; a larger one is not ours and is not read.
LARGEST_MANIFEST = 1 << 20


def save(estimator: CoPurchaseRecommender, path: Path) -> None:
    """Write what an estimator has learned: whole and synced beside *path*, then renamed over it.

    What was there before is gone, and with it the orders forgotten since.

    Args:
        estimator: Fitted, wholly or in part.
        path: The file; its directory is made if absent.

    Raises:
        AttributeError: Nothing was learned.
        OSError: The disk said no; what was there still is.
    """
    orders, dense = estimator.ledger_.orders, estimator.dense_
    names = {"skus": orders.skus, "dense_skus": dense.skus, **{name: getattr(orders, name) for name in DESCRIPTIONS}}
    arrays: dict[str, NDArray[Any] | None] = {
        "start": orders.start,
        "items": orders.items,
        "times": orders.times,
        "order_digests": orders.order_digests,
        "dense_start": dense.start,
        "dense_columns": dense.columns,
        "dense_values": dense.values.ravel(),
    }
    members = {NAMES: json.dumps(names).encode(), **{f"{name}.npy": _npy(name, arrays[name]) for name in ARRAYS}}
    parameters = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in estimator.get_params().items()
        if name != "choice"
    }
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "parameters": parameters,
        "choice": estimator.choice_.as_dict(),
        "orders_left_out": estimator.orders_left_out_,
        "orders_repeated": estimator.orders_repeated_,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }
    members = {MANIFEST: json.dumps(manifest, indent=1, allow_nan=False).encode(), **members}
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with writing.open("xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, data in members.items():
                    archive.writestr(zipfile.ZipInfo(name), data)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)


def restore(path: Path) -> CoPurchaseRecommender:
    """An estimator that goes on where the saved one was; its model is made on first use.

    Raises:
        ModelRefused: There is no such file, or it is torn, altered, of another format or version, or inconsistent.
    """
    manifest, names, arrays = _read(path)
    choice = _choice(path, manifest.get("choice"))
    estimator = CoPurchaseRecommender()
    try:
        estimator.set_params(**manifest["parameters"])._check_parameters()
        left_out, repeated = int(manifest["orders_left_out"]), int(manifest["orders_repeated"])
    except (KeyError, TypeError, ValueError) as error:
        _refuse(path, f"has parameters or counts that are not ours ({error})")
    orders, dense = _orders(path, names, arrays), _dense(path, names, arrays)
    return estimator.going_on(Ledger.of(orders), dense, choice, left_out=left_out, repeated=repeated)


def _npy(name: str, array: NDArray[Any] | None) -> bytes:
    held = np.zeros(0) if array is None else array
    file = io.BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(held, dtype=ARRAYS[name]), allow_pickle=False)
    return file.getvalue()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, NDArray[Any]]]:
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, archive)
            members = {name: _member(archive, name, manifest["sha256"]) for name in [NAMES, *_files()]}
            names = json.loads(members[NAMES])
            arrays = {name: _array(members[f"{name}.npy"], dtype) for name, dtype in ARRAYS.items()}
    except FileNotFoundError:
        raise ModelRefused(f"nothing was learned here yet ({path.name}): train") from None
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, LookupError, RuntimeError) as error:
        _refuse(path, f"cannot be read ({error})")
    if not isinstance(names, dict) or set(names) != {"skus", "dense_skus", *DESCRIPTIONS}:
        _refuse(path, "does not list exactly the names of a state")
    return manifest, names, arrays


def _files() -> list[str]:
    return [f"{name}.npy" for name in ARRAYS]


def _manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    if sorted(archive.namelist()) != sorted([MANIFEST, NAMES, *_files()]):
        _refuse(path, "does not hold exactly the files of a state")
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        _refuse(path, "is compressed, which ours never is")
    if archive.getinfo(MANIFEST).file_size > LARGEST_MANIFEST:
        _refuse(path, "has a manifest far too large to be ours")
    manifest = json.loads(archive.read(MANIFEST), parse_constant=_no_constant)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        _refuse(path, "is not the state of a recommender")
    written = manifest.get("format_version")
    if type(written) is not int:
        _refuse(path, "does not say its format version")
    if written > FORMAT_VERSION:
        raise ModelRefused(
            f"{path.name} has format {written} and this release reads up to {FORMAT_VERSION}: "
            "upgrade encore_recommender, or train again with this release"
        )
    if not isinstance(manifest.get("sha256"), dict):
        _refuse(path, "does not give the checksums of its files")
    return manifest


def _member(archive: zipfile.ZipFile, name: str, checksums: Mapping[str, Any]) -> bytes:
    data = archive.read(name)
    if hashlib.sha256(data).hexdigest() != checksums.get(name):
        raise ValueError(f"{name} has changed since it was written")
    return data


def _array(data: bytes, dtype: str) -> NDArray[Any]:
    """A one-dimensional array over bytes that are already in memory; makes no room for what a header claims."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version")
    shape, _, found = np.lib.format.read_array_header_1_0(file)
    if found.str != dtype or len(shape) != 1 or shape[0] * found.itemsize != len(data) - file.tell():
        raise ValueError(f"an array of {dtype} is not one")
    return np.frombuffer(data, dtype=dtype, offset=file.tell())


def _orders(path: Path, names: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Baskets:
    skus = _skus(path, names["skus"])
    start, items, times, digests = (arrays[name] for name in ("start", "items", "times", "order_digests"))
    _check_lists(path, start, items, rows=len(start) - 1, columns=len(skus))
    if len(times) not in (0, len(start) - 1) or not np.isfinite(times).all() or bool((np.diff(times) < 0).any()):
        _refuse(path, "has times that do not fit its orders")
    if len(digests) not in (0, len(start) - 1):
        _refuse(path, "has references that do not fit its orders")
    for name in DESCRIPTIONS:
        said = names[name]
        if not isinstance(said, dict) or not all(isinstance(text, str) for text in said.values()):
            _refuse(path, f"has {name} that are not texts")
    return Baskets(
        skus=skus,
        start=start,
        items=items,
        quantities=np.broadcast_to(np.int64(1), len(items)),
        upsell=np.broadcast_to(np.False_, len(items)),
        times=times if len(times) else None,
        order_digests=digests if len(digests) else None,
        categories=names["categories"],
        titles=names["titles"],
        parents=names["parents"],
    )


def _dense(path: Path, names: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> DenseScores:
    skus = _skus(path, names["dense_skus"])
    start, columns, values = arrays["dense_start"], arrays["dense_columns"], arrays["dense_values"]
    _check_lists(path, start, columns, rows=len(skus), columns=len(skus))
    scores = len(DenseScores.none().values)
    if len(values) != scores * len(columns) or not np.isfinite(values).all():
        _refuse(path, "has scores that are not numbers")
    return DenseScores(skus=skus, start=start, columns=columns, values=values.reshape(scores, len(columns)))


def _check_lists(path: Path, start: NDArray[Any], entries: NDArray[Any], *, rows: int, columns: int) -> None:
    """Refuse lists end to end that leave their bounds, or whose entries do not ascend."""
    if len(start) != rows + 1 or rows < 0 or start[0] != 0 or start[-1] != len(entries) or (np.diff(start) < 0).any():
        _refuse(path, "has lists that do not fit together")
    if len(entries) and not (int(entries.min()) >= 0 and int(entries.max()) < columns):
        _refuse(path, "names a product that it does not have")
    descends = np.diff(entries) <= 0
    between = start[1:-1][(start[1:-1] > 0) & (start[1:-1] < len(entries))] - 1
    descends[between] = False
    if descends.any():
        _refuse(path, "repeats a product in an order or a list")


def _skus(path: Path, found: object) -> tuple[str, ...]:
    if not isinstance(found, list) or not all(isinstance(sku, str) and sku for sku in found):
        _refuse(path, "has a product without a name")
    if len(set(found)) != len(found):
        _refuse(path, "repeats a product")
    return tuple(found)


def _choice(path: Path, found: object) -> Choice:
    blends, memories, calibrations = {}, {}, {}
    try:
        for size in SIZES:
            said = dict(found[size])  # type: ignore[index]
            memories[size] = Memory(*map(_number, said.pop("memory")))
            calibrations[size] = Calibration(*map(_number, said.pop("calibration")))
            blends[size] = Blend(**{name: _number(value) for name, value in said.items()})
    except (KeyError, TypeError, ValueError) as error:
        _refuse(path, f"has a choice of blends that is not ours ({error})")
    return Choice(blends=blends, memories=memories, calibrations=calibrations)


def _number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"{value!r} is not a number")
    return float(value)  # type: ignore[arg-type]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(path: Path, why: str) -> NoReturn:
    raise ModelRefused(f"{path.name} {why}: train again") from None

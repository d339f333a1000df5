"""Names outside, integers inside: strings are mapped once, at the edge, and mapped back once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def encode(column: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Number the distinct names of a column in sorted order.

    Returns:
        The names, sorted, and one index into them per entry of the column. Both are empty for an
        empty column.
    """
    names = sorted(set(column))
    index = dict(zip(names, range(len(names)), strict=True))
    codes = np.fromiter(map(index.__getitem__, column), dtype=np.int32, count=len(column))
    return tuple(names), codes


def encode_in_order_seen(column: Sequence[str]) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Number the distinct names of a column by first appearance; the shapes are those of `encode`."""
    names = dict.fromkeys(column)
    index = dict(zip(names, range(len(names)), strict=True))
    codes = np.fromiter(map(index.__getitem__, column), dtype=np.int32, count=len(column))
    return tuple(names), codes


def pack(names: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Lay names end to end as UTF-8, so that a model file needs no object array.

    Returns:
        The bytes, and n + 1 offsets into them: name i is `blob[offsets[i]:offsets[i + 1]]`.
    """
    encoded = [name.encode("utf-8") for name in names]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(name) for name in encoded], out=offsets[1:])
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets


def unpack(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> tuple[str, ...]:
    """Read back what `pack` wrote.

    Raises:
        ValueError: The offsets leave the bytes or run backwards, or a name is not UTF-8.
    """
    ends = offsets.tolist()
    if not ends or ends[0] != 0 or ends[-1] != len(blob) or bool(np.any(np.diff(offsets) < 0)):
        raise ValueError("name offsets do not match the name bytes")
    data = blob.tobytes()
    return tuple(data[start:end].decode("utf-8") for start, end in pairwise(ends))


def digests(names: Iterable[str], *, seed: int) -> NDArray[np.uint64]:
    """A stable 64-bit digest per name: the same in every process, on every machine, for one seed."""
    key = seed.to_bytes(8, "little", signed=True)
    joined = b"".join(hashlib.blake2b(name.encode("utf-8"), digest_size=8, key=key).digest() for name in names)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)

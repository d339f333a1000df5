"""One array in one `.npy` file: written whole and synced, verified and mapped, never executed."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Words of 8 bytes that are multiplied and added up before anything is hashed: one page.
WORDS_PER_BLOCK = 512

#: Looked at twice, so few enough to stay in the processor's cache: 256 kB.
PAGES_AT_ONCE = 64

#: Odd, so that no one changed word can leave its block's sum as it was; otherwise as good as random, never to change.
_FACTORS = np.frombuffer(hashlib.shake_256(b"encore-recommender").digest(8 * WORDS_PER_BLOCK), dtype="<u8") | 1


def write(path: Path, array: NDArray[Any]) -> dict[str, Any]:
    """Write an array to a new file and sync it.

    Returns:
        What `mapped` and `unchanged` need to know it again: bytes, fingerprint and SHA-256.
    """
    with path.open("xb") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    data = np.fromfile(path, dtype=np.uint8)
    return {"bytes": len(data), "fingerprint": fingerprint(data), "sha256": hashlib.sha256(data.data).hexdigest()}


def mapped(path: Path, entry: Mapping[str, Any], dtypes: tuple[str, ...]) -> NDArray[Any]:
    """Map an array, read-only, after looking at every byte.

    Args:
        path: The file.
        entry: What `write` returned.
        dtypes: The types it may have, all with one dimension.

    Raises:
        ValueError: It is no plain file, of another size or content than written, or no such array.
        OSError: It cannot be read.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError(f"{path.name} is not a plain file")
    if found.st_size != entry["bytes"]:
        raise ValueError(f"{path.name} has {found.st_size} bytes where {entry['bytes']} were written")
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = np.frombuffer(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ), dtype=np.uint8)
    finally:
        os.close(descriptor)
    if fingerprint(data) != entry["fingerprint"]:
        raise ValueError(f"{path.name} has changed since it was written")
    for dtype in dtypes:
        header = _header(np.dtype(dtype), len(data))
        if data[: len(header)].tobytes() == header:
            return data[len(header) :].view(dtype)
    raise ValueError(f"{path.name} is not an array of {' or '.join(dtypes)}")


def unchanged(path: Path, entry: Mapping[str, Any]) -> bool:
    """Whether the SHA-256 is still that of `write`: slower than the fingerprint, and nobody can forge it."""
    with path.open("rb") as file:
        return bool(hashlib.file_digest(file, "sha256").hexdigest() == entry["sha256"])


def fingerprint(data: NDArray[np.uint8]) -> str:
    """A checksum against accidents, some ten times as fast as SHA-256: sums by page and by column, then SHA-256.

    Up to three changed words of 8 bytes change it for certain: within one page they stand in different columns,
    otherwise one stands alone in its page. Any other accident gets by once in 2**64. It is no defence against
    someone who means harm: `mapped` checks what could break a reader, and `unchanged` tells what was written.
    """
    words = data[: len(data) // 8 * 8].view("<u8")
    whole = len(words) // WORDS_PER_BLOCK * WORDS_PER_BLOCK
    pages = words[:whole].reshape(-1, WORDS_PER_BLOCK)
    digest, columns = hashlib.sha256(data[whole * 8 :].data), np.zeros(WORDS_PER_BLOCK, dtype="<u8")
    for first in range(0, len(pages), PAGES_AT_ONCE):
        some = pages[first : first + PAGES_AT_ONCE]
        digest.update((some @ _FACTORS).astype("<u8", copy=False).data)
        # The highest bits of a product know little of its factor; which column they stand in tells them apart.
        columns ^= np.bitwise_xor.reduce(some, axis=0)
    digest.update(columns.data)
    return digest.hexdigest()


def _header(dtype: np.dtype[Any], size: int) -> bytes:
    """The only header `write` puts before a one-dimensional array in a file of so many bytes."""
    shape = (max(size - _HEADER_BYTES, 0) // dtype.itemsize,)
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype.str, "fortran_order": False, "shape": shape})
    return header.getvalue()


#: A header is padded to whole 64 bytes, and one dimension needs two of them.
_HEADER_BYTES = 128

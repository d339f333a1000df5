"""Names outside, integers inside: strings are mapped once, at the edge, and mapped back once."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, overload

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


class Names(Sequence[str]):
    """Numbered names that live in arrays: found by number and by name without a Python object for each.

    A hundred thousand of them cost a process nothing until they are asked for, and then only those asked for
    lately. Equal names are equal, whatever their digests: a digest finds, the name itself decides.

    Args:
        blob: The names end to end, in UTF-8.
        offsets: n + 1 offsets into it: name i is `blob[offsets[i]:offsets[i + 1]]`.
        sorted_digests: A 64-bit digest per name, ascending.
        by_digest: The number of the name each of those belongs to.
    """

    def __init__(
        self,
        blob: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        sorted_digests: NDArray[np.uint64],
        by_digest: NDArray[np.int32],
    ) -> None:
        self.blob, self.offsets = blob, offsets
        self.sorted_digests, self.by_digest = sorted_digests, by_digest
        # Views give plain integers and bytes fast and copy nothing.
        self._bytes, self._ends, self._digests = blob.data, offsets.data, sorted_digests.data
        self.at: Mapping[int, str] = _Cache(self._read)
        """The name of a number in range."""
        self.number: Mapping[str, int] = _Cache(self._find, never=-1)
        """The number of a name, -1 for any other object."""

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """Lay distinct names end to end."""
        encoded = [_bytes(name) for name in names]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(name) for name in encoded], out=offsets[1:])
        digests = _digests(encoded, key=b"")
        by_digest = np.argsort(digests, kind="stable").astype(np.int32)
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets, digests[by_digest], by_digest)

    def check(self) -> None:
        """Make sure that no name or number asked for later can fail.

        Raises:
            ValueError: An array has another length than the names, leaves the bytes, or runs backwards, or a
                name is empty or not UTF-8.
        """
        n, offsets, blob = len(self), self.offsets, self.blob
        if n < 0 or offsets[0] != 0 or offsets[-1] != len(blob) or bool((offsets[1:] <= offsets[:-1]).any()):
            raise ValueError("name offsets do not match the name bytes, or a name is empty")
        if not len(self.sorted_digests) == len(self.by_digest) == n:
            raise ValueError("the names have another number of digests")
        if n and not (int(self.by_digest.min()) >= 0 and int(self.by_digest.max()) < n):
            raise ValueError("a digest belongs to no name")
        if len(blob) and int(blob.max()) >= 0x80:
            str(blob.data, "utf-8", "surrogatepass")
            if bool(((blob[offsets[:-1]] & 0xC0) == 0x80).any()):
                raise ValueError("a name begins within a letter")

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @overload
    def __getitem__(self, number: int) -> str: ...
    @overload
    def __getitem__(self, number: slice) -> tuple[str, ...]: ...
    def __getitem__(self, number: int | slice) -> str | tuple[str, ...]:
        chosen = range(len(self))[number]
        return self._read(chosen) if isinstance(chosen, int) else tuple(map(self._read, chosen))

    def __contains__(self, name: object) -> bool:
        return self._find(name) >= 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Names):
            return NotImplemented
        return np.array_equal(self.blob, other.blob) and np.array_equal(self.offsets, other.offsets)

    __hash__ = None  # type: ignore[assignment]

    def _read(self, number: int) -> str:
        return str(self._bytes[self._ends[number] : self._ends[number + 1]], "utf-8", "surrogatepass")

    def _find(self, name: object) -> int:
        if not isinstance(name, str):
            return -1
        digest = int(_digests([_bytes(name)], key=b"")[0])
        place = bisect_left(self._digests, digest)
        while place < len(self) and self._digests[place] == digest:
            number = self.by_digest.item(place)
            if self._read(number) == name:
                return number
            place += 1
        return -1


_Asked = TypeVar("_Asked")
_Known = TypeVar("_Known")

#: Names remembered per direction and model: some 4 MB.
REMEMBERED = 32_768


class _Cache(dict[_Asked, _Known]):
    """Answers of a function, a dictionary's speed away once given; forgets everything when it is full.

    Threads may share it: the worst they do to each other is ask the function again.
    """

    def __init__(self, ask: Callable[[_Asked], _Known], *, never: _Known | None = None) -> None:
        super().__init__()
        self._ask, self._never = ask, never

    def __missing__(self, asked: _Asked) -> _Known:
        found = self._ask(asked)
        if found != self._never:
            if len(self) >= REMEMBERED:
                self.clear()
            self[asked] = found
        return found


def digests(names: Iterable[str], *, seed: int) -> NDArray[np.uint64]:
    """A stable 64-bit digest per name: the same in every process, on every machine, for one seed."""
    return _digests(map(_bytes, names), key=int(seed).to_bytes(8, "little", signed=True))


def _digests(names: Iterable[bytes], *, key: bytes) -> NDArray[np.uint64]:
    joined = b"".join(hashlib.blake2b(name, digest_size=8, key=key).digest() for name in names)
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)


def _bytes(name: str) -> bytes:
    # Half a surrogate pair is no letter, but a shop's broken export may hold one.
    return name.encode("utf-8", "surrogatepass")

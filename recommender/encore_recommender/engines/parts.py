"""Work in parts, each a file with a checksum: what was finished before a stop is not done again."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

PLAN = "plan.json"


class OtherPlan(Exception):
    """The folder holds parts of another count; the message names the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a count is."""

    done: int
    """Units of work finished, those of an earlier run too."""
    total: int
    seconds: float
    """Since this run began."""
    seconds_left: float | None
    """As fast as this run so far; None until it has finished a part."""
    step: str

    @property
    def share(self) -> float:
        """Finished, from 0 to 1."""
        return self.done / self.total if self.total else 1.0

    def sentence(self) -> str:
        """For a terminal: `counting pairs: 42 %, 3,100,000 pairs a second, 65 s left`."""
        told = f"{self.step}: {self.share:.0%}"
        if self.seconds_left is None or self.seconds_left <= 0 or not self.seconds:
            return told
        rate = (self.total - self.done) / self.seconds_left
        return f"{told}, {rate:,.0f} pairs a second, {self.seconds_left:,.0f} s left"


def agree(folder: Path, plan: Mapping[str, Any]) -> None:
    """Keep the plan in the folder, or check that it is the one kept there.

    Raises:
        OtherPlan: It is not.
    """
    wanted = json.dumps(plan, indent=2, sort_keys=True)
    file = folder / PLAN
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _write_whole(file, lambda target: target.write_text(wanted))
    elif file.read_text() != wanted:
        raise OtherPlan(f"{folder} holds parts of another count: choose an empty folder, or delete it and start anew")


def run(
    folder: Path,
    *,
    costs: Sequence[int],
    work: Callable[[int], NDArray[Any]],
    step: str,
    progress: Callable[[Progress], None],
) -> list[Path]:
    """Do every part that is not there yet.

    Args:
        folder: Holds the parts; see `agree`.
        costs: Per part, its units of work; they only tell how far we are.
        work: From the part's number to the array to be kept.
        step: What is being done, for people.
        progress: Told after every part.

    Returns:
        The files, one per part.
    """
    began = time.monotonic()
    files = [folder / f"part-{number:05}.npy" for number in range(len(costs))]
    finished = [_is_whole(file) for file in files]
    done = sum(cost for cost, there in zip(costs, finished, strict=True) if there)
    before, total = done, sum(costs)

    def tell() -> None:
        seconds = time.monotonic() - began
        left = seconds * (total - done) / (done - before) if done > before else None
        progress(Progress(done=done, total=total, seconds=seconds, seconds_left=left, step=step))

    tell()
    for number, (file, cost) in enumerate(zip(files, costs, strict=True)):
        if finished[number]:
            continue
        _save(file, work(number))
        done += cost
        tell()
    return files


def rows(files: Sequence[Path]) -> Iterator[NDArray[Any]]:
    """The arrays, part by part, mapped and not read."""
    for file in files:
        yield np.load(file, mmap_mode="r", allow_pickle=False)


def _save(file: Path, values: NDArray[Any]) -> None:
    def write(target: Path) -> None:
        with target.open("wb") as handle:
            np.save(handle, values, allow_pickle=False)
            handle.flush()
            os.fsync(handle.fileno())

    _write_whole(file, write)
    _write_whole(_checksum(file), lambda target: target.write_text(_digest(file)))


def _is_whole(file: Path) -> bool:
    """There, and byte for byte what was written; the checksum is written last."""
    check = _checksum(file)
    return file.exists() and check.exists() and check.read_text() == _digest(file)


def _checksum(file: Path) -> Path:
    return file.with_suffix(".sha256")


def _digest(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write_whole(file: Path, write: Callable[[Path], object]) -> None:
    """Under another name first: a file that has its name is finished."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    write(unfinished)
    unfinished.replace(file)

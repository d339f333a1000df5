"""How far a training is, told to every process that can see the folder of the models, whoever trains.

A file says it, and a lock on the file says that it is still true: the kernel lets go of it for the dead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from flask_encore.domain.training import Running

FILE = "TRAINING"

#: Bytes of the file: always as many, so that it is written in one piece and no end of an older text is left.
_SIZE = 128


@contextmanager
def under_way(folder: Path, *, now: datetime) -> Iterator[Callable[[float], None]]:
    """Tell how far the training is, 0 to 1, until the end of the block; then the file goes. Call it within `alone`."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock; nobody sees a training there
        yield _tell_nobody
        return
    path = folder / FILE
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    told = -1

    def tell(share: float) -> None:
        nonlocal told
        percent = int(100 * share)
        if percent <= told:
            return
        told = percent
        words = json.dumps({"began_at": now.isoformat(), "percent": percent})
        with suppress(OSError):  # a full disk is told by what has to be written, not by this
            os.lseek(handle, 0, os.SEEK_SET)
            os.write(handle, words.encode().ljust(_SIZE))

    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # waits for who only looks
        tell(0.0)
        yield tell
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def running(folder: Path) -> Running | None:
    """The training under way, or the one that came to no end; ``None`` when the last one ended."""
    try:
        import fcntl

        handle = os.open(folder / FILE, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            broke_off = True
        except BlockingIOError:
            broke_off = False
        if broke_off and os.fstat(handle).st_nlink == 0:
            return None  # it ended between two lines of this function
        told = json.loads(os.read(handle, _SIZE))
        return Running(
            began_at=datetime.fromisoformat(told["began_at"]), share=told["percent"] / 100, broke_off=broke_off
        )
    except (KeyError, TypeError, ValueError):
        return None  # it begins just now
    finally:
        os.close(handle)


def _tell_nobody(share: float) -> None:
    """Where nobody looks."""

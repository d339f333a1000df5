"""One training at a time: whoever trains holds the folder of the models, and the kernel lets go of it for the dead."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flask_encore.domain.errors import TrainingBusy


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold *folder*, made if absent, until the end of the block or of the process, however it ends. Nothing is written.

    Raises:
        TrainingBusy: Somebody else holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows has no such lock; two trainings there are the owner's own risk
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingBusy from None
        yield
    finally:
        os.close(handle)

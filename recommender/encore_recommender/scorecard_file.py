"""A scorecard on disk: one JSON file with a checksum, verified before use, swapped in one step. Executes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from encore_recommender.persistence import ModelRefused
from encore_recommender.scorecard import CURVES, LABELS, WEIGHTS, Curve, Scorecard

FORMAT = "encore-recommender acceptance scorecard"

#: Raise it with every change that an older reader would misread.
FORMAT_VERSION = 1

#: Four features of 200 labels, each of 400 characters in the longest spelling of JSON, are 2 MB.
LARGEST = 1 << 22

#: No trained number comes near: a million in log-odds is beyond any certainty.
LARGEST_NUMBER = 1e6


def save(card: Scorecard, path: Path, *, created_at: datetime, metrics: Mapping[str, Any] | None = None) -> str:
    """Put a scorecard live under *path*: written and synced beside it, then renamed over it.

    Args:
        card: What to save.
        path: The file; its directory is made if absent.
        created_at: Timezone-aware.
        metrics: How it was judged; plain JSON values, for people.

    Returns:
        The version, unique to this content and second.

    Raises:
        ValueError: `created_at` has no timezone, or a metric is not plain JSON.
        OSError: The disk said no; what was live still is.
    """
    if created_at.tzinfo is None:
        raise ValueError("created_at needs a timezone")
    content = {
        "impressions": card.impressions,
        "intercept": card.intercept,
        "curves": {name: curve._asdict() for name, curve in card.curves.items()},
        "calibration": card.calibration and card.calibration._asdict(),
        "weights": dict(card.weights),
        "labels": {name: dict(points) for name, points in card.labels.items()},
        "others": dict(card.others),
        "seen": {name: list(counts) for name, counts in card.seen.items()},
        "created_at": created_at.astimezone(UTC).isoformat(),
        "metrics": dict(metrics or {}),
    }
    checksum = _checksum(content)
    version = f"{created_at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{checksum[:12]}"
    document = {"format": FORMAT, "format_version": FORMAT_VERSION, "version": version, "sha256": checksum}
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}")
    try:
        with writing.open("x", encoding="utf-8") as file:
            json.dump(document | {"scorecard": content}, file, indent=1, allow_nan=False, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)
    return version


def load(path: Path) -> Scorecard:
    """Open the live scorecard, every number checked.

    Raises:
        ModelRefused: There is none, or it is torn, altered, of another format or version, or inconsistent. Whoever
            holds an older one keeps it.
    """
    document = _read(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        _refuse(path, "is not an acceptance scorecard")
    written = document.get("format_version")
    if type(written) is not int:
        _refuse(path, "does not say its format version")
    if written > FORMAT_VERSION:
        raise ModelRefused(
            f"{path.name} has format {written} and this release reads up to {FORMAT_VERSION}: "
            "upgrade encore_recommender, or train again with this release"
        )
    content, version = document.get("scorecard"), document.get("version")
    if not isinstance(content, dict) or not isinstance(version, str):
        _refuse(path, "is not complete")
    if document.get("sha256") != _checksum(content):
        _refuse(path, "has changed since it was written")
    impressions = content.get("impressions")
    if type(impressions) is not int or impressions < 0:
        _refuse(path, "does not say what it was learned from")
    curves = _table(path, content, "curves", CURVES)
    labels = _table(path, content, "labels", LABELS)
    return Scorecard(
        intercept=_number(path, content.get("intercept")),
        curves={name: _curve(path, curve) for name, curve in curves.items()},
        weights=_numbers(path, _table(path, content, "weights", WEIGHTS)),
        labels={name: _numbers(path, points) for name, points in labels.items()},
        others=_numbers(path, _table(path, content, "others", LABELS)),
        calibration=_curve(path, content["calibration"]) if content.get("calibration") is not None else None,
        impressions=impressions,
        seen=_seen(path, content.get("seen")),
        version=version,
    )


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError:
        raise ModelRefused(f"no acceptance was learned here yet ({path.name}): train") from None
    if len(data) > LARGEST:
        raise ModelRefused(f"{path.name} is far too large to be ours: train again")
    try:
        return json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse(path, "is not JSON")


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _table(path: Path, content: Mapping[str, Any], key: str, names: tuple[str, ...]) -> dict[str, Any]:
    table = content.get(key)
    if not isinstance(table, dict) or not set(table) <= set(names):
        _refuse(path, f"has {key} that are not ours")
    return table


def _curve(path: Path, curve: object) -> Curve:
    if not isinstance(curve, dict) or set(curve) != {"at", "points"}:
        _refuse(path, "has a curve without points")
    at, points = curve["at"], curve["points"]
    if not isinstance(at, list) or not isinstance(points, list) or len(at) != len(points) or len(at) < 2:
        _refuse(path, "has a curve of fewer than two points")
    found = Curve(tuple(_number(path, x) for x in at), tuple(_number(path, y) for y in points))
    if any(left >= right for left, right in zip(found.at, found.at[1:], strict=False)):
        _refuse(path, "has a curve whose points do not follow each other")
    return found


def _numbers(path: Path, table: object) -> dict[str, float]:
    if not isinstance(table, dict):
        _refuse(path, "has labels without points")
    return {name: _number(path, value) for name, value in table.items()}


def _seen(path: Path, table: object) -> dict[str, tuple[int, int]]:
    if not isinstance(table, dict):
        _refuse(path, "does not say what was seen")
    for counts in table.values():
        whole = isinstance(counts, list) and len(counts) == 2 and all(type(count) is int for count in counts)
        if not whole or not 0 <= counts[1] <= counts[0]:
            _refuse(path, "has seen what cannot be")
    return {name: (counts[0], counts[1]) for name, counts in table.items()}


def _number(path: Path, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST_NUMBER:
        _refuse(path, "has a number that is none")
    return float(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refuse(path: Path, why: str) -> NoReturn:
    raise ModelRefused(f"{path.name} {why}: train again") from None

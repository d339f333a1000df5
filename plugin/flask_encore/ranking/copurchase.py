"""Serves the live co-purchase model through the Ranker port, and follows it when a new one is put live."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from encore_recommender.model import CoPurchaseModel
from encore_recommender.pairs import pairs
from encore_recommender.persistence import CURRENT, ModelRefused, load, open_model, read_manifest
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.offers import Candidate
from flask_encore.domain.training import KeptRates, Pair
from flask_encore.ranking.learner import trained_at

_log = logging.getLogger(__name__)

#: A new model is served at most this many seconds after it was put live.
CHECK_SECONDS = 1.0

#: A refused model is looked at again this often, in case the refusal was the disk's mood and not the file's.
RETRY_SECONDS = 60.0

#: Saved models held open beside the live one: as many as an experiment has variants. They are mapped, not read.
MAX_NAMED = 8

#: What a version looks like; it names a folder.
_VERSION = re.compile(r"[0-9A-Za-z]{1,40}(?:-[0-9A-Za-z]{1,40}){0,3}", re.ASCII)

_Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """What readers see, replaced as a whole."""

    model: CoPurchaseModel
    kept: KeptRates
    trained_at: datetime


class CoPurchaseRanker:
    """Ranks with the model under a directory. Safe to share between threads; a reader never waits.

    At most once a second one of the readers looks whether the live model was replaced, and if so opens it.
    A model that is refused changes nothing: the last good one stays, `problem` says why, and the log too.
    Without any model it ranks nothing.

    Args:
        model_dir: Where `CoPurchaseTrainer` puts its models; need not exist yet.
        clock: Seconds that never go back.
    """

    def __init__(self, model_dir: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._model_dir = model_dir
        self._clock = clock
        self._served: _Served | None = None
        self._problem = ""
        self._named_models: dict[str, _Served] = {}
        self._refused: dict[str, float] = {}
        self._opening = threading.Lock()
        self._looking = threading.Lock()
        self._look_at = clock() + CHECK_SECONDS
        self._retry_at = clock() + RETRY_SECONDS
        # Always taken before reading: a swap while reading is then seen as a change at the next look.
        self._stamp = self._live_stamp()
        self._open()

    @property
    def version(self) -> str:
        """Name of the model in use; empty when nothing was trained."""
        self._follow()
        return self._served.model.version if self._served is not None else ""

    @property
    def trained_at(self) -> datetime | None:
        """When everything was last learned anew; orders may have been added since. ``None`` without a model."""
        self._follow()
        return self._served.trained_at if self._served is not None else None

    @property
    def problem(self) -> str:
        """Why the newest model is not in use, as a sentence with the fix; empty when all is well."""
        self._follow()
        return self._problem

    def rank(
        self, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """At most *k* candidates, best first, none from *basket* or *exclude*; empty when there is nothing to say.

        Best is what is most likely bought and kept: probability times kept rate. Unknown products in the basket carry
        no score. An answer always comes from one model.
        """
        self._follow()
        served = self._served
        return () if served is None else _ranked(served, basket, k=k, exclude=exclude, history=history)

    def ranked_by(
        self, version: str, basket: Sequence[str], *, k: int, exclude: Collection[str] = (), history: Sequence[str] = ()
    ) -> Sequence[Candidate]:
        """As `rank`, by the saved model *version*. The first call opens it, which takes as long as its file is large.

        Raises:
            InvalidInput: There is no such model, or it cannot be read.
        """
        return _ranked(self._named(version), basket, k=k, exclude=exclude, history=history)

    def pairs(
        self, *, most: int, fewest_orders: int, by_lift: bool = False, of: Collection[str] | None = None
    ) -> Sequence[Pair]:
        """Pairs of the model in use; see `Pairing`. Goes through all it keeps, so it is no call for a checkout."""
        self._follow()
        served = self._served
        if served is None:
            return ()
        found = pairs(served.model, most=most, fewest_orders=fewest_orders, by_lift=by_lift, of=of)
        return [
            Pair(
                sku=pair.sku,
                other=pair.other,
                together=pair.together,
                orders_with=pair.orders_with,
                lift=pair.lift,
                substitutes=pair.substitutes,
            )
            for pair in found
        ]

    def _named(self, version: str) -> _Served:
        """The model *version*, opened once; whoever asks meanwhile waits for it."""
        live = self._served
        if live is not None and live.model.version == version:
            return live
        if (known := self._named_models.get(version)) is not None:
            return known
        with self._opening:
            if (known := self._named_models.get(version)) is not None:
                return known
            if _VERSION.fullmatch(version) is None:
                raise InvalidInput(f"There is no model {version!r}.")
            if self._clock() < self._refused.get(version, 0.0):
                raise InvalidInput(f"The model {version!r} could not be read a moment ago.")
            try:
                opened = _opened(self._model_dir / f"model-{version}")
            except ModelRefused as refusal:
                self._refused[version] = self._clock() + RETRY_SECONDS
                raise InvalidInput(f"The model {version!r} cannot be used: {refusal}.") from refusal
            while len(self._named_models) >= MAX_NAMED:
                self._named_models.pop(next(iter(self._named_models)))
            self._named_models[version] = opened
            return opened

    def _follow(self) -> None:
        """Open the live model if it was replaced; whoever finds another thread at it goes on with the old one."""
        now = self._clock()
        if now < self._look_at or not self._looking.acquire(blocking=False):
            return
        try:
            self._look_at = now + CHECK_SECONDS
            stamp = self._live_stamp()
            if stamp == self._stamp and (not self._problem or now < self._retry_at):
                return
            self._stamp = stamp
            self._retry_at = now + RETRY_SECONDS
            self._open()
        finally:
            self._looking.release()

    def _open(self) -> None:
        try:
            model = load(self._model_dir)
            self._served = _of(model, read_manifest(self._model_dir / f"model-{model.version}"))
        except ModelRefused as refusal:
            if str(refusal) != self._problem:
                kept = f"keeping {self._served.model.version}" if self._served is not None else "ranking nothing"
                # A shop that never trained is new, not broken; the decision log and doctor tell it what to do.
                _log.log(logging.INFO if self._stamp is None else logging.WARNING, "%s (%s)", refusal, kept)
            self._problem = str(refusal)
        else:
            self._problem = ""
            _log.info("serving co-purchase model %s", model.version)

    def _live_stamp(self) -> _Stamp | None:
        """Changes whenever CURRENT is replaced; None while there is none."""
        try:
            found = (self._model_dir / CURRENT).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def _opened(folder: Path) -> _Served:
    return _of(open_model(folder), read_manifest(folder))


def _of(model: CoPurchaseModel, manifest: Mapping[str, Any]) -> _Served:
    return _Served(model=model, kept=_kept(manifest), trained_at=trained_at(manifest))


def _ranked(
    served: _Served, basket: Sequence[str], *, k: int, exclude: Collection[str], history: Sequence[str]
) -> Sequence[Candidate]:
    kept = served.kept
    # As many again where something came back, so that what has to step back makes room for somebody.
    asked = 2 * k if kept.of else k
    found = served.model.recommend(basket, k=asked, exclude=exclude, history=history or None)
    candidates = [
        Candidate(
            sku=sku,
            score=score,
            kind=why.kind,
            because_of=why.because_of,
            support=why.support,
            of_orders=why.of_orders,
            lift=why.lift,
            probability=probability,
            kept_rate=kept.of.get(sku, kept.shop),
        )
        for sku, score, probability, why in zip(
            found.ids, found.scores, found.probabilities, found.explanations, strict=True
        )
    ]
    # Stable: where nothing is known of returns, the model's own order stands.
    return sorted(candidates, key=_bought_and_kept, reverse=True)[:k]


def _bought_and_kept(candidate: Candidate) -> float:
    assert candidate.probability is not None
    assert candidate.kept_rate is not None
    return candidate.probability * candidate.kept_rate


def _kept(manifest: Mapping[str, Any]) -> KeptRates:
    """The rates a manifest of ours keeps; a model somebody trained elsewhere has none."""
    told = manifest["parameters"].get("kept", {"shop": 1.0, "of": {}})
    try:
        kept = KeptRates(shop=told["shop"], of=told["of"])
        if all(0.0 <= rate <= 1.0 for rate in (kept.shop, *kept.of.values())):
            return kept
    except (AttributeError, KeyError, TypeError):
        pass
    raise ModelRefused(f"model-{manifest['version']} keeps rates that are none: train again")

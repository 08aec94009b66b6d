"""CurveStore: the learning curves of the best and the newest trials of a job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from threading import Lock
from typing import TypeAlias

from searchsvc.domain import Trial
from searchsvc.service.service import Service

Curve: TypeAlias = tuple[tuple[int, float], ...]
"""Pairs of (step, first objective), by step."""
_Progress: TypeAlias = tuple[int, int, str]


@dataclass(slots=True)
class CurveStore:
    """Learning curves of a job, shared by its pages. A curve is read again only if its trial has progressed."""

    service: Service
    most: int
    """Maximal number of stored curves."""
    _stored: dict[int, tuple[_Progress, Curve]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, trials: Mapping[int, Trial], best: Collection[int], metric: str) -> dict[int, Curve]:
        """Return curves by trial number: those of the `best` first, then of the newest. At most a single statement."""
        with self._lock:
            chosen = list(self._chosen(trials, best))
            moved = [one for one in chosen if self._stored.get(one.number, _NOTHING)[0] != _progress(one)]
            measured = self.service.trials.measurements_of([one.id for one in moved]) if moved else {}
            for trial in moved:
                measurements = measured.get(trial.id, ())
                curve = tuple((one.step, one.metrics[metric]) for one in measurements if metric in one.metrics)
                self._stored[trial.number] = (_progress(trial), curve)
            self._stored = {one.number: self._stored[one.number] for one in chosen}
            return {number: curve for number, (_, curve) in self._stored.items() if curve}

    def _chosen(self, trials: Mapping[int, Trial], best: Collection[int]) -> Iterable[Trial]:
        """Return the candidates to store, among those with measurements."""
        trained = {number: one for number, one in trials.items() if one.is_candidate and one.step}
        first = [number for number in best if number in trained][: self.most]
        newest = nlargest(self.most - len(first), trained.keys() - set(first))
        return (trained[number] for number in (*first, *newest))


_NOTHING: tuple[None, Curve] = (None, ())


def _progress(trial: Trial) -> _Progress:
    """Return a key that changes whenever the trial has new measurements."""
    return trial.step, trial.attempts, trial.state.value

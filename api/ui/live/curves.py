"""CurveStore: the learning curves of the best and the newest trials of a job, read again only where one has gone on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from threading import Lock
from typing import TypeAlias

from searchsvc.domain import Trial
from searchsvc.service.service import Service

Curve: TypeAlias = tuple[tuple[int, float], ...]
"""(step, first objective) by step."""
_Stand: TypeAlias = tuple[int, int, str]


@dataclass(slots=True)
class CurveStore:
    """Of one job, for all pages that show it."""

    service: Service
    most: int
    """Curves that are kept."""
    _known: dict[int, tuple[_Stand, Curve]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, trials: Mapping[int, Trial], best: Collection[int], metric: str) -> dict[int, Curve]:
        """By number of the trial: those of the `best`, then of the newest. At most one statement."""
        with self._lock:
            chosen = list(self._chosen(trials, best))
            moved = [one for one in chosen if self._known.get(one.number, _NOTHING)[0] != _stand(one)]
            measured = self.service.trials.measurements_of([one.id for one in moved]) if moved else {}
            for trial in moved:
                found = measured.get(trial.id, ())
                curve = tuple((one.step, one.metrics[metric]) for one in found if metric in one.metrics)
                self._known[trial.number] = (_stand(trial), curve)
            self._known = {one.number: self._known[one.number] for one in chosen}
            return {number: curve for number, (_, curve) in self._known.items() if curve}

    def _chosen(self, trials: Mapping[int, Trial], best: Collection[int]) -> Iterable[Trial]:
        """Candidates that have measured something."""
        trained = {number: one for number, one in trials.items() if one.is_candidate and one.step}
        first = [number for number in best if number in trained][: self.most]
        newest = nlargest(self.most - len(first), trained.keys() - set(first))
        return (trained[number] for number in (*first, *newest))


_NOTHING: tuple[None, Curve] = (None, ())


def _stand(trial: Trial) -> _Stand:
    """What is different when more was measured of it."""
    return trial.step, trial.attempts, trial.state.value

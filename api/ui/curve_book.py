"""CurveBook: the learning curves of many trials of a job, read again only where a trial has gone on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from api.ui.job_view import Curve, JobView
from searchsvc.domain import Trial
from searchsvc.service import Service

MOST_CURVES = 2000
"""Curves that are drawn when the reader asks for all: the best trials, then the newest."""
_BEST_CURVES = 500
_Stand = tuple[int, int, str]


@dataclass(slots=True)
class CurveBook:
    """Of one job, for all pages that show it."""

    service: Service
    _known: dict[int, tuple[_Stand, Curve]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def read(self, view: JobView) -> dict[int, Curve]:
        """By number of the trial. One statement, whatever the number of trials."""
        metric, chosen = view.spec.objectives[0].metric, list(_chosen(view))
        with self._lock:
            moved = [
                one for one in chosen if one.number not in self._known or self._known[one.number][0] != _stand(one)
            ]
            measured = self.service.measurements_of([one.id for one in moved]) if moved else {}
            for trial in moved:
                points = (
                    (one.step, one.metrics[metric]) for one in measured.get(trial.id, ()) if metric in one.metrics
                )
                self._known[trial.number] = (_stand(trial), tuple(points))
            self._known = {one.number: self._known[one.number] for one in chosen}
            return {number: curve for number, (_, curve) in self._known.items() if curve}


def _chosen(view: JobView) -> Iterable[Trial]:
    first = view.spec.objectives[0]
    trained = [one for one in view.trials.values() if one.is_candidate and one.step]
    if len(trained) <= MOST_CURVES:
        return trained
    reached = [one for one in trained if first.metric in (one.metrics or {})]
    best = sorted(reached, key=lambda one: -first.sign * (one.metrics or {})[first.metric])[:_BEST_CURVES]
    newest = sorted(trained, key=lambda one: -one.number)
    return list({one.number: one for one in (*best, *newest)}.values())[:MOST_CURVES]


def _stand(trial: Trial) -> _Stand:
    """What is different when more was measured of it."""
    return trial.step, trial.attempts, trial.state.value

"""Rows of large tables: made once for all pages, fetched whole once by each, then kept up to date by what changed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

import orjson

from api import text
from api.ui.parts.numbers import cost_words, known, metric_names
from searchsvc.domain import JobSpec, Trial, count_for_budget
from searchsvc.service.results.standing import JobStanding

K = TypeVar("K", str, int)
S = TypeVar("S")
Row: TypeAlias = dict[str, Any]
"""Values by column, and `id`."""
MOST_SENT = 200
"""Rows of a change."""


@dataclass(frozen=True)
class Rows:
    """The rows of a table at one moment, and what has changed since the moment before."""

    version: int
    every: Mapping[str | int, Row]
    added: tuple[Row, ...] = ()
    updated: tuple[Row, ...] = ()
    removed: tuple[str | int, ...] = ()

    @cached_property
    def packed(self) -> bytes:
        """All rows as JSON in gzip; made when the first page asks for it."""
        return gzip.compress(orjson.dumps({"version": self.version, "rows": list(self.every.values())}), 1)

    @cached_property
    def change(self) -> str:
        """What a page that has the version before needs, as JSON, written once for all pages.

        Of many rows, and of new ones that do not stand first, it is told the version alone, and fetches all again.
        """
        change: dict[str, Any] = {"version": self.version}
        first = [str(key) for key in islice(self.every, len(self.added))]
        if len(self.added) + len(self.updated) <= MOST_SENT and [row["id"] for row in self.added] == first:
            removed = [{"id": str(key)} for key in self.removed]
            change |= {"add": self.added, "update": self.updated, "remove": removed}
        return orjson.dumps(change).decode()


NO_ROWS = Rows(0, {})


@dataclass(slots=True)
class RowBook(Generic[K, S]):
    """Makes a row again only where what it shows is another."""

    _sources: dict[K, S] = field(default_factory=dict)
    _rows: Rows = NO_ROWS

    def turn(self, sources: Mapping[K, S], make: Callable[[S], Row], anew: Collection[K] = ()) -> Rows:
        """The rows of these, by key and in this order; `anew`: keys whose rows depend on more, and that has changed."""
        before, every = self._rows.every, dict[str | int, Row]()
        added, updated = list[Row](), list[Row]()
        for key, source in sources.items():
            row = before.get(key)
            if row is None or self._sources[key] is not source or key in anew:
                made = {"id": str(key), **make(source)}
                if row is None:
                    added.append(made)
                elif made != row:
                    updated.append(made)
                row = made
            every[key] = row
        removed = before.keys() - every.keys()
        self._sources = dict(sources)
        if added or updated or removed:
            self._rows = Rows(self._rows.version + 1, every, tuple(added), tuple(updated), tuple(removed))
        return self._rows


def trial_row(trial: Trial, spec: JobSpec, *, on_front: bool) -> Row:
    """A trial as the table of a job holds it."""
    values = known(trial)
    reason = " ".join(filter(None, (trial.failure and trial.failure.value, trial.reason)))
    return {
        "number": trial.number,
        "state": trial.state.value,
        "step": trial.step,
        **{f"m.{one}": values.get(one) for one in metric_names(spec)},
        "seconds": trial.seconds,
        "attempts": trial.attempts,
        "values": text.values(trial.values) if trial.is_candidate else "the supernet",
        "reason": reason or ("on the Pareto front" if on_front else ""),
    }


def job_row(summary: JobStanding) -> Row:
    """A job as the table of jobs holds it."""
    job, spec = summary.job, summary.job.spec
    metric, done = spec.objectives[0].metric, count_for_budget(summary.counts)
    return {
        "name": job.name,
        "state": job.state.value,
        "share": done / spec.budget.trials,
        "progress": f"{done}/{spec.budget.trials}",
        "metric": metric,
        "best": (summary.best.metrics or {}).get(metric) if summary.best else None,
        "pace": None if job.state.is_final else summary.trials_per_minute,
        "cost": summary.gpu_hours if spec.resources.gpu else summary.cpu_hours,
        "cost_words": cost_words(summary),
        "left": text.duration(summary.eta_seconds) if summary.eta_seconds else "",
        "tags": ", ".join(spec.tags),
        "algorithm": spec.algorithm.name,
        "owner": job.owner or "",
        "created": job.created_at,
    }

"""Rows of large tables: built once for all pages; each page fetches all rows once, and then only changes."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

import orjson

from api import text
from api.ui.parts.metrics import cost_text, costs_and_metrics, metric_names
from searchsvc.domain import JobSpec, Trial, count_for_budget
from searchsvc.domain.fields import RecordField, shown_fields
from searchsvc.service.results.standing import JobStanding

K = TypeVar("K", str, int)
S = TypeVar("S")
Row: TypeAlias = dict[str, Any]
"""Values by column, including `id`."""
MOST_SENT = 200
"""Maximal number of rows in a change."""


@dataclass(frozen=True)
class Rows:
    """The rows of a version of a table, and their difference from the version before."""

    version: int
    every: Mapping[str | int, Row]
    added: tuple[Row, ...] = ()
    updated: tuple[Row, ...] = ()
    removed: tuple[str | int, ...] = ()

    @cached_property
    def packed(self) -> bytes:
        """All rows as compressed JSON, built when the first page requests them."""
        return gzip.compress(orjson.dumps({"version": self.version, "rows": list(self.every.values())}), 1)

    @cached_property
    def change(self) -> str:
        """The difference for a page with the version before, as JSON, written once for all pages.

        If there are many changed rows, or new rows that are not the first, it holds only the version, and the page
        fetches all rows again.
        """
        change: dict[str, Any] = {"version": self.version}
        first = [str(key) for key in islice(self.every, len(self.added))]
        if len(self.added) + len(self.updated) <= MOST_SENT and [row["id"] for row in self.added] == first:
            removed = [{"id": str(key)} for key in self.removed]
            change |= {"add": self.added, "update": self.updated, "remove": removed}
        return orjson.dumps(change).decode()


NO_ROWS = Rows(0, {})


@dataclass(slots=True)
class RowStore(Generic[K, S]):
    """Rows by key; a row is rebuilt only if its source has changed."""

    _sources: dict[K, S] = field(default_factory=dict)
    _rows: Rows = NO_ROWS

    def update(self, sources: Mapping[K, S], make: Callable[[S], Row], rebuilt: Collection[K] = ()) -> Rows:
        """Return the rows of `sources` in their order; rows of the keys in `rebuilt` are always rebuilt."""
        before, every = self._rows.every, dict[str | int, Row]()
        added, updated = list[Row](), list[Row]()
        for key, source in sources.items():
            row = before.get(key)
            if row is None or self._sources[key] is not source or key in rebuilt:
                rebuilt_row = {"id": str(key), **make(source)}
                if row is None:
                    added.append(rebuilt_row)
                elif rebuilt_row != row:
                    updated.append(rebuilt_row)
                row = rebuilt_row
            every[key] = row
        removed = before.keys() - every.keys()
        self._sources = dict(sources)
        if added or updated or removed:
            self._rows = Rows(self._rows.version + 1, every, tuple(added), tuple(updated), tuple(removed))
        return self._rows


def headed_fields() -> dict[str, RecordField]:
    """Return the fields of a trial that have a column of their own in its table, by name."""
    return {name: field for name, field in shown_fields(Trial).items() if field.shown and field.shown.heading}


def trial_row(trial: Trial, spec: JobSpec, *, on_front: bool) -> Row:
    """Return the row of a trial in the table of its job; `trial_columns` describes its columns."""
    metrics = costs_and_metrics(trial)
    reason = " ".join(filter(None, (trial.failure and trial.failure.value, trial.reason)))
    return {
        "number": trial.number,
        "state": trial.state.value,
        **{f"m.{metric}": metrics.get(metric) for metric in metric_names(spec)},
        **{name: getattr(trial, name) for name in headed_fields()},
        "values": text.values(trial.values) if trial.is_candidate else "supernet",
        "reason": reason or ("on the Pareto front" if on_front else ""),
    }


def job_row(summary: JobStanding) -> Row:
    """Return the row of a job in the table of jobs."""
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
        "cost_text": cost_text(summary),
        "left": text.duration(summary.eta_seconds) if summary.eta_seconds else "",
        "tags": ", ".join(spec.tags),
        "algorithm": spec.algorithm.name,
        "owner": job.owner or "",
        "created": job.created_at,
    }

"""Reading measurements of trials, and reports on the rounds of a search."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Select, Text, cast, select

from searchsvc.domain import Measurement, Round
from searchsvc.store.base import StoreBase
from searchsvc.store.tables import measurements, of_existing_jobs, rounds
from searchsvc.store.trials import MOST_KEYS


class MeasurementReads(StoreBase):
    """The part of the Store that reads measurements and rounds."""

    def measurements(self, trial_id: str) -> list[Measurement]:
        """Return the measurements of a trial by step."""
        query = select(measurements).where(measurements.c.trial_id == trial_id).order_by(measurements.c.step)
        return self._records(Measurement, query)

    def measurements_of(self, trial_ids: Sequence[str]) -> dict[str, list[Measurement]]:
        """Return measurements by step, by trial; trials without measurements are left out."""
        by_trial: dict[str, list[Measurement]] = {}
        for start in range(0, len(trial_ids), MOST_KEYS):
            chosen = measurements.c.trial_id.in_(trial_ids[start : start + MOST_KEYS])
            query = select(measurements.c.trial_id, measurements.c.step, measurements.c.seconds, _METRICS).where(chosen)
            rows = self._tuples(query.order_by(measurements.c.trial_id, measurements.c.step))
            for (trial_id, *_), measurement in zip(rows, _measurements(rows), strict=True):
                by_trial.setdefault(trial_id, []).append(measurement)
        return by_trial

    def job_measurements(
        self,
        job_id: str,
        *,
        after: int = 0,
        limit: int = 10_000,
    ) -> list[tuple[int, int, Measurement]]:
        """Return (id, number of the trial, measurement) in the order of storing, beginning after the id `after`."""
        rows = self._tuples(_of_job(job_id, after, limit))
        return [(*row[:2], measurement) for row, measurement in zip(rows, _measurements(rows), strict=True)]

    def scan_measurements(
        self, job_id: str, wants: Callable[[int, int], bool], *, page_size: int = 10_000
    ) -> Iterator[tuple[int, Measurement]]:
        """Yield (number of the trial, measurement) in the order of storing, a page at a time in memory.

        Only measurements for which `wants(number, step)` is true when their page is read; to skip the others is fast.
        """
        after = 0
        while rows := self._tuples(_of_job(job_id, after, page_size)):
            wanted = [row for row in rows if wants(row[1], row[2])]
            yield from zip((row[1] for row in wanted), _measurements(wanted), strict=True)
            after = rows[-1][0]

    def _tuples(self, query: Select[Any]) -> Sequence[Any]:
        existing = of_existing_jobs(query)
        return self._database.read(lambda connection: connection.execute(existing).all())

    def rounds(self, job_id: str) -> list[Round]:
        """Return the reports of the job's algorithm on its rounds, by number."""
        return self._records(Round, select(rounds).where(rounds.c.job_id == job_id).order_by(rounds.c.number))


_METRICS = cast(measurements.c.metrics, Text)
"""The metrics as JSON text: the texts of many rows are parsed together."""


def _of_job(job_id: str, after: int, limit: int) -> Select[Any]:
    """Select (id, number of the trial, step, seconds, metrics as text)."""
    columns = (measurements.c.id, measurements.c.trial_number, measurements.c.step, measurements.c.seconds, _METRICS)
    query = select(*columns).where(measurements.c.job_id == job_id, measurements.c.id > after)
    return query.order_by(measurements.c.id).limit(limit)


def _measurements(rows: Sequence[Any]) -> Iterator[Measurement]:
    """Yield the measurements of rows that end with (step, seconds, metrics as text)."""
    parsed = orjson.loads(f"[{','.join(row[-1] for row in rows)}]")
    for row, metrics in zip(rows, parsed, strict=True):
        yield Measurement(row[-3], metrics, row[-2])

"""Reading measurements of trials, and reports on the rounds of a search."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from searchsvc.domain import Measurement, Round
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import record_of
from searchsvc.store.tables import measurements, rounds
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
            query = select(measurements).where(chosen).order_by(measurements.c.trial_id, measurements.c.step)
            for row in self._rows(query):
                by_trial.setdefault(row["trial_id"], []).append(record_of(Measurement, row))
        return by_trial

    def job_measurements(
        self, job_id: str, *, after: int = 0, limit: int = 10_000
    ) -> list[tuple[int, int, Measurement]]:
        """Return (id, number of the trial, measurement) in the order of storing, beginning after the id `after`."""
        query = select(measurements).where(measurements.c.job_id == job_id, measurements.c.id > after)
        rows = self._rows(query.order_by(measurements.c.id).limit(limit))
        return [(row["id"], row["trial_number"], record_of(Measurement, row)) for row in rows]

    def rounds(self, job_id: str) -> list[Round]:
        """Return the reports of the job's algorithm on its rounds, by number."""
        return self._records(Round, select(rounds).where(rounds.c.job_id == job_id).order_by(rounds.c.number))

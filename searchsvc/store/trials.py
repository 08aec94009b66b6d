"""Reading trials and their numbers; the number of statements does not depend on the number of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, RowMapping, Text, case, cast, func, select

from searchsvc.domain import JobState, Objective, Trial, TrialKind, TrialState
from searchsvc.errors import NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.tables import RANKED, TOTALS, jobs, of_existing_jobs, total_of, trials

MOST_KEYS = 10_000
"""Maximum number of keys per statement: databases limit its parameters."""
_PARSED_AT_ONCE = 1000  # documents; other threads get their turn in between
BY_AGE = (trials.c.created_at, trials.c.job_id, trials.c.number)


class TrialReads(StoreBase):
    """The part of the Store that reads trials."""

    def trial(self, trial_id: str) -> Trial:
        records = self._records(Trial, select(trials).where(trials.c.id == trial_id))
        if not records:
            raise NotFound(f"there is no trial {trial_id}")
        return records[0]

    def trials(
        self,
        job_id: str,
        *,
        state: TrialState | None = None,
        after: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Trial]:
        """Return a page of trials by number, beginning after the number `after` in the chosen order."""
        number = trials.c.number
        query = select(trials).where(trials.c.job_id == job_id).limit(limit)
        query = query.order_by(number.desc() if newest_first else number)
        if state is not None:
            query = query.where(trials.c.state == state.value)
        if after is not None:
            query = query.where(number < after if newest_first else number > after)
        return self._records(Trial, query)

    def all_trials(self, job_id: str) -> list[Trial]:
        """Return all trials of a job by number."""
        return self._records(Trial, select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number))

    def supernets(self, job_id: str) -> list[Trial]:
        """Return the trials of a job that train a supernet, by number."""
        of_kind = trials.c.kind == TrialKind.SUPERNET.value
        query = select(trials).where(trials.c.job_id == job_id, of_kind).order_by(trials.c.number)
        return self._records(Trial, query)

    def best_trials(self, job_id: str, limit: int, *, then: Sequence[Objective] = ()) -> list[Trial]:
        """Return trials with a result by the first objective; ties are broken by `then`, then by number."""
        query = select(trials).where(trials.c.job_id == job_id, RANKED)
        query = query.order_by(trials.c.minimised_objective, *map(_best_first, then), trials.c.number).limit(limit)
        return self._records(Trial, query)

    def newest_results(self, job_id: str, limit: int) -> list[Trial]:
        """Return trials with a result, the newest first."""
        query = select(trials).where(trials.c.job_id == job_id, RANKED)
        return self._records(Trial, query.order_by(trials.c.number.desc()).limit(limit))

    def trained_seconds(self, job_id: str) -> float:
        """Return the seconds for which all trials of a job together were trained."""
        query = select(func.sum(trials.c.seconds).label("seconds")).where(trials.c.job_id == job_id)
        return float(self._rows(query)[0]["seconds"] or 0.0)

    def results(self, job_id: str, *, after: int = -1) -> list[tuple[int, int, Mapping[str, float]]]:
        """Return (number, position, metrics) of the trials with a result, by position.

        The position is the place of the result in the order in which the algorithm received results; only results after
        the position `after` are returned. 100,000 results take about a quarter of a second.
        """
        # Whether a trial has a result is tested in a column: as a condition it would make databases use the index of
        # the best trials, whose order scatters the reads over the whole table.
        metrics = case((RANKED, cast(trials.c.metrics, Text)))
        query = select(trials.c.number, trials.c.told, metrics).order_by(trials.c.told)
        existing = of_existing_jobs(query.where(trials.c.job_id == job_id, trials.c.told > after))
        rows = self._database.read(lambda connection: connection.execute(existing).all())
        rows = [row for row in rows if row[-1] is not None]
        starts = range(0, len(rows), _PARSED_AT_ONCE)
        parsed = (metrics for start in starts for metrics in _metrics(rows[start : start + _PARSED_AT_ONCE]))
        return [(number, told, metrics) for (number, told, _), metrics in zip(rows, parsed, strict=True)]

    def trials_numbered(self, job_id: str, numbers: Sequence[int]) -> list[Trial]:
        """Return the trials with these numbers, in the order of `numbers`; missing trials are left out."""
        query = select(trials).where(trials.c.job_id == job_id)
        parts = (numbers[start : start + MOST_KEYS] for start in range(0, len(numbers), MOST_KEYS))
        stored = (trial for part in parts for trial in self._records(Trial, query.where(trials.c.number.in_(part))))
        by_number = {trial.number: trial for trial in stored}
        return [by_number[number] for number in numbers if number in by_number]

    def trials_with_ids(self, trial_ids: Sequence[str]) -> list[Trial]:
        """Return the trials with these ids, in any order; missing trials are left out."""
        parts = (trial_ids[start : start + MOST_KEYS] for start in range(0, len(trial_ids), MOST_KEYS))
        return [trial for part in parts for trial in self._records(Trial, select(trials).where(trials.c.id.in_(part)))]

    def waiting_trials(self, states: Sequence[JobState], limit: int) -> list[Trial]:
        """Return trials that wait to be started, of the jobs in `states`, the oldest first."""
        query = select(trials).where(*of_jobs(states, TrialState.QUEUED)).order_by(*BY_AGE).limit(limit)
        return self._records(Trial, query)

    def trial_counts(self, job_id: str) -> dict[TrialState, int]:
        """Return the number of trials of a job in each state."""
        return _counts(self._job_columns(job_id, *TOTALS))

    def trial_counts_of(self, job_ids: Sequence[str]) -> dict[str, dict[TrialState, int]]:
        """Return the number of trials in each state by job; missing jobs are left out."""
        query = select(jobs.c.id, *TOTALS).where(jobs.c.id.in_(job_ids))
        return {row["id"]: _counts(row) for row in self._rows(query)}

    def rejections(self, job_id: str) -> tuple[dict[str, int], int]:
        """Return the counts of candidates that never became trials.

        They are: candidates that broke a hard constraint, by reason, and repeated candidates that the stored result
        of an earlier trial answered.
        """
        row = self._job_columns(job_id, jobs.c.rejected, jobs.c.answered)
        return row["rejected"], row["answered"]

    def _job_columns(self, job_id: str, *columns: ColumnElement[Any]) -> RowMapping:
        rows = self._rows(select(*columns).where(jobs.c.id == job_id))
        if not rows:
            raise NotFound(f"there is no job {job_id}")
        return rows[0]


def of_jobs(states: Sequence[JobState], state: TrialState) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return conditions for trials in `state` of the jobs in `states`."""
    ids = select(jobs.c.id).where(jobs.c.state.in_([job_state.value for job_state in states]))
    return trials.c.job_id.in_(ids), trials.c.state == state.value


def _best_first(objective: Objective) -> ColumnElement[Any]:
    """Order by an objective, the best first; trials without the metric come last."""
    value: ColumnElement[float] = trials.c.metrics[objective.metric].as_float()
    return (value.desc() if objective.sign > 0 else value.asc()).nulls_last()


def _metrics(rows: Sequence[Sequence[Any]]) -> list[Mapping[str, float]]:
    """Return the parsed JSON texts in the last column."""
    parsed: list[Mapping[str, float]] = orjson.loads(f"[{','.join(row[-1] for row in rows)}]")
    return parsed


def _counts(row: RowMapping) -> dict[TrialState, int]:
    return {state: row[total_of(state)] for state in TrialState}

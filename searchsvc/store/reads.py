"""Reading trials and what belongs to them, events, totals. One statement each, whatever the number of trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, RowMapping, Select, Text, case, cast, func, select

from searchsvc.domain import (
    Artifact,
    Attempt,
    Event,
    JobState,
    Measurement,
    Node,
    Objective,
    Round,
    Trial,
    TrialKind,
    TrialState,
)
from searchsvc.errors import NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import artifact_of, attempt_of, event_of, measurement_of, round_of, trial_of
from searchsvc.store.tables import (
    RANKED,
    artifacts,
    attempts,
    events,
    jobs,
    leases,
    measurements,
    rounds,
    total_of,
    trials,
)

_PING_SECONDS = 1.0
_MOST_NUMBERS = 10_000  # in one statement: databases limit its parameters
_PART = 1000  # texts that are parsed at once: other threads have their turn between two of them
_BY_AGE = (trials.c.created_at, trials.c.job_id, trials.c.number)
_TOTALS = [jobs.c[total_of(state)] for state in TrialState]


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts over the whole store."""

    jobs: dict[JobState, int]
    trials: dict[TrialState, int]
    leases: int


class Reads(StoreBase):
    """The part of the Store that changes nothing."""

    def trial(self, trial_id: str) -> Trial:
        rows = self._rows(select(trials).where(trials.c.id == trial_id))
        if not rows:
            raise NotFound(f"there is no trial {trial_id}")
        return trial_of(rows[0])

    def trials(
        self,
        job_id: str,
        *,
        state: TrialState | None = None,
        after: int | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> list[Trial]:
        """A page by number: the trials that come after the number `after` in the order asked for."""
        number = trials.c.number
        query = select(trials).where(trials.c.job_id == job_id).limit(limit)
        query = query.order_by(number.desc() if newest_first else number)
        if state is not None:
            query = query.where(trials.c.state == state.value)
        if after is not None:
            query = query.where(number < after if newest_first else number > after)
        return [trial_of(row) for row in self._rows(query)]

    def all_trials(self, job_id: str) -> list[Trial]:
        """In the order of their numbers."""
        query = select(trials).where(trials.c.job_id == job_id).order_by(trials.c.number)
        return [trial_of(row) for row in self._rows(query)]

    def supernets(self, job_id: str) -> list[Trial]:
        """The trials that train a supernet, in the order of their numbers."""
        of_kind = trials.c.kind == TrialKind.SUPERNET.value
        query = select(trials).where(trials.c.job_id == job_id, of_kind).order_by(trials.c.number)
        return [trial_of(row) for row in self._rows(query)]

    def best_trials(self, job_id: str, limit: int, *, then: Sequence[Objective] = ()) -> list[Trial]:
        """Trials with a result (SUCCEEDED, STOPPED), by the first objective; equals by `then`, the earliest first."""
        query = select(trials).where(trials.c.job_id == job_id, RANKED)
        query = query.order_by(trials.c.badness, *map(_badness, then), trials.c.number).limit(limit)
        return [trial_of(row) for row in self._rows(query)]

    def newest_results(self, job_id: str, limit: int) -> list[Trial]:
        """Trials with a result, the newest first."""
        query = select(trials).where(trials.c.job_id == job_id, RANKED)
        return [trial_of(row) for row in self._rows(query.order_by(trials.c.number.desc()).limit(limit))]

    def trained_seconds(self, job_id: str) -> float:
        """Seconds for which the trials of a job were trained, all together."""
        query = select(func.sum(trials.c.seconds).label("seconds")).where(trials.c.job_id == job_id)
        return float(self._rows(query)[0]["seconds"] or 0.0)

    def results(self, job_id: str, *, after: int = -1) -> list[tuple[int, int, Mapping[str, float]]]:
        """(number, place in the order in which results were told, metrics) of the trials with a result that were told
        after the place `after`, in that order: about a quarter of a second for 100,000.
        """
        # Which have a result is asked in the columns: as a condition it would lead databases to the index of the best
        # trials, whose order scatters over the whole table what is read.
        metrics = case((RANKED, cast(trials.c.metrics, Text)))
        query = select(trials.c.number, trials.c.told, metrics).order_by(trials.c.told)
        query = query.where(trials.c.job_id == job_id, trials.c.told > after)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        rows = [row for row in rows if row[-1] is not None]
        found = (one for start in range(0, len(rows), _PART) for one in _metrics(rows[start : start + _PART]))
        return [(number, told, metrics) for (number, told, _), metrics in zip(rows, found, strict=True)]

    def trials_numbered(self, job_id: str, numbers: Sequence[int]) -> list[Trial]:
        """Those of the numbers that there are, in the order of `numbers`."""
        query = select(trials).where(trials.c.job_id == job_id)
        parts = (numbers[start : start + _MOST_NUMBERS] for start in range(0, len(numbers), _MOST_NUMBERS))
        rows = (row for part in parts for row in self._rows(query.where(trials.c.number.in_(part))))
        found = {trial.number: trial for trial in map(trial_of, rows)}
        return [found[number] for number in numbers if number in found]

    def trials_with_ids(self, trial_ids: Sequence[str]) -> list[Trial]:
        """Those that there are, in no order."""
        parts = (trial_ids[start : start + _MOST_NUMBERS] for start in range(0, len(trial_ids), _MOST_NUMBERS))
        return [trial_of(row) for part in parts for row in self._rows(select(trials).where(trials.c.id.in_(part)))]

    def trial_counts(self, job_id: str) -> dict[TrialState, int]:
        return _counts(self._job_columns(job_id, *_TOTALS))

    def trial_counts_of(self, job_ids: Sequence[str]) -> dict[str, dict[TrialState, int]]:
        """By job, those that exist."""
        query = select(jobs.c.id, *_TOTALS).where(jobs.c.id.in_(job_ids))
        return {row["id"]: _counts(row) for row in self._rows(query)}

    def rejections(self, job_id: str) -> tuple[dict[str, int], int]:
        """Candidates that never became trials: how many broke a hard constraint, by reason, and how many repeated
        ones the stored result of an earlier trial answered.
        """
        row = self._job_columns(job_id, jobs.c.rejected, jobs.c.answered)
        return row["rejected"], row["answered"]

    def attempts(self, trial_id: str) -> list[Attempt]:
        query = select(attempts).where(attempts.c.trial_id == trial_id).order_by(attempts.c.number)
        return [attempt_of(row) for row in self._rows(query)]

    def running_attempts(self, states: Sequence[JobState], limit: int) -> list[tuple[Trial, Attempt]]:
        """Attempts at work of the jobs in `states`, the oldest trial first."""
        query = select(trials).where(*_of_jobs(states, TrialState.RUNNING)).order_by(*_BY_AGE).limit(limit)
        found = {row["id"]: trial_of(row) for row in self._rows(query)}
        rows = self._rows(select(attempts).where(attempts.c.trial_id.in_(found)))
        latest = {row["trial_id"]: row for row in rows if row["number"] == found[row["trial_id"]].attempts}
        return [(trial, attempt_of(latest[key])) for key, trial in found.items() if key in latest]

    def waiting_trials(self, states: Sequence[JobState], limit: int) -> list[Trial]:
        """Trials that wait to be started, of the jobs in `states`, the oldest first."""
        query = select(trials).where(*_of_jobs(states, TrialState.QUEUED)).order_by(*_BY_AGE).limit(limit)
        return [trial_of(row) for row in self._rows(query)]

    def reported_nodes(self) -> dict[str, tuple[Node, ...]]:
        """What drivers that are alive see of their cluster, by job; a driver that has not looked yet is left out."""
        query = select(leases.c.job_id, leases.c.nodes).where(
            leases.c.deadline > self._clock(), leases.c.nodes.is_not(None)
        )
        return {row["job_id"]: tuple(Node(**one) for one in row["nodes"]) for row in self._rows(query)}

    def job_attempts(self, job_id: str, limit: int) -> list[tuple[int, Attempt]]:
        """(number of the trial, attempt), those of the newest trials first."""
        query = select(attempts, trials.c.number.label("trial_number")).join(trials).where(trials.c.job_id == job_id)
        rows = self._rows(query.order_by(trials.c.number.desc(), attempts.c.number.desc()).limit(limit))
        return [(row["trial_number"], attempt_of(row)) for row in rows]

    def artifacts(self, trial_id: str) -> list[Artifact]:
        """`path` is relative to the directory of artifacts."""
        query = select(artifacts).where(artifacts.c.trial_id == trial_id).order_by(artifacts.c.name)
        return [artifact_of(row) for row in self._rows(query)]

    def job_artifacts(self, job_id: str) -> list[Artifact]:
        """By the number of the trial, then by name."""
        query = select(artifacts).join(trials).where(trials.c.job_id == job_id)
        return [artifact_of(row) for row in self._rows(query.order_by(trials.c.number, artifacts.c.name))]

    def measurements(self, trial_id: str) -> list[Measurement]:
        query = select(measurements).where(measurements.c.trial_id == trial_id).order_by(measurements.c.step)
        return [measurement_of(row) for row in self._rows(query)]

    def measurements_of(self, trial_ids: Sequence[str]) -> dict[str, list[Measurement]]:
        """By trial, by step; of the trials that have any."""
        found: dict[str, list[Measurement]] = {}
        for start in range(0, len(trial_ids), _MOST_NUMBERS):
            chosen = measurements.c.trial_id.in_(trial_ids[start : start + _MOST_NUMBERS])
            query = select(measurements).where(chosen).order_by(measurements.c.trial_id, measurements.c.step)
            for row in self._rows(query):
                found.setdefault(row["trial_id"], []).append(measurement_of(row))
        return found

    def job_measurements(
        self, job_id: str, *, after: int = 0, limit: int = 10_000
    ) -> list[tuple[int, int, Measurement]]:
        """(id, number of the trial, measurement) in the order in which they were stored, from after the id `after`."""
        query = select(measurements).where(measurements.c.job_id == job_id, measurements.c.id > after)
        rows = self._rows(query.order_by(measurements.c.id).limit(limit))
        return [(row["id"], row["trial_number"], measurement_of(row)) for row in rows]

    def rounds(self, job_id: str) -> list[Round]:
        """What the job's algorithm has said of its rounds, by number."""
        query = select(rounds).where(rounds.c.job_id == job_id).order_by(rounds.c.number)
        return [round_of(row) for row in self._rows(query)]

    def events(self, *, after: int = 0, job_id: str | None = None, limit: int = 1000) -> list[Event]:
        """Those after the sequence number `after`, in order. Reading on from the last one seen misses none."""
        query = select(events).where(events.c.sequence > after, *_of_job(job_id))
        return [event_of(row) for row in self._rows(query.order_by(events.c.sequence).limit(limit))]

    def latest_events(self, job_id: str, limit: int) -> list[Event]:
        """The last ones of a job, in order."""
        query = select(events).where(*_of_job(job_id)).order_by(events.c.sequence.desc()).limit(limit)
        return [event_of(row) for row in reversed(self._rows(query))]

    def last_sequence(self) -> int:
        """The number of the newest event, 0 before the first."""
        row = self._rows(select(func.max(events.c.sequence).label("last")))[0]
        return int(row["last"] or 0)

    def statistics(self) -> Statistics:
        by_state = select(jobs.c.state, func.count().label("jobs"), *(func.sum(one).label(one.name) for one in _TOTALS))
        rows = self._rows(by_state.group_by(jobs.c.state))
        held = self._rows(select(func.count().label("held")).select_from(leases))[0]["held"]
        counted = {JobState(row["state"]): int(row["jobs"]) for row in rows}
        return Statistics(
            jobs={state: counted.get(state, 0) for state in JobState},
            trials={state: sum(int(row[total_of(state)]) for row in rows) for state in TrialState},
            leases=held,
        )

    def ping(self) -> None:
        """Raises StoreUnavailable unless the database answers within about a second."""
        self._database.read(lambda connection: connection.execute(select(1)), wait_seconds=_PING_SECONDS)

    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        return self._database.read(lambda connection: connection.execute(query).mappings().all())

    def _job_columns(self, job_id: str, *columns: ColumnElement[Any]) -> RowMapping:
        rows = self._rows(select(*columns).where(jobs.c.id == job_id))
        if not rows:
            raise NotFound(f"there is no job {job_id}")
        return rows[0]


def _badness(objective: Objective) -> ColumnElement[Any]:
    """For an order in which the better come first, and those where it was not measured last."""
    value: ColumnElement[float] = trials.c.metrics[objective.metric].as_float()
    return (value.desc() if objective.sign > 0 else value.asc()).nulls_last()


def _metrics(rows: Sequence[Sequence[Any]]) -> list[Mapping[str, float]]:
    """From the texts in the last column."""
    found: list[Mapping[str, float]] = orjson.loads(f"[{','.join(row[-1] for row in rows)}]")
    return found


def _counts(row: RowMapping) -> dict[TrialState, int]:
    return {state: row[total_of(state)] for state in TrialState}


def _of_jobs(states: Sequence[JobState], state: TrialState) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Trials in `state` of the jobs in `states`."""
    wanted = select(jobs.c.id).where(jobs.c.state.in_([one.value for one in states]))
    return trials.c.job_id.in_(wanted), trials.c.state == state.value


def _of_job(job_id: str | None) -> list[ColumnElement[bool]]:
    return [] if job_id is None else [events.c.job_id == job_id]

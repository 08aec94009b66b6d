"""The writes of a driver's flush.

Each operation is applied to the rows it touches, in memory and in order; then every table is written once. The number
of statements does not depend on the number of operations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Table, bindparam, insert, select, update

from searchsvc.domain import (
    Artifact,
    Attempt,
    Event,
    FailureKind,
    JobState,
    Measurement,
    Objective,
    Outcome,
    Proposal,
    TrialState,
)
from searchsvc.domain.life_cycle import Trigger
from searchsvc.errors import NotFound
from searchsvc.store.changes import JobChange
from searchsvc.store.rows import columns_of, row_of
from searchsvc.store.tables import artifacts, attempts, measurements, rounds, trials

_FIXED: Final = frozenset(("id", "job_id", "number", "created_at", *columns_of(Proposal)))
"""Columns of a trial that never change after it was proposed."""
_MUTABLE: Final = tuple(column.key for column in trials.c if column.key not in _FIXED)
_READ: Final = ("id", "number", "costs", *_MUTABLE)
_IDS_PER_STATEMENT = 10_000  # both databases limit the parameters of one statement
_REASON_LENGTH = 500
_ENDINGS: Final = {
    JobState.SUCCEEDED: Trigger.SUCCEEDED,
    JobState.FAILED: Trigger.FAILED,
    JobState.CANCELLED: Trigger.INTERRUPTED,
    JobState.PAUSED: Trigger.INTERRUPTED,
}


class WriteBatch:
    """The rows that the operations of a flush touch, and the operations of `JobWriter` on them."""

    def __init__(self, change: JobChange, objective: Objective) -> None:
        self.change = change
        self._objective = objective
        self._trials: dict[str, dict[str, Any]] = {}
        self._stored_states: dict[str, TrialState] = {}
        self._attempts: dict[tuple[str, int], dict[str, Any]] = {}
        self._ended_attempts: dict[tuple[str, int], dict[str, Any]] = {}
        self._measurements: list[dict[str, Any]] = []
        self._artifacts: dict[tuple[str, str], Artifact] = {}
        self._rounds: dict[int, dict[str, Any]] = {}

    def load(self, trial_ids: Iterable[str]) -> None:
        """Read the stored trials that the operations change."""
        ids = sorted(set(trial_ids))
        columns = [trials.c[name] for name in _READ]
        for start in range(0, len(ids), _IDS_PER_STATEMENT):
            part = ids[start : start + _IDS_PER_STATEMENT]
            query = select(*columns).where(trials.c.id.in_(part), trials.c.job_id == self.change.id)
            for values in self.change.connection.execute(query):
                row = dict(zip(_READ, values, strict=True))
                self._trials[row["id"]] = row
                self._stored_states[row["id"]] = TrialState(row["state"])

    # --- operations, as documented in JobWriter

    def add_trial(self, trial_id: str, number: int, proposal: Proposal, at: float) -> None:
        row: dict[str, Any] = dict.fromkeys(trials.c.keys(), None) | row_of(proposal)
        row |= {"id": trial_id, "job_id": self.change.id, "number": number, "created_at": at}
        row |= {"state": TrialState.QUEUED.value, "step": 0, "seconds": 0.0, "attempts": 0}
        self._trials[trial_id] = row
        self.count_rejections(proposal.rejected, len(proposal.answered))
        self.event("trial.proposed", {"values": row["candidate"], "costs": row["costs"]}, trial_id, at)

    def start_attempt(self, trial_id: str, attempt: int, node: str | None, pid: int | None, at: float) -> None:
        row = self._trial(trial_id)
        row |= {"state": TrialState.RUNNING.value, "attempts": attempt, "reason": None, "failure": None}
        row["started_at"] = row["started_at"] or at
        started = Attempt(trial_id, attempt, TrialState.RUNNING, None, None, node, pid, at, None)
        self._attempts[trial_id, attempt] = row_of(started)
        self.event("trial.started", {"attempt": attempt, "node": node}, trial_id, at)

    def measure(self, trial_id: str, measurement: Measurement, best: Measurement, at: float) -> None:
        row = self._trial(trial_id)
        if measurement.step <= row["step"]:
            return  # a resumed attempt repeats steps: the first measurement of a step counts
        self.change.add("training_seconds", max(0.0, measurement.seconds - row["seconds"]))
        row |= {"step": measurement.step, "seconds": measurement.seconds, "best_step": best.step}
        self._rate(row, best.metrics)
        place = {"job_id": self.change.id, "trial_id": trial_id, "trial_number": row["number"]}
        self._measurements.append(place | row_of(measurement))
        self.event("trial.measured", {"step": measurement.step}, trial_id, at)  # completed when it is read

    def wait_reason(self, trial_id: str, reason: str | None, at: float) -> None:
        row = self._trial(trial_id)
        if row["reason"] != reason:
            row["reason"] = reason
            self.event("trial.waiting", {"reason": reason}, trial_id, at)

    def finish(self, trial_id: str, attempt: int, outcome: Outcome, told: int | None, at: float) -> None:
        assert outcome.state.is_final
        row = self._trial(trial_id)
        row |= {"state": outcome.state.value, "failure": _name(outcome.failure), "told": told, "finished_at": at}
        row["reason"] = _last_line(outcome.message)
        if outcome.state.has_result and row["metrics"] is None:
            self._rate(row, {})  # without measurements, the costs are the result
        self._end_attempt(trial_id, attempt, outcome, at)
        for made in outcome.files:
            path = made.path_in(f"{self.change.id}/{trial_id}")
            self._artifacts[trial_id, made.name] = Artifact(trial_id, made.name, path, made.bytes, made.sha256, at)
        data = {"state": row["state"], "failure": row["failure"], "reason": row["reason"], "metrics": row["metrics"]}
        self.event("trial.finished", data, trial_id, at)

    def requeue(self, trial_id: str, attempt: int, ended: Outcome, at: float) -> None:
        row = self._trial(trial_id)
        row |= {"state": TrialState.QUEUED.value, "reason": _last_line(ended.message), "finished_at": None}
        self._end_attempt(trial_id, attempt, ended, at)
        data = {"state": ended.state.value, "failure": _name(ended.failure), "reason": row["reason"]}
        self.event("trial.requeued", {"attempt": attempt, **data}, trial_id, at)

    def record_test(self, trial_id: str, metrics: Mapping[str, float], at: float) -> None:
        row = self._trial(trial_id)
        if row["test_metrics"] is None:
            row["test_metrics"] = dict(metrics)
            self.event("trial.tested", {"metrics": row["test_metrics"]}, trial_id, at)

    def count_rejections(self, rejected: Mapping[str, int], answered: int) -> None:
        totals = self.change.values.setdefault("rejected", dict(self.change.row["rejected"]))
        for reason, count in rejected.items():
            totals[reason] = totals.get(reason, 0) + count
        self.change.add("answered", answered)

    def count_ask(self, seconds: float) -> None:
        self.change.add("asks", 1)
        self.change.add("ask_seconds", seconds)

    def record_round(self, number: int, data: Mapping[str, Any], at: float) -> None:
        """Store the first report for a number, and ignore later reports."""
        if number not in self._rounds:
            self._rounds[number] = {"job_id": self.change.id, "number": number, "data": dict(data), "at": at}

    def pin_data(self, pins: Mapping[str, str]) -> None:
        self.change.values["data_pins"] = dict(pins)

    def event(self, kind: str, data: Mapping[str, Any], trial_id: str | None, at: float) -> None:
        number = {} if trial_id is None else {"number": self._trial(trial_id)["number"]}
        self.change.events.append(Event(0, self.change.id, trial_id, kind, {**number, **data}, at))

    # --- writing

    def write(self) -> None:
        """Write all rows except the row of the job and the events, which the JobChange saves."""
        new = [row for trial_id, row in self._trials.items() if trial_id not in self._stored_states]
        self._insert(trials, new)
        self._update_trials([row for trial_id, row in self._trials.items() if trial_id in self._stored_states])
        self._insert(attempts, list(self._attempts.values()))
        self._update_attempts()
        self._insert(measurements, self._measurements)
        self._replace_artifacts()
        self._insert_rounds()
        for trial_id, row in self._trials.items():
            self._count(self._stored_states.get(trial_id), TrialState(row["state"]))

    def _trial(self, trial_id: str) -> dict[str, Any]:
        try:
            return self._trials[trial_id]
        except KeyError:
            raise NotFound(f"job {self.change.id} has no trial {trial_id}") from None

    def _rate(self, row: dict[str, Any], measured: Mapping[str, float]) -> None:
        row["metrics"] = {**row["costs"], **measured}
        value = row["metrics"].get(self._objective.metric)
        row["minimised_objective"] = None if value is None else -self._objective.sign * float(value)

    def _end_attempt(self, trial_id: str, attempt: int, ended: Outcome, at: float) -> None:
        values = {"state": ended.state.value, "failure": _name(ended.failure), "message": ended.message}
        started_here = self._attempts.get((trial_id, attempt))
        if started_here is not None:
            started_here |= values | {"finished_at": at}
        else:
            key = {"of_trial": trial_id, "of_number": attempt}
            self._ended_attempts[trial_id, attempt] = {**values, "finished_at": at, **key}

    def _count(self, before: TrialState | None, after: TrialState) -> None:
        if before is not None:
            self.change.totals[before] -= 1
        self.change.totals[after] += 1

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self.change.connection.execute(insert(table), rows)

    def _update_trials(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            statement = update(trials).where(trials.c.id == bindparam("of_trial"))
            statement = statement.values({name: bindparam(name) for name in _MUTABLE})
            values = [{"of_trial": row["id"]} | {name: row[name] for name in _MUTABLE} for row in rows]
            self.change.connection.execute(statement, values)

    def _update_attempts(self) -> None:
        if self._ended_attempts:
            same = (attempts.c.trial_id == bindparam("of_trial")) & (attempts.c.number == bindparam("of_number"))
            names = ("state", "failure", "message", "finished_at")
            statement = update(attempts).where(same).values({name: bindparam(name) for name in names})
            self.change.connection.execute(statement, list(self._ended_attempts.values()))

    def _insert_rounds(self) -> None:
        """Insert new rounds, with an event each; after a restart an algorithm may report a round again."""
        if not self._rounds:
            return
        stored = select(rounds.c.number).where(rounds.c.job_id == self.change.id)
        numbers = set(self.change.connection.execute(stored).scalars())
        new = [row for number, row in self._rounds.items() if number not in numbers]
        self._insert(rounds, new)
        for row in new:
            self.event("round.finished", {"round": row["number"], **row["data"]}, None, row["at"])

    def _replace_artifacts(self) -> None:
        """Write artifacts; they replace the artifacts of an earlier execution of the trial."""
        if self._artifacts:
            same = (artifacts.c.trial_id == bindparam("of_trial")) & (artifacts.c.name == bindparam("of_name"))
            keys = [{"of_trial": trial_id, "of_name": name} for trial_id, name in self._artifacts]
            self.change.connection.execute(artifacts.delete().where(same), keys)
            self._insert(artifacts, [row_of(artifact) for artifact in self._artifacts.values()])


def finish_job(change: JobChange, state: JobState, reason: str | None, revision: int | None) -> None:
    """End the driver's work on the job; see JobWriter.finish_job."""
    trigger = _ENDINGS[state]
    is_superseded = revision is not None and revision != change.row["revision"]
    if is_superseded and trigger in (Trigger.SUCCEEDED, Trigger.FAILED):
        trigger = Trigger.SUPERSEDED
    change.apply(trigger, change.transition(trigger), reason=reason)


def _name(failure: FailureKind | None) -> str | None:
    return None if failure is None else failure.value


def _last_line(message: str | None) -> str | None:
    """Return the last line of a traceback, which is the error itself."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return lines[-1].strip()[:_REASON_LENGTH] if lines else None

"""What a batch of a driver's writes comes to: each operation is applied to the rows it touches, in memory and in
order, and then every table is written once. The number of statements does not depend on the size of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Table, bindparam, insert, select, update

from searchsvc.domain import (
    Artifact,
    Event,
    FailureKind,
    JobState,
    Measurement,
    Objective,
    Outcome,
    Proposal,
    TrialState,
)
from searchsvc.errors import NotFound
from searchsvc.store.changes import JobChange
from searchsvc.store.tables import artifacts, attempts, measurements, rounds, trials

# What an update of a trial writes: all that can change after it was proposed.
_MUTABLE: Final = (
    "state",
    "metrics",
    "best_step",
    "badness",
    "step",
    "seconds",
    "failure",
    "reason",
    "told",
    "attempts",
    "test_metrics",
    "started_at",
    "finished_at",
)
_READ: Final = ("id", "number", "costs", *_MUTABLE)
_IDS_PER_STATEMENT = 10_000  # both databases limit the parameters of one statement
_REASON_LENGTH = 500


class Batch:
    """The rows that the operations of one flush touch."""

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
        """Read the trials that the operations name, as they are stored."""
        ids = sorted(set(trial_ids))
        columns = [trials.c[name] for name in _READ]
        for start in range(0, len(ids), _IDS_PER_STATEMENT):
            some = ids[start : start + _IDS_PER_STATEMENT]
            query = select(*columns).where(trials.c.id.in_(some), trials.c.job_id == self.change.id)
            for row in self.change.connection.execute(query).mappings():
                self._trials[row["id"]] = dict(row)
                self._stored_states[row["id"]] = TrialState(row["state"])

    # --- the operations, as JobWriter describes them

    def add_trial(self, trial_id: str, number: int, proposal: Proposal, at: float) -> None:
        row = dict.fromkeys((column.name for column in trials.c), None)
        row |= {"id": trial_id, "job_id": self.change.id, "number": number, "created_at": at}
        row |= {"state": TrialState.QUEUED.value, "step": 0, "seconds": 0.0, "attempts": 0}
        row |= {"candidate": dict(proposal.candidate.values), "asks": proposal.asks, "told_before": proposal.told}
        row |= {"rejected": dict(proposal.rejected), "answered": list(proposal.answered), "costs": dict(proposal.costs)}
        row |= {"in_full": proposal.in_full, "kind": proposal.kind.value}
        self._trials[trial_id] = row
        self.count_rejections(proposal.rejected, len(proposal.answered))
        self.event("trial.proposed", {"values": row["candidate"], "costs": row["costs"]}, trial_id, at)

    def start_attempt(self, trial_id: str, attempt: int, node: str | None, pid: int | None, at: float) -> None:
        row = self._trial(trial_id)
        row |= {"state": TrialState.RUNNING.value, "attempts": attempt, "reason": None, "failure": None}
        row["started_at"] = row["started_at"] or at
        self._attempts[trial_id, attempt] = {
            "trial_id": trial_id,
            "number": attempt,
            "state": TrialState.RUNNING.value,
            "failure": None,
            "message": None,
            "node": node,
            "pid": pid,
            "started_at": at,
            "finished_at": None,
        }
        self.event("trial.started", {"attempt": attempt, "node": node}, trial_id, at)

    def measure(self, trial_id: str, measurement: Measurement, best: Measurement, at: float) -> None:
        row = self._trial(trial_id)
        if measurement.step <= row["step"]:
            return  # a resumed attempt repeats itself: the first word counts
        row |= {"step": measurement.step, "seconds": measurement.seconds, "best_step": best.step}
        self._rate(row, best.metrics)
        shown = {"step": measurement.step, "metrics": dict(measurement.metrics), "seconds": measurement.seconds}
        self._measurements.append(
            {"job_id": self.change.id, "trial_id": trial_id, "trial_number": row["number"], **shown}
        )
        self.event("trial.measured", shown, trial_id, at)

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
            self._rate(row, {})  # nothing was measured: the costs are the result
        self._end_attempt(trial_id, attempt, outcome, at)
        for made in outcome.files:
            path = f"{self.change.id}/{trial_id}/{made.name}"
            self._artifacts[trial_id, made.name] = Artifact(trial_id, made.name, path, made.bytes, made.sha256, at)
        told_of = {"state": row["state"], "failure": row["failure"], "reason": row["reason"], "metrics": row["metrics"]}
        self.event("trial.finished", told_of, trial_id, at)

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
        values = self.change.values
        so_far = values.setdefault("rejected", dict(self.change.row["rejected"]))
        for reason, count in rejected.items():
            so_far[reason] = so_far.get(reason, 0) + count
        values["answered"] = {**self.change.row, **values}["answered"] + answered

    def record_round(self, number: int, data: Mapping[str, Any], at: float) -> None:
        """Stored once, the first that comes."""
        if number not in self._rounds:
            self._rounds[number] = {"job_id": self.change.id, "number": number, "data": dict(data), "at": at}

    def event(self, kind: str, data: Mapping[str, Any], trial_id: str | None, at: float) -> None:
        number = {} if trial_id is None else {"number": self._trial(trial_id)["number"]}
        self.change.events.append(Event(0, self.change.id, trial_id, kind, {**number, **data}, at))

    # --- writing

    def write(self) -> None:
        """Everything but the job's own row and the events, which the JobChange saves."""
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
        row["badness"] = None if value is None else -self._objective.sign * float(value)

    def _end_attempt(self, trial_id: str, attempt: int, ended: Outcome, at: float) -> None:
        values = {"state": ended.state.value, "failure": _name(ended.failure), "message": ended.message}
        begun_here = self._attempts.get((trial_id, attempt))
        if begun_here is not None:
            begun_here |= values | {"finished_at": at}
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
        """With an event for each that is new: after a restart an algorithm may give a round again."""
        if not self._rounds:
            return
        stored = select(rounds.c.number).where(rounds.c.job_id == self.change.id)
        known = set(self.change.connection.execute(stored).scalars())
        new = [row for number, row in self._rounds.items() if number not in known]
        self._insert(rounds, new)
        for row in new:
            self.event("round.finished", {"round": row["number"], **row["data"]}, None, row["at"])

    def _replace_artifacts(self) -> None:
        """A trial that ran again made its files again."""
        if self._artifacts:
            same = (artifacts.c.trial_id == bindparam("of_trial")) & (artifacts.c.name == bindparam("of_name"))
            keys = [{"of_trial": trial_id, "of_name": name} for trial_id, name in self._artifacts]
            self.change.connection.execute(artifacts.delete().where(same), keys)
            rows = [{name: getattr(one, name) for name in Artifact.__slots__} for one in self._artifacts.values()]
            self._insert(artifacts, rows)


def finish_job(change: JobChange, state: JobState, reason: str | None, revision: int | None) -> None:
    """End the driver's work on the job; see JobWriter.finish_job."""
    state = _in_the_end(change, state, revision)
    data: dict[str, Any] = {"reason": reason} if reason else {}
    if state is JobState.QUEUED or state is JobState.PAUSED:
        change.requeue_running_trials("paused" if state is JobState.PAUSED else "waits for a driver")
    elif state.is_final:
        data["trials_cancelled"] = change.close_trials(f"the job {state.value.lower()}")
    if state is not change.state:
        _move(change, state, reason)
        change.event(f"job.{state.value.lower()}", **data)


def _in_the_end(change: JobChange, state: JobState, revision: int | None) -> JobState:
    """What the driver wants, unless the user has asked for something else since the driver looked."""
    if state is JobState.SUCCEEDED and revision is not None and revision != change.row["revision"]:
        return JobState.QUEUED  # extended, or trials to be retried: there is more to do
    if state is not JobState.PAUSED:
        return state
    if change.state is JobState.STOPPING:
        return JobState.STOPPING  # stopped while it was pausing: the next driver lets it end
    return {"PAUSE": JobState.PAUSED, "CANCEL": JobState.CANCELLED, None: JobState.QUEUED}[change.row["request"]]


def _move(change: JobChange, state: JobState, reason: str | None) -> None:
    if state is JobState.QUEUED:  # no move that anybody asks for: the driver gives the job back
        change.values |= {"state": state.value, "reason": None, "request": None}
    else:
        change.move(state, reason=reason)


def _name(failure: FailureKind | None) -> str | None:
    return None if failure is None else failure.value


def _last_line(message: str | None) -> str | None:
    """Of a traceback, the error itself."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    return lines[-1].strip()[:_REASON_LENGTH] if lines else None

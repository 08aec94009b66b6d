"""Which trial goes where: what Tune's searcher, scheduler and callback ask and tell, in the words of the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import ray
from ray.exceptions import OutOfMemoryError, RayActorError, RayError

from searchsvc.domain import (
    Decision,
    FailureKind,
    JobRequest,
    JobSpec,
    Measurement,
    Outcome,
    Scalar,
    SelfTraining,
    SharedSearch,
    Trial,
    TrialKind,
    TrialState,
    TrialTask,
    WeightsFile,
)
from searchsvc.errors import SearchsvcError
from searchsvc.store import Store
from workers.driver.heartbeat import Heartbeat
from workers.driver.ledger import Ledger, OpenTrial
from workers.driver.placement import Placement
from workers.driver.recovery import take_up
from workers.driver.winners import winners
from workers.trials.trainable import AVOIDED, GRACE_SECONDS, PART, RESOURCES, TASK, Instruction

NO_MORE: Mapping[str, Any] = MappingProxyType({})
EXPLAIN_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
"""After so long a trial that waits says why."""
PLACE_SECONDS = 10.0
RECYCLE_ATTEMPTS = 2_000
"""Attempts in one Tune run: Tune keeps about 25 kB of each until the run ends."""
RECYCLE_ROUNDS = 25
"""On a large cluster, rather so many attempts per slot, so that the wait for the last ones stays small."""


class Reason(Enum):
    """Why the driver leaves Tune at once."""

    PAUSE = "paused"
    CANCEL = "cancelled"
    SHUTDOWN = "the service was stopped"
    ERROR = "error"


class Interrupted(BaseException):
    """Raised through Tune, past its clean-up, which waits for actors: what runs is to be killed instead."""

    def __init__(self, reason: Reason, error: SearchsvcError | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.error = error


@dataclass(slots=True, eq=False)
class Run:
    """A trial that was handed to Tune."""

    trial: OpenTrial
    handed: float
    actor: Any = None
    node: str | None = None
    deadline: float | None = None
    """When its process is ended by force."""
    overdue: bool = False
    test: Trial | None = None
    """It is measured on the test split, not trained."""
    workers: int = 1
    """Its processes."""


class Dispatcher:
    """One per job; lives through all of its Tune runs."""

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        placement: Placement,
        store: Store,
        folder: Path,
        constants: Mapping[str, Scalar],
        search: SharedSearch | None = None,
        pretrained: WeightsFile | None = None,
        self_training: SelfTraining | None = None,
    ) -> None:
        """`search`: what trials of supernets are given; the last two: what others may start from, and learn from."""
        self.ledger = ledger
        self.heartbeat = heartbeat
        self.placement = placement
        self.shutdown = False
        """Set by a signal handler: put everything back and go."""
        self._store, self._folder, self._constants, self._search = store, folder, constants, search
        self._pretrained, self._self_training = pretrained, self_training
        self._job_id = heartbeat.job.id
        self._revision = heartbeat.job.revision
        self._runs: dict[str, Run] = {}
        self._places: dict[Any, tuple[str, str, int]] = {}
        self._handed_in_run = 0
        self._explained = 0.0
        self._to_test: list[Trial] | None = None
        """Known once nothing is left to train."""

    @property
    def spec(self) -> JobSpec:
        return self.heartbeat.job.spec

    # ---- what to run -----------------------------------------------------------------------------------------------

    def begin_run(self) -> None:
        """A new Tune run starts: it knows nothing of what an earlier one was handed."""
        self._handed_in_run = 0
        self._runs.clear()
        self._places.clear()

    def has_more(self) -> bool:
        """Whether there is anything left to run, now that nothing runs."""
        with _leaving():
            self.check_requests()
            return not self._is_trained() or bool(self._untested())

    def hand_out(self, key: str) -> Mapping[str, Any] | None:
        """The configuration of what Tune is to run next, known to it as `key`.

        None: nothing now. NO_MORE: nothing any more in this Tune run, and nothing runs.
        """
        with _leaving():
            self.check_requests()
            if not self._is_trained() and not self._is_run_full():
                config = self._next_attempt(key)
                if config is not None or not self._is_trained():
                    return config
            if any(run.test is None for run in self._runs.values()):
                return None  # it may have to be tried again
            if self._is_trained() and (untested := self._untested()):
                return self._next_test(key, untested)
            return None if self._runs else NO_MORE

    def _next_attempt(self, key: str) -> Mapping[str, Any] | None:
        room = self.placement.slots() - len(self._runs)
        if room <= 0:
            return None
        trial = self.ledger.next_trial(room, self.spec.budget.trials, idle=not self._runs)
        if trial is None:
            return None
        config = self._config(trial, Instruction.STOP if trial.stop else Instruction.TRAIN)
        self._runs[key] = Run(trial, handed=time.monotonic(), workers=config[TASK].workers)
        self._handed_in_run += 1
        return config

    def _next_test(self, key: str, untested: list[Trial]) -> Mapping[str, Any] | None:
        if self.placement.slots() <= len(self._runs):
            return None
        tested = untested.pop(0)
        trial = OpenTrial(tested.id, tested.number, tested.proposal, tested.attempts - 1, step=tested.step)
        self._runs[key] = Run(trial, handed=time.monotonic(), test=tested)
        return self._config(trial, Instruction.TEST)

    def _config(self, trial: OpenTrial, part: Instruction) -> Mapping[str, Any]:
        avoided = tuple(sorted(self.placement.avoided))
        return {TASK: self.task_of(trial), PART: part, RESOURCES: self.placement.resources, AVOIDED: avoided}

    def _is_trained(self) -> bool:
        """Whether no attempt is to begin any more, unless one that runs has to be repeated."""
        if self.heartbeat.draining:
            return True
        spent = self.ledger.exhausted or self.ledger.existing >= self.spec.budget.trials
        return spent and not self.ledger.waiting

    def _is_run_full(self) -> bool:
        return self._handed_in_run >= max(RECYCLE_ATTEMPTS, RECYCLE_ROUNDS * self.placement.slots())

    def _untested(self) -> list[Trial]:
        """The winners whose best weights are not measured on the test split yet."""
        if self._to_test is None:
            self.ledger.flush()
            best = winners(self._store.all_trials(self._job_id), self.spec.objectives, self.spec.constraints)
            self._to_test = [trial for trial in best if trial.test_metrics is None]
        return self._to_test

    def task_of(self, trial: OpenTrial) -> TrialTask:
        task = TrialTask.of(
            self.ledger.spec,
            trial_id=trial.id,
            number=trial.number,
            values={**self._constants, **trial.proposal.candidate.values},
            directory=str(self._folder / trial.id),
            pretrained=self._pretrained,
            self_training=self._self_training,
        )
        task = replace(task, attempt=trial.attempts + 1, stored_step=trial.step)
        return self._of_supernet(task) if trial.proposal.kind is TrialKind.SUPERNET else task

    def _of_supernet(self, task: TrialTask) -> TrialTask:
        assert self._search is not None, "the algorithm trains no supernet"
        fidelity = task.fidelity.model_copy(update={"epochs": self._search.options["epochs"]})
        workers = self.spec.resources.workers
        return replace(task, search=self._search, workers=workers, fidelity=fidelity, trial_seconds=None)

    # ---- what Tune tells -------------------------------------------------------------------------------------------

    def started(self, key: str, actor: Any) -> None:
        """The attempt has a process."""
        run = self._runs[key]
        run.actor = actor
        place = self._place_of(actor)
        run.node = place[0] if place else None
        limit = self.spec.resources.trial_seconds
        if limit is not None and run.trial.proposal.kind is TrialKind.CANDIDATE:
            run.deadline = time.monotonic() + max(0.0, limit - run.trial.seconds) + GRACE_SECONDS
        if run.test is None:
            self.ledger.start(run.trial, f"{place[0]} {place[1]}" if place else None, place[2] if place else None)
        self._count_gpus()

    def measured(self, key: str, measurement: Measurement) -> Decision:
        """A measurement of an attempt that goes on. After STOP, its next result is its last."""
        with _leaving():
            run = self._runs[key]
            decision = self.ledger.measure(run.trial, measurement)
            if decision is Decision.CONTINUE and not self.heartbeat.time_is_up:
                return Decision.CONTINUE
            run.actor.end_early.remote()
            return Decision.STOP

    def ended(self, key: str, measurement: Measurement | None, outcome: Outcome) -> None:
        """The last result of an attempt."""
        with _leaving():
            run = self._runs.pop(key)
            if measurement is not None:
                self.ledger.measure(run.trial, measurement)
            self.ledger.finish(run.trial, outcome)
            if outcome.failure is None:
                self.placement.succeeded(run.node)
            else:
                self._note_failure(run, outcome.failure)
            self._count_gpus()

    def tested(self, key: str, metrics: Mapping[str, float]) -> None:
        """A winner is measured on the test split."""
        with _leaving():
            self.ledger.record_test(self._runs.pop(key).trial, metrics)

    def failed(self, key: str, error: Exception | None) -> None:
        """The attempt ended without a result: its process is gone."""
        with _leaving():
            run = self._runs.pop(key)
            if run.test is not None:
                self.ledger.event("trial.test_failed", run.trial, reason=_last_line(error), traceback=str(error))
                return
            if run.trial.id not in self.ledger.running:
                self.ledger.start(run.trial, None, None)
            self._places.pop(run.actor, None)
            outcome = self._outcome_of(run, error)
            assert outcome.failure is not None
            self.ledger.finish(run.trial, outcome)
            self._note_failure(run, outcome.failure)
            self._count_gpus()

    def broken_off(self, error: RayError) -> None:
        """Tune gave up, and took all processes along. Those that died by themselves before have failed."""
        for key, run in list(self._runs.items()):
            death = self._death_of(run.actor)
            if isinstance(death, OutOfMemoryError):
                self.failed(key, death)
            elif run.test is not None:
                self._to_test = None
            elif run.actor is None:
                self.ledger.waiting.appendleft(run.trial)
            else:
                self.ledger.put_back(run.trial, f"ended along with another trial: {_first_line(error)}")
        self._runs.clear()

    def tick(self) -> None:
        """Several times a second: requests, limits of time, reasons for waiting, what is due to be stored."""
        with _leaving():
            self.check_requests()
            self._take_up_changes()
            self._end_overdue()
            self._explain_waiting()
            self.ledger.flush_if_due()

    def check_requests(self) -> None:
        """Raises Interrupted where the job is to end at once."""
        request = self.heartbeat.job.request
        if request is JobRequest.CANCEL:
            raise Interrupted(Reason.CANCEL)
        if request is JobRequest.PAUSE:
            raise Interrupted(Reason.PAUSE)
        if self.shutdown:
            raise Interrupted(Reason.SHUTDOWN)

    # ---- inside ----------------------------------------------------------------------------------------------------

    def _take_up_changes(self) -> None:
        """A user gave the job more budget, or wants its failed trials tried again."""
        revision = self.heartbeat.job.revision
        if revision == self._revision:
            return
        self._revision, self._to_test = revision, None
        self.ledger.flush()
        take_up(self._store, self.heartbeat.job, self.ledger, {run.trial.id for run in self._runs.values()})

    def _end_overdue(self) -> None:
        now = time.monotonic()
        for run in self._runs.values():
            if run.deadline is not None and now > run.deadline and not run.overdue:
                run.overdue = True
                ray.kill(run.actor)

    def _explain_waiting(self) -> None:
        now = time.monotonic()
        if now - self._explained < EXPLAIN_SECONDS:
            return
        self._explained = now
        self.heartbeat.nodes = self.placement.nodes()
        pending = [run for run in self._runs.values() if run.actor is None and run.test is None]
        handed = [run for run in pending if now - run.handed > PATIENCE_SECONDS]
        why = {workers: self.placement.why_waiting(workers) for workers in {run.workers for run in handed}}
        for run in handed:
            self.ledger.explain(run.trial, why[run.workers])
        late = [trial for trial in self.ledger.waiting if now - trial.since > PATIENCE_SECONDS]
        for trial in late:
            self.ledger.explain(trial, f"{len(self._runs)} of {self.placement.slots()} trials at once are running")

    def _place_of(self, actor: Any) -> tuple[str, str, int] | None:
        if actor not in self._places:
            try:
                self._places[actor] = ray.get(actor.place.remote(), timeout=PLACE_SECONDS)
            except RayError:  # it died meanwhile, which Tune is about to tell
                return None
        return self._places[actor]

    def _death_of(self, actor: Any) -> Exception | None:
        if actor is None:
            return None
        try:
            ray.get(actor.place.remote(), timeout=PLACE_SECONDS)
        except RayError as error:
            death: Exception = error
            return death
        return None

    def _outcome_of(self, run: Run, error: Exception | None) -> Outcome:
        if run.overdue:
            limit = self.spec.resources.trial_seconds
            return _failure(FailureKind.TIMED_OUT, f"no end within {limit:g} s; its process was ended")
        if isinstance(error, OutOfMemoryError):
            return _failure(FailureKind.OUT_OF_MEMORY, str(error))
        if isinstance(error, RayActorError) or error is None:
            return _failure(FailureKind.LOST, f"the worker was lost: {_first_line(error)}")
        return _failure(FailureKind.ERROR, str(error))

    def _note_failure(self, run: Run, kind: FailureKind) -> None:
        reason = self.placement.failed(run.node, run.trial.number, kind)
        if reason is not None and run.node is not None:
            node = run.node
            kept = node not in self.placement.avoided
            kind_of_event = "node.suspected" if kept else "node.avoided"
            self.ledger.event(kind_of_event, node=self.placement.name(node), reason=reason)

    def _count_gpus(self) -> None:
        processes = sum(run.workers for run in self._runs.values() if run.trial.id in self.ledger.running)
        self.heartbeat.gpus_in_use = processes * self.placement.resources.gpu

    def actors(self) -> list[Any]:
        """Processes that run an attempt now."""
        return [run.actor for run in self._runs.values() if run.actor is not None]


@contextmanager
def _leaving() -> Iterator[None]:
    """Our own errors (a lost lease, a database that is away too long) go through Tune as Interrupted."""
    try:
        yield
    except SearchsvcError as error:
        raise Interrupted(Reason.ERROR, error) from error


def _failure(kind: FailureKind, message: str) -> Outcome:
    return Outcome(TrialState.FAILED, kind, message)


def _first_line(error: Exception | None) -> str:
    return (str(error).splitlines() or [""])[0] if error is not None else "no reason is known"


def _last_line(error: Exception | None) -> str:
    return (str(error).strip().splitlines() or [""])[-1] if error is not None else "its process was lost"

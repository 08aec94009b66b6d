"""The life of jobs under every verb, kill, lost lease and delete, in any order, with a real store and controllers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from searchsvc.domain import Budget, Job, JobRequest, JobState, TrialState
from searchsvc.errors import Conflict, NotFound
from searchsvc.store import schema
from tests.support.job_world import LEASE_SECONDS, JobWorld, SimulatedDriver, opened_world

T = TypeVar("T")
P, R, S = JobState.PAUSED, JobState.RUNNING, JobState.STOPPING
OK, GONE = JobState.SUCCEEDED, JobState.CANCELLED
VERBS = ("pause", "resume", "stop", "cancel", "retry", "extend")
MOVES = ("beat", "work", "conclude", "move", "kill", "freeze", "fail")
CONTROLS = ("turn", "start controller", "kill controller", "end controller")
ACTIONS = (
    *VERBS,
    *("stop", "cancel", "cancel", "pause"),
    *MOVES,
    *("move", "move", "kill"),
    *CONTROLS,
    *("turn", "turn"),
    *("submit", "submit", "delete", "remove", "wait", "wait", "thaw"),
)
MOST_JOBS, MOST_CONTROLLERS = 2, 2


@pytest.fixture
def world(sqlite_url: str, tmp_path: Path) -> Iterator[JobWorld]:
    with opened_world(sqlite_url, tmp_path) as opened:
        yield opened


def a_running_job(world: JobWorld) -> Job:
    job = world.submit()
    world.turn(world.controllers[0] if world.controllers else world.start_controller())
    world.driver_of(job.id).move()
    assert world.store.job(job.id).state is R
    return job


def test_a_cancel_ends_a_stopping_job_whose_driver_is_killed_and_other_jobs_go_on(world: JobWorld) -> None:
    job = a_running_job(world)
    other = world.submit()
    world.store.stop_job(job.id)
    world.store.cancel_job(job.id)
    world.driver_of(job.id).kill()
    world.rest()
    assert (world.store.job(job.id).state, world.store.job(other.id).state) == (GONE, OK)
    assert world.store.leases() == []


@pytest.mark.parametrize(
    ("verbs", "state"), [("cancel", GONE), ("stop cancel", GONE), ("pause", P), ("pause cancel", GONE)]
)
@pytest.mark.parametrize("loss", ["killed", "frozen", "killed with its controller", "frozen without its controller"])
def test_a_request_is_carried_out_whatever_is_lost_before(
    world: JobWorld, verbs: str, state: JobState, loss: str
) -> None:
    job = a_running_job(world)
    for verb in verbs.split():
        getattr(world.store, f"{verb}_job")(job.id)
    driver = world.driver_of(job.id)
    if "controller" in loss:
        world.kill_controller(world.controllers[0])
    if "killed" in loss:
        driver.kill()
    else:
        driver.is_frozen = True
    world.rest()
    assert world.store.job(job.id).state is state
    driver.is_frozen = False
    driver.move()  # a zombie changes nothing
    assert world.store.job(job.id).state is state


@pytest.mark.parametrize(("verb", "state"), [("cancel", GONE), ("stop", OK), ("pause", OK)])
def test_a_verb_between_the_last_look_of_a_driver_and_its_end_is_not_lost(
    world: JobWorld, verb: str, state: JobState
) -> None:
    job = a_running_job(world)
    driver = world.driver_of(job.id)
    while sum(one.state is TrialState.SUCCEEDED for one in world.store.all_trials(job.id)) < 2:
        driver.beat()
        driver.work()
    driver.beat()
    getattr(world.store, f"{verb}_job")(job.id)
    driver.conclude()
    assert world.store.job(job.id).state is state


def test_a_stopping_job_that_gives_way_to_a_restart_ends_with_its_running_trials(world: JobWorld) -> None:
    job = a_running_job(world)
    driver = world.driver_of(job.id)
    while not any(one.state is TrialState.RUNNING for one in world.store.all_trials(job.id)):
        driver.move()
    world.store.stop_job(job.id)
    world.end_controller(world.controllers[0])
    assert world.store.job(job.id).state is S
    assert [one.state for one in world.store.all_trials(job.id)] == [TrialState.QUEUED]
    world.rest()
    assert world.store.job(job.id).state is OK


class Worlds:
    """Worlds for many examples: an empty world is used again, since a new one takes a second to compile its SQL."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._empty: list[JobWorld] = []

    def take(self) -> JobWorld:
        if self._empty:
            return self._empty.pop()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"sqlite:///{folder / 'store.db'}"
        schema.upgrade(url)
        return self._stack.enter_context(opened_world(url, folder / "data"))

    def give_back(self, world: JobWorld) -> None:
        self._empty.append(world)

    def close(self) -> None:
        self._stack.close()


_worlds = Worlds()


@pytest.fixture(scope="module", autouse=True)
def closed_worlds() -> Iterator[None]:
    yield
    _worlds.close()


class LifeOfJobs(RuleBasedStateMachine):
    """Every verb and every loss, in any order. The last accepted verb on each job is a promise that must be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.world = _worlds.take()
        self.promises: dict[str, str | None] = {}
        """Last accepted verb of each job that is not deleted."""
        self.deleted: set[str] = set()
        self.promises[a_running_job(self.world).id] = None

    def teardown(self) -> None:
        self._come_to_rest()
        self.world.clear()
        _worlds.give_back(self.world)

    @rule(action=st.sampled_from(ACTIONS), which=st.integers(0, 11))
    def act(self, action: str, which: int) -> None:
        """Do one thing, to one of the jobs, drivers or controllers. One rule: Hypothesis switches off whole rules."""
        if action in VERBS:
            self._act_on(sorted(self.promises), which, partial(self._ask, verb=action))
        elif action in ("delete", "submit"):
            self._submit_or_delete(action, which)
        elif action in MOVES:
            self._act_on(self.world.able_drivers(), which, partial(self._move, action))
        elif action == "thaw":
            for driver in self.world.drivers:
                driver.is_frozen = False
        elif action == "wait":
            self.world.clock.now += (0.5, 1.5, 2 * LEASE_SECONDS)[which % 3]
        elif action == "remove":
            for job_id in self.world.store.jobs_to_remove():
                self.world.store.remove_rows(job_id, 1 + which * which)
        else:
            self._control(action, which)

    @staticmethod
    def _act_on(things: Sequence[T], which: int, act: Callable[[T], None]) -> None:
        if things:
            act(things[which % len(things)])

    # ---- users

    def _ask(self, job_id: str, verb: str) -> None:
        store, before = self.world.store, self.world.store.job(job_id)
        try:
            if verb == "extend":
                after = store.extend_job(job_id, Budget(trials=(before.spec.budget.trials or 0) + 1))
            else:
                after = getattr(store, f"{verb}_job")(job_id)
        except Conflict:
            assert store.job(job_id) == before
            return
        assert store.job(job_id) == after
        assert _is_fulfilled_or_requested(verb, after), (verb, before, after)
        # retry and extend leave a pause as it is
        is_kept = verb in ("retry", "extend") and self.promises[job_id] == "pause" and before.state not in _ENDED
        self.promises[job_id] = "pause" if is_kept else verb

    def _submit_or_delete(self, action: str, which: int) -> None:
        if action == "submit" and len(self.promises) < MOST_JOBS:
            self.promises[self.world.submit().id] = None
        elif action == "delete":
            self._act_on(sorted(self.promises), which, self._delete)

    def _delete(self, job_id: str) -> None:
        before = self.world.store.job(job_id)
        try:
            self.world.store.delete_job(job_id)
        except Conflict:
            assert before.state in (R, S)
            assert self.world.store.job(job_id) == before
            return
        assert before.state not in (R, S)
        del self.promises[job_id]
        self.deleted.add(job_id)

    # ---- moves and losses

    def _control(self, action: str, which: int) -> None:
        if action == "start controller" or not self.world.controllers:
            if len(self.world.controllers) < MOST_CONTROLLERS:
                self.world.start_controller()
            return
        acts = {
            "turn": self.world.turn,
            "kill controller": self.world.kill_controller,
            "end controller": self.world.end_controller,
        }
        self._act_on(self.world.controllers, which, acts[action])

    @staticmethod
    def _move(move: str, driver: SimulatedDriver) -> None:
        if move == "freeze":
            driver.is_frozen = True
        elif move == "fail":
            driver.fails_trials = True
        else:
            getattr(driver, move)()

    # ---- what must hold

    def _come_to_rest(self) -> None:
        self.world.rest()
        for job_id, promise in self.promises.items():
            job = self.world.store.job(job_id)
            assert job.state in _KEPT[promise], (promise, job)
            assert job.request is None
            counts = self.world.store.trial_counts(job_id)
            assert counts[TrialState.RUNNING] == 0
            assert not job.state.is_final or counts[TrialState.QUEUED] == 0
        assert self.world.store.leases() == []

    @invariant()
    def only_a_driven_job_has_a_request_or_a_lease(self) -> None:
        jobs = {job.id: job for job in self.world.store.jobs()}
        assert set(jobs) == set(self.promises)
        assert all(job.request is None or job.state.is_driven for job in jobs.values())
        assert all(jobs[lease.job_id].state.is_driven for lease in self.world.store.leases())

    @invariant()
    def a_deleted_job_never_comes_back(self) -> None:
        for job_id in self.deleted:
            with pytest.raises(NotFound):
                self.world.store.job(job_id)


_ENDED = (OK, JobState.FAILED)
_KEPT = {
    None: _ENDED,
    "pause": (P, *_ENDED),
    "resume": _ENDED,
    "stop": _ENDED,
    "cancel": (GONE,),
    "retry": _ENDED,
    "extend": _ENDED,
}
"""States of a job at rest, by the last verb that was accepted. A job that ends before it can pause has ended."""


def _is_fulfilled_or_requested(verb: str, job: Job) -> bool:
    continues = not job.state.is_final and job.state is not S and job.request is not JobRequest.CANCEL
    return {
        "pause": job.state is P or job.request is JobRequest.PAUSE,
        "resume": job.state in (JobState.QUEUED, R) and job.request is None,
        "stop": job.state in (S, OK),
        "cancel": job.state is GONE or job.request is JobRequest.CANCEL,
        "retry": continues,
        "extend": continues,
    }[verb]


TestLifeOfJobs = LifeOfJobs.TestCase
TestLifeOfJobs.settings = settings(
    max_examples=45,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)

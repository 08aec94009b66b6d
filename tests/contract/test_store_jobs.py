"""The life of a job: the requests allowed in each state, and their effects."""

from __future__ import annotations

import pytest

from searchsvc.domain import (
    Budget,
    FailureKind,
    Job,
    JobRequest,
    JobState,
    Lease,
    Outcome,
    TrialState,
    new_id,
)
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.store import Store
from tests.support.jobs import DONE, Clock, a_claimed_job, a_spec, add_trials, run_trials

Q, R, P, S = JobState.QUEUED, JobState.RUNNING, JobState.PAUSED, JobState.STOPPING
OK, BAD, GONE = JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED
DEAD = (GONE, None)


def a_job_that_is(store: Store, state: JobState) -> tuple[Job, Lease | None]:
    """Return a job in `state`, with a driver if a job in that state has one."""
    if state in (Q, P):
        job, _ = store.create_job(a_spec())
        return (store.pause_job(job.id) if state is P else job), None
    _, lease = a_claimed_job(store)
    if state is S:
        store.stop_job(lease.job_id)
    if state.is_final:
        if state is GONE:
            store.cancel_job(lease.job_id)
        writer = store.writer(lease)
        writer.finish_job(state)
        writer.flush()
    return store.job(lease.job_id), None if state.is_final else lease


def kinds(store: Store, job_id: str) -> list[str]:
    return [event.kind for event in store.events(after=0, job_id=job_id)]


def test_a_new_job_is_queued_and_says_so_in_an_event(store: Store) -> None:
    job, made = store.create_job(a_spec(seed=2**62), owner="alice")
    assert made
    assert store.job(job.id) == job
    assert (job.state, job.request, job.epoch, job.owner, job.seconds_used) == (Q, None, 0, "alice", 0.0)
    assert job.spec == a_spec(seed=2**62)
    [event] = store.events(after=0)
    assert (event.kind, event.job_id, event.trial_id, event.at) == ("job.submitted", job.id, None, job.created_at)


def test_an_id_that_is_taken_or_unknown_is_said_so(store: Store) -> None:
    job, _ = store.create_job(a_spec(), job_id=new_id())
    with pytest.raises(Conflict, match=job.id):
        store.create_job(a_spec(), job_id=job.id)
    for unknown in (new_id(), "", "x\0y", "\ud800", "'; DROP TABLE jobs"):
        with pytest.raises(NotFound):
            store.job(unknown)
    with pytest.raises(NotFound):
        store.cancel_job(new_id())


def test_a_request_that_is_tried_again_finds_its_job(store: Store) -> None:
    request_id = new_id()
    job, made = store.create_job(a_spec(), owner="alice", owner_id=new_id(), request_id=request_id)
    again, made_again = store.create_job(a_spec(seed=5), request_id=request_id)
    assert (job.id, made, made_again) == (request_id, True, False)
    assert again == job
    assert len(store.jobs()) == 1


@pytest.mark.parametrize(
    ("ask", "moves"),
    [
        # state before: (state after, request to the driver), or None if it is refused
        ("pause_job", {Q: (P, None), R: (R, "PAUSE"), P: (P, None), S: None, OK: None, BAD: None, GONE: None}),
        ("resume_job", {Q: (Q, None), R: (R, None), P: (Q, None), S: None, OK: None, BAD: None, GONE: None}),
        ("stop_job", {Q: (OK, None), R: (S, None), P: (OK, None), S: (S, None), OK: (OK, None), BAD: None, GONE: None}),
        ("cancel_job", {Q: DEAD, R: (R, "CANCEL"), P: DEAD, S: (S, "CANCEL"), OK: None, BAD: None, GONE: DEAD}),
    ],
)
def test_what_may_be_asked_in_each_state(
    store: Store, ask: str, moves: dict[JobState, tuple[JobState, str | None] | None]
) -> None:
    assert set(moves) == set(JobState)
    for state, after in moves.items():
        job, _ = a_job_that_is(store, state)
        assert job.state is state
        if after is None:
            with pytest.raises(Conflict, match=state):
                getattr(store, ask)(job.id)
            assert store.job(job.id) == job
            continue
        for _ in range(2):  # a request that is already fulfilled is no error and changes nothing
            answer = getattr(store, ask)(job.id)
            events = kinds(store, job.id)
            assert (answer.state, answer.request) == after, (ask, state)
            assert store.job(job.id) == answer
        getattr(store, ask)(job.id)
        assert kinds(store, job.id) == events
        assert (answer.finished_at is not None) == answer.state.is_final


@pytest.mark.parametrize("verb", ["pause_job", "resume_job", "stop_job"])
def test_a_cancel_wins_over_a_pause_and_cannot_be_taken_back(store: Store, verb: str) -> None:
    job, _ = a_claimed_job(store)
    assert store.pause_job(job.id).request is JobRequest.PAUSE
    assert store.cancel_job(job.id).request is JobRequest.CANCEL
    with pytest.raises(Conflict, match="being cancelled"):
        getattr(store, verb)(job.id)
    assert store.job(job.id).request is JobRequest.CANCEL


def test_a_pause_that_was_not_carried_out_can_be_taken_back(store: Store) -> None:
    job, _ = a_claimed_job(store)
    store.pause_job(job.id)
    assert store.resume_job(job.id).request is None
    store.pause_job(job.id)
    assert (store.stop_job(job.id).state, store.job(job.id).request) == (S, None)


@pytest.mark.parametrize(("ask", "state", "trial"), [("pause_job", P, "QUEUED"), ("cancel_job", GONE, "CANCELLED")])
def test_a_job_whose_driver_is_gone_needs_none_to_be_paused_or_cancelled(
    database_url: str, ask: str, state: JobState, trial: str
) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    job, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.start_attempt(trial_id, 1, None, None, clock.now)
    writer.flush()
    assert getattr(store, ask)(job.id).state is R
    clock.now = lease.deadline
    assert getattr(store, ask)(job.id).state is state
    assert (store.trial(trial_id).state, store.attempts(trial_id)[0].state) == (TrialState(trial), TrialState.CANCELLED)
    assert store.leases() == []
    store.close()


@pytest.mark.parametrize("ask", ["stop_job", "cancel_job"])
def test_ending_a_waiting_job_closes_its_open_trials(store: Store, ask: str) -> None:
    _, lease = a_claimed_job(store)
    [ended] = run_trials(store, lease, [0.5])
    waiting = add_trials(store, lease, 3, first=1)
    writer = store.writer(lease)
    store.pause_job(lease.job_id)
    writer.finish_job(P)
    writer.flush()
    getattr(store, ask)(lease.job_id)
    assert store.trial(ended).state is TrialState.SUCCEEDED
    assert {store.trial(one).state for one in waiting} == {TrialState.CANCELLED}
    counts = store.trial_counts(lease.job_id)
    assert (counts[TrialState.CANCELLED], counts[TrialState.QUEUED], counts[TrialState.SUCCEEDED]) == (3, 0, 1)


def test_a_retry_queues_the_failed_trials_only_and_wakes_the_job(store: Store) -> None:
    _, lease = a_claimed_job(store)
    ids = add_trials(store, lease, 2)
    writer = store.writer(lease)
    failed = Outcome(TrialState.FAILED, FailureKind.DIVERGED, "Traceback\nValueError: the loss is NaN")
    for position, (trial_id, outcome) in enumerate(zip(ids, [failed, DONE], strict=True)):
        writer.start_attempt(trial_id, 1, None, None, 0.0)
        writer.finish(trial_id, 1, outcome, position)
    writer.finish_job(OK)
    writer.flush()
    assert store.trial(ids[0]).reason == "ValueError: the loss is NaN"
    job = store.retry_job(lease.job_id)
    assert (job.state, job.finished_at, job.revision) == (Q, None, 1)
    trial = store.trial(ids[0])
    assert (trial.state, trial.failure, trial.told, trial.reason) == (TrialState.QUEUED, None, None, None)
    assert (trial.attempts, trial.finished_at) == (1, None)
    assert store.trial(ids[1]).told == 1
    assert store.trial_counts(job.id)[TrialState.QUEUED] == 1
    with pytest.raises(Conflict, match="no failed trials"):
        store.retry_job(job.id)


def test_a_job_that_failed_itself_can_be_retried(store: Store) -> None:
    job, _ = a_job_that_is(store, BAD)
    assert store.retry_job(job.id).state is Q


def test_a_budget_only_grows_and_an_ended_job_goes_on_with_it(store: Store) -> None:
    job, _ = a_job_that_is(store, OK)
    with pytest.raises(InvalidInput) as caught:
        store.extend_job(job.id, Budget(trials=50, seconds=1000.0, gpu_hours=1.0))
    assert [fault.pointer for fault in caught.value.faults] == ["/trials", "/gpu_hours"]
    assert store.job(job.id) == job
    extended = store.extend_job(job.id, Budget(trials=200))
    assert (extended.state, extended.spec.budget, extended.revision) == (Q, Budget(trials=200), 1)
    assert extended.spec.model_copy(update={"budget": job.spec.budget}) == job.spec


def test_a_running_job_keeps_its_state_when_extended_and_an_ending_one_refuses(store: Store) -> None:
    job, _ = a_job_that_is(store, R)
    assert store.extend_job(job.id, Budget(trials=100, seconds=900.0)).revision == 0
    extended = store.extend_job(job.id, Budget(trials=101, seconds=900.0))
    assert (extended.state, extended.revision) == (R, 1)
    store.stop_job(job.id)
    with pytest.raises(Conflict, match="is ending"):
        store.extend_job(job.id, Budget(trials=102))


def test_jobs_are_listed_newest_first_in_pages(store: Store) -> None:
    ids = [store.create_job(a_spec(name=f"job {n % 2}"))[0].id for n in range(5)]
    store.cancel_job(ids[3])
    assert [job.id for job in store.jobs()] == ids[::-1]
    page = store.jobs(limit=2)
    assert [job.id for job in store.jobs(after=page[-1].id, limit=2)] == ids[2:0:-1]
    assert [job.id for job in store.jobs(state=GONE)] == [ids[3]]
    assert [job.id for job in store.jobs(name="job 0")] == [ids[4], ids[2], ids[0]]
    assert [job.id for job in store.jobs(prefix=ids[2])] == [ids[2]]
    assert store.jobs(prefix="%") == []

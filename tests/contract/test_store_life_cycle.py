"""The store does to a job what the table of its life cycle says, in every situation and for every trigger."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from searchsvc.domain import FailureKind, JobRequest, JobState, Lease, Outcome, TrialState
from searchsvc.domain.life_cycle import LIFE_CYCLE, SITUATIONS, Refusal, Situation, Transition, TrialEffect, Trigger
from searchsvc.errors import Conflict, LeaseLost, NotFound
from searchsvc.store import Store
from tests.support.jobs import TTL_SECONDS, Clock, a_claimed_job, a_spec, add_trials

OPEN = {"waiting": TrialState.QUEUED, "running": TrialState.RUNNING, "failed": TrialState.FAILED}
EFFECTS = {
    TrialEffect.NONE: {},
    TrialEffect.REQUEUE: {"running": TrialState.QUEUED},
    TrialEffect.CLOSE: {"waiting": TrialState.CANCELLED, "running": TrialState.CANCELLED},
    TrialEffect.RETRY: {"failed": TrialState.QUEUED},
}
ENDINGS = {
    Trigger.SUCCEEDED: JobState.SUCCEEDED,
    Trigger.FAILED: JobState.FAILED,
    Trigger.INTERRUPTED: JobState.PAUSED,
    Trigger.SUPERSEDED: JobState.SUCCEEDED,
}


class Subject:
    """A job in a situation, with a waiting trial, a failed trial and, if it has had no end, a running trial."""

    def __init__(self, store: Store, clock: Clock, situation: Situation) -> None:
        self.store, self.clock = store, clock
        self.job, self.lease = a_claimed_job(store)
        self.id = self.job.id
        waiting, running, failed = add_trials(store, self.lease, 3)
        self.trials = {"waiting": waiting, "running": running, "failed": failed}
        writer = store.writer(self.lease)
        writer.start_attempt(running, 1, None, None, 0.0)
        writer.start_attempt(failed, 1, None, None, 0.0)
        writer.finish(failed, 1, Outcome(TrialState.FAILED, FailureKind.ERROR, "broken"), 0)
        writer.flush()
        if situation.state is JobState.STOPPING:
            store.stop_job(self.id)
        if situation.request is not None:
            self._request(situation.request)
        if situation.state.is_driven and not situation.has_driver:
            clock.now = self.lease.deadline
        if not situation.state.is_driven:
            self._end(situation.state)
        self.states = self.trial_states()

    def _request(self, request: JobRequest) -> None:
        {JobRequest.PAUSE: self.store.pause_job, JobRequest.CANCEL: self.store.cancel_job}[request](self.id)

    def _end(self, state: JobState) -> None:
        if state is JobState.PAUSED:
            self.store.pause_job(self.id)
        if state is JobState.CANCELLED:
            self.store.cancel_job(self.id)
        self.end_driver(JobState.PAUSED if state is JobState.QUEUED else state)

    def end_driver(self, state: JobState, revision: int | None = None) -> None:
        writer = self.store.writer(self.lease)
        writer.finish_job(state, "because", revision=revision)
        writer.flush()

    def situation(self) -> Situation:
        job = self.store.job(self.id)
        has_driver = any(one.job_id == self.id and one.deadline > self.clock.now for one in self.store.leases())
        return Situation(job.state, job.request, has_driver)

    def trial_states(self) -> dict[str, TrialState]:
        return {name: self.store.trial(trial_id).state for name, trial_id in self.trials.items()}

    def record(self) -> list[object]:
        leases = [one for one in self.store.leases() if one.job_id == self.id]
        return [self.store.job(self.id), self.store.all_trials(self.id), leases, self.store.last_sequence()]

    def do(self, trigger: Trigger) -> None:
        store, budget = self.store, self.job.spec.budget
        larger = budget.model_copy(update={"trials": 1000})
        verbs: dict[Trigger, Callable[[], object]] = {
            Trigger.PAUSE: lambda: store.pause_job(self.id),
            Trigger.RESUME: lambda: store.resume_job(self.id),
            Trigger.STOP: lambda: store.stop_job(self.id),
            Trigger.CANCEL: lambda: store.cancel_job(self.id),
            Trigger.RETRY: lambda: store.retry_job(self.id),
            Trigger.EXTEND: lambda: store.extend_job(self.id, larger),
            Trigger.DELETE: lambda: store.delete_job(self.id),
            Trigger.RELEASED: lambda: store.release(self.lease),
            Trigger.LOST: self._lose,
        }
        if trigger in verbs:
            verbs[trigger]()
        elif trigger is Trigger.CLAIM:
            self.claim()
        else:
            revision = store.job(self.id).revision - (trigger is Trigger.SUPERSEDED)
            self.end_driver(ENDINGS[trigger], revision)

    def claim(self) -> Lease | None:
        has_driver = self.clock.now < self.lease.deadline
        expired = () if has_driver else self.store.lease_marks()
        claimed = self.store.claim_job(self.id, "next", TTL_SECONDS, expired)
        assert claimed is None or claimed[0].request is None
        return claimed and claimed[1]

    def _lose(self) -> None:
        if any(one.job_id == self.id for one in self.store.leases()):
            self.clock.now = max(self.clock.now, self.lease.deadline)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(database_url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(database_url, clock=clock)
    yield opened
    opened.close()


def _refuses(subject: Subject, trigger: Trigger) -> None:
    """A refused trigger changes nothing; what has no driver cannot report anything."""
    before = subject.record()
    if trigger.is_verb:
        with pytest.raises(Conflict, match=subject.id):
            subject.do(trigger)
    elif trigger.ends_driver and trigger is not Trigger.RELEASED:
        with pytest.raises(LeaseLost):
            subject.do(trigger)
    else:
        subject.do(trigger)
    assert subject.record() == before


def _makes(subject: Subject, trigger: Trigger, transition: Transition) -> None:
    sequence = subject.store.last_sequence()
    subject.do(trigger)
    new = [event.kind for event in subject.store.events(after=sequence)]
    assert new == ([] if transition.event is None else [transition.event])
    if transition.after is None:
        with pytest.raises(NotFound):
            subject.store.job(subject.id)
        return
    assert subject.situation() == transition.after
    expected = {name: EFFECTS[transition.trials].get(name, state) for name, state in subject.states.items()}
    if transition.trials is TrialEffect.CLOSE:
        expected |= {name: state for name, state in subject.states.items() if state.is_final}
    assert subject.trial_states() == expected
    assert all(
        count == list(expected.values()).count(state) for state, count in subject.store.trial_counts(subject.id).items()
    )
    job = subject.store.job(subject.id)
    assert (job.finished_at is not None) == job.state.is_final
    if not transition.after.state.is_driven:
        assert subject.store.leases() == []


@pytest.mark.parametrize("trigger", Trigger)
def test_the_store_does_what_the_life_cycle_says(store: Store, clock: Clock, trigger: Trigger) -> None:
    for situation in SITUATIONS:
        subject = Subject(store, clock, situation)
        assert subject.situation() == situation
        effect = LIFE_CYCLE[situation, trigger]
        if isinstance(effect, Refusal):
            _refuses(subject, trigger)
        elif (
            effect.trials is TrialEffect.RETRY or situation.state is not JobState.FAILED or trigger is not Trigger.RETRY
        ):
            _makes(subject, trigger, effect)
        for lease in store.leases():  # the next job starts with an empty table of leases
            store.release(lease)


def test_a_claim_carries_out_the_requests_of_dead_drivers_and_gives_the_next_job(store: Store) -> None:
    paused, stopped = (a_claimed_job(store)[0].id for _ in range(2))
    store.pause_job(paused)
    store.stop_job(stopped)
    store.cancel_job(stopped)
    waiting, _ = store.create_job(a_spec())
    claimed = store.claim("next", TTL_SECONDS, store.lease_marks())
    assert claimed is not None
    assert claimed[0].id == waiting.id
    assert (store.job(paused).state, store.job(stopped).state) == (JobState.PAUSED, JobState.CANCELLED)
    assert [lease.job_id for lease in store.leases()] == [waiting.id]
    assert store.claim("next", TTL_SECONDS) is None


@pytest.mark.parametrize("ended", [JobState.SUCCEEDED, JobState.FAILED])
def test_a_retry_between_the_last_look_of_a_driver_and_its_end_is_not_lost(
    store: Store, clock: Clock, ended: JobState
) -> None:
    subject = Subject(store, clock, Situation(JobState.RUNNING, None, True))
    store.retry_job(subject.id)
    subject.end_driver(ended, revision=0)
    assert subject.situation() == Situation(JobState.QUEUED)
    assert subject.trial_states()["failed"] is TrialState.QUEUED


def test_the_reason_of_an_end_is_kept_if_a_cancel_was_not_seen_by_the_driver(store: Store, clock: Clock) -> None:
    subject = Subject(store, clock, Situation(JobState.RUNNING, JobRequest.CANCEL, True))
    subject.end_driver(JobState.FAILED, revision=0)
    job = store.job(subject.id)
    assert (job.state, job.reason) == (JobState.CANCELLED, "because")

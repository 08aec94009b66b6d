"""JobWriter: a driver's writes are stored in order, completely or not at all, and are read back unchanged."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from searchsvc.domain import (
    Candidate,
    FailureKind,
    FileMade,
    JobRequest,
    JobState,
    Lease,
    Measurement,
    Outcome,
    Proposal,
    TrialKind,
    TrialState,
    new_id,
)
from searchsvc.errors import LeaseLost, NotFound, Unstorable
from searchsvc.store import JobWriter, Store
from tests.support.jobs import DONE, Clock, a_claimed_job, a_proposal, add_trials, run_trials
from tests.support.statements import commits, statements

NASTY = {"tiny": 5e-324, "third": 1 / 3, "one": 1.0, "whole": 1, "yes": True, "huge": 2**62, "minus": -0.0, "e": 1e300}


def same_to_the_bit(value: object, other: object) -> bool:
    return repr(value) == repr(other)


def test_a_trial_comes_back_as_it_was_proposed(store: Store) -> None:
    _, lease = a_claimed_job(store)
    text = "π \ud800 \0 \u2028 ' \" \\ 🙂"
    candidate = Candidate({**NASTY, "text": text})
    counted = {"rejected": {"flops": 2}, "answered": (1, 0), "costs": NASTY}
    proposal = Proposal(candidate, asks=7, told=3, **counted, in_full=True, kind=TrialKind.SUPERNET)
    writer = store.writer(lease)
    writer.add_trials([(trial_id := new_id(), 0, proposal)])
    writer.flush()
    trial = store.trial(trial_id)
    assert trial.proposal == proposal
    assert same_to_the_bit(dict(trial.values), {**NASTY, "text": text})
    assert same_to_the_bit(trial.proposal, proposal)
    assert (trial.state, trial.metrics, trial.step, trial.told) == (TrialState.QUEUED, None, 0, None)
    assert store.all_trials(lease.job_id) == [trial]


def test_a_trial_runs_is_measured_and_ends(store: Store) -> None:
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    trial_id = new_id()
    writer.add_trials([(trial_id, 0, a_proposal(0, costs={"flops": 5e6, "params": 10}))])
    writer.start_attempt(trial_id, 1, "node-1", 77, 12.5)
    steps = [Measurement(1 + n, {"accuracy": value, **NASTY}, 1.5 + n) for n, value in enumerate([0.25, 0.75, 0.5])]
    for measurement in steps:
        writer.measure(trial_id, measurement, max(steps[: measurement.step], key=lambda one: one.metrics["accuracy"]))
    writer.finish(trial_id, 1, Outcome(TrialState.STOPPED, None, "stopped by asha", (FileMade("w.bin", 3, "ab"),)), 0)
    writer.record_test(trial_id, {"accuracy": 0.7})
    writer.flush()
    trial = store.trial(trial_id)
    assert (trial.state, trial.best_step, trial.step, trial.seconds) == (TrialState.STOPPED, 2, 3, 3.5)
    assert same_to_the_bit(trial.metrics, {"flops": 5e6, "params": 10, "accuracy": 0.75, **NASTY})
    assert (trial.told, trial.attempts, trial.reason, trial.started_at) == (0, 1, "stopped by asha", 12.5)
    assert trial.test_metrics == {"accuracy": 0.7}
    assert same_to_the_bit(store.measurements(trial_id), steps)
    [attempt] = store.attempts(trial_id)
    assert (attempt.state, attempt.node, attempt.pid, attempt.started_at) == (TrialState.STOPPED, "node-1", 77, 12.5)
    [artifact] = store.artifacts(trial_id)
    assert (artifact.path, artifact.bytes) == (f"{lease.job_id}/{trial_id}/w.bin", 3)
    assert store.job_artifacts(lease.job_id) == [artifact]
    kinds = [event.kind for event in store.events(after=0) if event.trial_id == trial_id]
    measured = ["trial.measured"] * 3
    assert kinds == ["trial.proposed", "trial.started", *measured, "trial.finished", "trial.tested"]


def a_trials_life(writer: JobWriter, ids: list[str]) -> list[Callable[[], None]]:
    """Return the calls for a trial that is lost in its first attempt, finished in its second, and a waiting trial."""
    lost = (TrialState.FAILED, FailureKind.LOST, "the node died")
    first, second = Measurement(1, {"accuracy": 0.5}, 1.0), Measurement(2, {"accuracy": 0.25}, 2.0)
    return [
        lambda: writer.add_trials([(id_, n, a_proposal(n, rejected={"a": 1})) for n, id_ in enumerate(ids)]),
        lambda: writer.wait_reason(ids[0], "no free GPU"),
        lambda: writer.start_attempt(ids[0], 1, "n", 1, 1.0),
        lambda: writer.measure(ids[0], first, first),
        lambda: writer.requeue(ids[0], 1, *lost),
        lambda: writer.start_attempt(ids[0], 2, "m", 2, 2.0),
        lambda: writer.measure(ids[0], first, first),
        lambda: writer.measure(ids[0], second, first),
        lambda: writer.finish(ids[0], 2, DONE, 0),
        lambda: writer.count_rejections({"a": 1, "b": 2}, 3),
    ]


def test_it_makes_no_difference_how_the_operations_are_cut_into_batches(store: Store) -> None:
    results = []
    for flush_each in (False, True):
        _, lease = a_claimed_job(store)
        writer = store.writer(lease)
        ids = [new_id(), new_id()]
        for step in a_trials_life(writer, ids):
            step()
            if flush_each:
                writer.flush()
        writer.flush()
        trial = store.trial(ids[0])
        results.append(
            [
                (trial.state, trial.metrics, trial.step, trial.attempts, trial.told, trial.reason, trial.failure),
                [(one.number, one.state, one.failure, one.message, one.node) for one in store.attempts(ids[0])],
                [one.step for one in store.measurements(ids[0])],
                store.trial_counts(lease.job_id),
                store.rejections(lease.job_id),
                [event.kind for event in store.events(after=0, job_id=lease.job_id)],
            ]
        )
    assert results[0] == results[1]
    assert results[0][2] == [1, 2]  # the step that the second attempt repeated is stored once
    assert results[0][4] == ({"a": 3, "b": 2}, 3)


def test_a_test_result_is_stored_once(store: Store) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = run_trials(store, lease, [0.5])
    writer = store.writer(lease)
    for value in (0.4, 0.9):
        writer.record_test(trial_id, {"accuracy": value})
        writer.flush()
    assert store.trial(trial_id).test_metrics == {"accuracy": 0.4}


def test_totals_equal_what_is_stored(store: Store) -> None:
    _, lease = a_claimed_job(store)
    run_trials(store, lease, [0.1, 0.2])
    writer = store.writer(lease)
    a, b, c = add_trials(store, lease, 3, first=2)
    for trial_id in (a, b):
        writer.start_attempt(trial_id, 1, None, None, 0.0)
    writer.finish(a, 1, Outcome(TrialState.FAILED, FailureKind.ERROR, "x"), 2)
    writer.finish(c, 0, Outcome(TrialState.CANCELLED), None)
    writer.flush()
    for change in (store.retry_job, store.cancel_job, store.job):
        states = [trial.state for trial in store.all_trials(lease.job_id)]
        assert store.trial_counts(lease.job_id) == {state: states.count(state) for state in TrialState}
        assert store.trial_counts_of([lease.job_id, "none"]) == {lease.job_id: store.trial_counts(lease.job_id)}
        store.release(lease)
        change(lease.job_id)


def test_what_is_no_finite_number_is_refused_and_the_rest_of_its_batch_is_stored(store: Store) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.start_attempt(trial_id, 1, None, None, 0.0)
    bad = Measurement(1, {"accuracy": math.nan}, 1.0)
    with pytest.raises(Unstorable, match=r"measurements.metrics/accuracy: nan .* is not a finite number"):
        writer.measure(trial_id, bad, bad)
    writer.flush()
    assert store.measurements(trial_id) == []
    assert store.trial(trial_id).state is TrialState.RUNNING


def test_a_trial_of_another_job_is_not_found(store: Store) -> None:
    _, other = a_claimed_job(store)
    [theirs] = add_trials(store, other, 1)
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    writer.start_attempt(theirs, 1, None, None, 0.0)
    with pytest.raises(NotFound, match=theirs):
        writer.flush()


def end(store: Store, lease: Lease, state: JobState, **options: int) -> JobState:
    writer = store.writer(lease)
    writer.finish_job(state, "because", **options)
    writer.flush()
    assert store.leases() == []
    with pytest.raises(LeaseLost):
        store.heartbeat(lease, 1, seconds=0, gpu_seconds=0)
    return store.job(lease.job_id).state


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_ending_a_job_closes_its_trials_and_gives_the_lease_back(store: Store, state: JobState) -> None:
    _, lease = a_claimed_job(store)
    waiting, running = add_trials(store, lease, 2)
    writer = store.writer(lease)
    writer.start_attempt(running, 1, None, None, 0.0)
    writer.flush()
    if state is JobState.CANCELLED:
        store.cancel_job(lease.job_id)
    assert end(store, lease, state) is state
    job = store.job(lease.job_id)
    assert (job.reason, job.finished_at is not None, job.request) == ("because", True, None)
    assert [store.trial(one).state for one in (waiting, running)] == [TrialState.CANCELLED] * 2
    assert store.attempts(running)[0].state is TrialState.CANCELLED
    assert store.trial_counts(job.id)[TrialState.CANCELLED] == 2


def test_a_paused_jobs_running_trials_wait_again(store: Store) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.start_attempt(trial_id, 1, None, None, 0.0)
    writer.flush()
    store.pause_job(lease.job_id)
    assert end(store, lease, JobState.PAUSED) is JobState.PAUSED
    trial, [attempt] = store.trial(trial_id), store.attempts(trial_id)
    assert (trial.state, trial.reason) == (TrialState.QUEUED, "paused")
    assert (attempt.state, attempt.message) == (TrialState.CANCELLED, "paused")
    assert store.claim("another", 1) is None


@pytest.mark.parametrize(
    ("then", "state"),
    [("resume_job", JobState.QUEUED), ("cancel_job", JobState.CANCELLED), ("stop_job", JobState.STOPPING)],
)
def test_a_pause_becomes_what_was_asked_for_while_it_was_carried_out(store: Store, then: str, state: JobState) -> None:
    _, lease = a_claimed_job(store)
    assert store.pause_job(lease.job_id).request is JobRequest.PAUSE
    getattr(store, then)(lease.job_id)
    assert end(store, lease, JobState.PAUSED) is state
    assert (store.claim("next", 1) is None) == state.is_final


def test_a_job_extended_while_it_ended_goes_on(store: Store) -> None:
    job, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    store.extend_job(job.id, job.spec.budget.model_copy(update={"trials": 1000}))
    assert end(store, lease, JobState.SUCCEEDED, revision=job.revision) is JobState.QUEUED
    assert store.trial(trial_id).state is TrialState.QUEUED
    claimed = store.claim("next", 1)
    assert claimed is not None
    assert end(store, claimed[1], JobState.SUCCEEDED, revision=claimed[0].revision) is JobState.SUCCEEDED


def test_a_batch_takes_as_many_statements_however_large_it_is(store: Store) -> None:
    counts = []
    for size in (10, 500):
        _, lease = a_claimed_job(store)
        old = add_trials(store, lease, size)
        writer = store.writer(lease)
        writer.add_trials([(new_id(), size + n, a_proposal(n)) for n in range(size)])
        for position, trial_id in enumerate(old):
            measured = Measurement(1, {"accuracy": 0.5}, 1.0)
            writer.start_attempt(trial_id, 1, None, None, 0.0)
            writer.measure(trial_id, measured, measured)
            writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED, files=(FileMade("w", 1, "x"),)), position)
        with statements() as sent:
            writer.flush()
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 14
    with statements() as sent:
        writer.flush()
    assert sent == []  # without operations, nothing is sent


def test_two_thousand_measurements_are_durable_after_a_hundred_commits(store: Store, database_url: str) -> None:
    _, lease = a_claimed_job(store)
    ids = add_trials(store, lease, 20)
    writer = store.writer(lease)
    with commits() as made, statements() as sent:
        for step in range(1, 101):
            for trial_id in ids:
                measurement = Measurement(step, {"accuracy": step / 100, "loss": 1 / step}, float(step))
                writer.measure(trial_id, measurement, measurement)
            writer.flush()  # 20 at a time: the measurements of a driver's flush interval
    assert len(made) == 100
    assert len(sent) <= 14 * 100
    other = Store.open(database_url)
    assert len(other.job_measurements(lease.job_id, limit=3000)) == 2000
    other.close()


def test_a_round_is_stored_once_with_one_event_however_often_it_is_given(store: Store) -> None:
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    writer.record_round(0, {"trials": 12, "rank_correlation": 1 / 3})
    writer.record_round(0, {"trials": 99})
    writer.flush()
    writer.record_round(0, {"trials": 13})
    writer.record_round(1, {"trials": 24})
    writer.flush()
    assert [(one.number, one.data) for one in store.rounds(lease.job_id)] == [
        (0, {"trials": 12, "rank_correlation": 1 / 3}),
        (1, {"trials": 24}),
    ]
    reported = [one.data for one in store.events(job_id=lease.job_id) if one.kind == "round.finished"]
    assert reported == [{"round": 0, "trials": 12, "rank_correlation": 1 / 3}, {"round": 1, "trials": 24}]


def test_a_writer_knows_how_many_operations_wait(store: Store) -> None:
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    assert len(writer) == 0
    writer.event("test.happened", {})
    writer.event("test.happened", {})
    assert len(writer) == 2
    writer.flush()
    assert len(writer) == 0
    writer.event("test.happened", {})
    store.release(lease)
    with pytest.raises(LeaseLost):
        writer.flush()
    assert len(writer) == 1  # of the batch that could not be written
    writer.finish_job(JobState.PAUSED)
    assert len(writer) == 2


def test_the_end_of_a_job_counts_until_it_is_written(store: Store) -> None:
    _, lease = a_claimed_job(store)
    writer = store.writer(lease)
    writer.event("test.happened", {})
    writer.finish_job(JobState.PAUSED)
    assert len(writer) == 2
    store.release(lease)
    with pytest.raises(LeaseLost):
        writer.flush()
    assert len(writer) == 2  # the batch that could not be written, with its end
    writer.event("test.happened", {})
    assert len(writer) == 3


def test_the_event_of_a_job_that_ends_has_a_reason_only_if_there_is_one(store: Store) -> None:
    for reason in (None, "no trial succeeded"):
        job, lease = a_claimed_job(store)
        writer = store.writer(lease)
        writer.finish_job(JobState.FAILED, reason)
        writer.flush()
        [event] = [one for one in store.events(after=0, job_id=job.id, limit=100) if one.kind == "job.failed"]
        assert event.data.get("reason", "no key") == (reason or "no key")
        assert store.job(job.id).reason == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Traceback\n  line\nValueError: no\n\n  \n", "ValueError: no"),
        ("one line", "one line"),
        ("  \n ", None),
        ("", None),
        (None, None),
        ("x" * 600, "x" * 500),
    ],
    ids=["traceback", "line", "blank", "empty", "none", "long"],
)
def test_the_reason_of_a_trial_is_the_last_line_that_says_something(
    store: Store, message: str | None, reason: str | None
) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.start_attempt(trial_id, 1, "node", 1, 0.0)
    writer.finish(trial_id, 1, Outcome(TrialState.FAILED, FailureKind.ERROR, message), 0)
    writer.flush()
    assert store.trial(trial_id).reason == reason
    assert store.attempts(trial_id)[0].message == message


def test_trials_that_a_job_closes_end_at_the_time_of_the_call(database_url: str) -> None:
    clock = Clock()
    store = Store.open(database_url, clock=clock)
    job, lease = a_claimed_job(store)
    [waiting, running] = add_trials(store, lease, 2)
    writer = store.writer(lease)
    writer.start_attempt(running, 1, "node", 1, clock.now)
    writer.flush()
    store.cancel_job(job.id)
    clock.now += 7.0
    writer.finish_job(JobState.CANCELLED)
    writer.flush()
    for trial_id in (waiting, running):
        trial = store.trial(trial_id)
        assert (trial.state, trial.finished_at) == (TrialState.CANCELLED, clock.now)
    assert store.attempts(running)[0].finished_at == clock.now
    assert store.trial_counts(job.id)[TrialState.CANCELLED] == 2
    store.close()


def test_the_work_of_algorithms_and_trials_is_summed_up(store: Store) -> None:
    _, lease = a_claimed_job(store)
    [trial_id] = add_trials(store, lease, 1)
    writer = store.writer(lease)
    writer.count_ask(0.5)
    writer.count_ask(1.5)
    for step, seconds in enumerate((2.0, 5.0, 5.5), start=1):
        measurement = Measurement(step, {"accuracy": 0.5}, seconds)
        writer.measure(trial_id, measurement, measurement)
    writer.flush()
    writer.measure(trial_id, measurement, measurement)  # a resumed attempt repeats a step
    writer.count_ask(1.0)
    writer.flush()
    statistics = store.statistics()
    assert (statistics.asks, statistics.ask_seconds, statistics.training_seconds) == (3, 3.0, 5.5)

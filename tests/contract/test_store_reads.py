"""Pages, rankings, totals and events: correct, and as cheap for many trials as for few."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from searchsvc.domain import (
    Candidate,
    Event,
    FailureKind,
    JobState,
    Measurement,
    Outcome,
    Token,
    TrialKind,
    TrialState,
    new_id,
)
from searchsvc.errors import Conflict, NotFound, StoreUnavailable
from searchsvc.store import Store
from searchsvc.store.changes import append_events
from tests.support.jobs import DONE, TTL_SECONDS, a_claimed_job, a_proposal, a_spec, add_trials, run_trials
from tests.support.statements import statements


def test_trials_come_in_pages_by_number_either_way(store: Store) -> None:
    _, lease = a_claimed_job(store)
    ids = run_trials(store, lease, [0.1] * 5)
    waiting = add_trials(store, lease, 5, first=5)

    def numbers(**page: object) -> list[int]:
        return [trial.number for trial in store.trials(lease.job_id, **page)]  # type: ignore[arg-type]  # any page

    assert numbers(limit=3) == [0, 1, 2]
    assert numbers(after=2, limit=3) == [3, 4, 5]
    assert numbers(newest_first=True, limit=2) == [9, 8]
    assert numbers(newest_first=True, after=8, limit=2) == [7, 6]
    assert numbers(state=TrialState.QUEUED, after=6) == [7, 8, 9]
    assert numbers(after=9) == []
    assert [trial.id for trial in store.all_trials(lease.job_id)] == ids + waiting
    with pytest.raises(NotFound):
        store.trial(new_id())


def test_supernets_are_found_among_the_trials_and_are_not_ranked(store: Store) -> None:
    job, lease = a_claimed_job(store)
    run_trials(store, lease, [0.1] * 2)
    writer = store.writer(lease)
    supernet = a_proposal(2, candidate=Candidate({}), kind=TrialKind.SUPERNET)
    writer.add_trials([(trial_id := new_id(), 2, supernet)])
    writer.start_attempt(trial_id, 1, "node", 1, 0.0)
    measured = Measurement(1, {"reward": 0.9}, 1.0)
    writer.measure(trial_id, measured, measured)
    writer.finish(trial_id, 1, DONE, 2)
    writer.flush()
    assert [one.proposal for one in store.supernets(job.id)] == [supernet]
    assert [one.number for one in store.best_trials(job.id, 9)] == [0, 1]
    assert {number for number, _, _ in store.results(job.id)} == {0, 1}


@pytest.mark.parametrize(("goal", "best"), [("maximize", [1, 3, 0]), ("minimize", [2, 0, 3])])
def test_the_best_are_ranked_by_the_first_objective_and_the_earlier_wins(
    store: Store, goal: str, best: list[int]
) -> None:
    _, lease = a_claimed_job(store, objectives=[{"metric": "accuracy", "goal": goal}])
    run_trials(store, lease, [0.5, 0.9, 0.1, 0.5] if goal == "minimize" else [0.5, 0.9, 0.1, 0.9])
    [failed] = run_trials(store, lease, [0.99 if goal == "maximize" else 0.0], first=4)
    writer = store.writer(lease)
    writer.finish(failed, 1, Outcome(TrialState.FAILED), 4)
    writer.flush()
    assert [trial.number for trial in store.best_trials(lease.job_id, 3)] == best


def test_a_trial_that_measured_nothing_is_ranked_by_what_is_known_before_training(store: Store) -> None:
    _, lease = a_claimed_job(store, objectives=[{"metric": "flops", "goal": "minimize"}])
    writer = store.writer(lease)
    costs = [{"flops": 5.0}, {"flops": 3.0}, {}]
    writer.add_trials([(new_id(), n, a_proposal(n, costs=known)) for n, known in enumerate(costs)])
    writer.flush()
    for position, trial in enumerate(store.all_trials(lease.job_id)):
        writer.finish(trial.id, 0, DONE, position)
    writer.flush()
    best = store.best_trials(lease.job_id, 3)
    assert [trial.observation().metrics for trial in best] == [{"flops": 3.0}, {"flops": 5.0}]


def test_results_are_the_metrics_of_the_ranked_trials_by_number(store: Store) -> None:
    _, lease = a_claimed_job(store)
    ids = run_trials(store, lease, [0.1, 1 / 3, 0.7])
    add_trials(store, lease, 2, first=3)
    reached = [(n, n, {"accuracy": value}) for n, value in enumerate([0.1, 1 / 3, 0.7])]
    assert sorted(store.results(lease.job_id), key=lambda row: row[0]) == reached
    assert store.results(lease.job_id, after=1) == reached[2:]
    assert [trial.id for trial in store.trials_numbered(lease.job_id, [2, 0, 99])] == [ids[2], ids[0]]
    assert store.trials_numbered(lease.job_id, []) == []
    assert {trial.id for trial in store.trials_with_ids([ids[0], new_id(), ids[2]])} == {ids[0], ids[2]}
    several = store.measurements_of(ids[:2])
    assert several == {one: store.measurements(one) for one in ids[:2]}
    assert all(several.values())


@pytest.mark.parametrize(("goal", "best"), [("minimize", [1, 2, 0, 3]), ("maximize", [0, 1, 2, 3])])
def test_trials_with_equal_first_objectives_are_ranked_by_the_next(store: Store, goal: str, best: list[int]) -> None:
    job, lease = a_claimed_job(store, objectives=[{"metric": "accuracy"}, {"metric": "flops", "goal": goal}])
    writer = store.writer(lease)
    costs = [{"flops": 9.0}, {"flops": 5.0}, {"flops": 5.0}, {}]
    ids = [new_id() for _ in costs]
    writer.add_trials([(ids[n], n, a_proposal(n, costs=known)) for n, known in enumerate(costs)])
    for position, trial_id in enumerate(ids):
        writer.start_attempt(trial_id, 1, "node", 1, 0.0)
        writer.measure(trial_id, Measurement(1, {"accuracy": 0.5}, 0.5), Measurement(1, {"accuracy": 0.5}, 0.5))
        writer.finish(trial_id, 1, DONE, position)
    writer.flush()
    ranked = store.best_trials(lease.job_id, 4, then=job.spec.objectives[1:])
    assert [trial.number for trial in ranked] == best


def test_measurements_of_a_job_come_in_the_order_they_were_stored(store: Store) -> None:
    _, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5, 0.25, 0.75])
    rows = store.job_measurements(lease.job_id)
    assert [(number, one.metrics["accuracy"]) for _, number, one in rows] == [(0, 0.5), (1, 0.25), (2, 0.75)]
    assert [one[0] for one in rows] == sorted(one[0] for one in rows)
    assert store.job_measurements(lease.job_id, after=rows[0][0], limit=1) == rows[1:2]


def test_events_have_one_sequence_over_all_jobs(store: Store) -> None:
    first, second = (store.create_job(a_spec())[0].id for _ in range(2))
    store.cancel_job(first)
    store.delete_job(second)
    events = store.events(after=0)
    assert [(one.job_id, one.kind) for one in events] == [
        (first, "job.submitted"),
        (first, "job.cancelled"),
        (second, "job.deleted"),
    ]
    sequences = [one.sequence for one in events]
    assert sequences == sorted(set(sequences))
    assert sequences[0] > 0
    assert sequences[-1] == store.last_sequence()
    assert store.events(after=sequences[0], limit=1) == events[1:2]
    store.delete_job(first)
    assert store.last_sequence() > sequences[-1]  # a number is never reused


def test_no_event_is_visible_before_one_with_a_smaller_number(store: Store) -> None:
    """A slow transaction that already has its number delays the events of a fast transaction."""
    job, _ = store.create_job(a_spec())
    before = store.last_sequence()

    def slow(connection: Connection) -> None:
        append_events(connection, [Event(0, job.id, None, "slow", {}, 0.0)])
        fast.start()
        fast.join(0.3)
        assert store.last_sequence() == before

    fast = threading.Thread(target=store.create_job, args=(a_spec(),))
    store._database.write(slow)
    fast.join()
    assert [event.kind for event in store.events(after=before)] == ["slow", "job.submitted"]


def test_a_reader_skips_no_event_while_transactions_overlap(store: Store) -> None:
    """A reader that continues from the last number it saw receives every event that ever becomes visible."""
    _, lease = a_claimed_job(store)
    others = [a_claimed_job(store)[1] for _ in range(3)]
    stop, seen = threading.Event(), list[Event]()

    def read_on() -> None:
        while True:
            last_look = stop.is_set()
            page = store.events(after=seen[-1].sequence if seen else 0, limit=7)
            seen.extend(page)
            if last_look and not page:
                return

    def write(mine: int) -> None:
        writer = store.writer([lease, *others][mine])
        for n in range(40):
            writer.event("note", {"n": n})
            writer.flush()

    reader = threading.Thread(target=read_on)
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert seen == store.events(after=0, limit=10_000)
    assert len(seen) == 4 * 40 + 2 * 4


def test_statistics_count_over_all_jobs(store: Store) -> None:
    _, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5, 0.6])
    _, other = a_claimed_job(store)
    add_trials(store, other, 3)
    store.create_job(a_spec())
    statistics = store.statistics()
    assert statistics.jobs == dict.fromkeys(JobState, 0) | {JobState.RUNNING: 2, JobState.QUEUED: 1}
    assert (statistics.trials[TrialState.SUCCEEDED], statistics.trials[TrialState.QUEUED]) == (2, 3)
    assert statistics.leases == 2


def operations(store: Store, job_id: str, trial_id: str) -> dict[str, Callable[[], object]]:
    """Return all operations of a Store on a running job."""
    [lease] = [one for one in store.leases() if one.job_id == job_id]
    budget = store.job(job_id).spec.budget.model_copy(update={"trials": 10_000})
    return {
        "job": lambda: store.job(job_id),
        "jobs": lambda: store.jobs(limit=2),
        "trial": lambda: store.trial(trial_id),
        "trials": lambda: store.trials(job_id, limit=5),
        "trials of a state": lambda: store.trials(job_id, state=TrialState.SUCCEEDED, after=3, limit=5),
        "all_trials": lambda: store.all_trials(job_id),
        "results": lambda: store.results(job_id),
        "best_trials": lambda: store.best_trials(job_id, 5),
        "trial_counts": lambda: store.trial_counts(job_id),
        "trial_counts_of": lambda: store.trial_counts_of([job_id]),
        "rejections": lambda: store.rejections(job_id),
        "attempts": lambda: store.attempts(trial_id),
        "artifacts": lambda: store.artifacts(trial_id),
        "job_artifacts": lambda: store.job_artifacts(job_id),
        "measurements": lambda: store.measurements(trial_id),
        "trials_with_ids": lambda: store.trials_with_ids([trial_id]),
        "measurements_of": lambda: store.measurements_of([trial_id]),
        "job_measurements": lambda: store.job_measurements(job_id),
        "events": lambda: store.events(after=0, job_id=job_id),
        "last_sequence": store.last_sequence,
        "statistics": store.statistics,
        "ping": store.ping,
        "heartbeat": lambda: store.heartbeat(lease, TTL_SECONDS, seconds=1, gpu_seconds=0),
        "extend_job": lambda: store.extend_job(job_id, budget),
        "pause_job": lambda: store.pause_job(job_id),
        "resume_job": lambda: store.resume_job(job_id),
        "release": lambda: store.release(lease),
        "claim": lambda: store.claim("next", TTL_SECONDS),
        "release again": lambda: store.release(store.leases()[0]),
        "retry_job": lambda: store.retry_job(job_id),
        "cancel_job": lambda: store.cancel_job(job_id),
        "delete_job": lambda: store.delete_job(job_id),
    }


def test_no_operation_takes_more_statements_for_more_trials(store: Store) -> None:
    counts: list[dict[str, int]] = []
    for size in (10, 500):
        job, lease = a_claimed_job(store)
        ids = run_trials(store, lease, [0.5] * size)
        writer = store.writer(lease)
        for trial_id in ids[size // 2 :]:
            writer.finish(trial_id, 1, Outcome(TrialState.FAILED), 0)
        writer.flush()
        counts.append({})
        for name, run in operations(store, job.id, ids[0]).items():
            with statements() as sent:
                run()
            counts[-1][name] = len([statement for statement in sent if not statement.startswith("BEGIN")])
    assert counts[0] == counts[1]
    assert max(counts[1].values()) <= 10


def test_tokens_are_found_by_their_hash_and_can_be_revoked(store: Store) -> None:
    token = Token(new_id(), "laptop", "admin", created_at=1.0, expires_at=None, revoked_at=None, used_at=None)
    store.add_token(token, "hash")
    store.add_token(token, "hash")  # repeated without effect
    with pytest.raises(Conflict):
        store.add_token(token, "other")
    with pytest.raises(Conflict):
        store.add_token(Token(new_id(), "b", "read", 1.0, None, None, None), "hash")
    assert store.token_by_hash("hash") == token
    assert store.token_by_hash("HASH") is None
    store.touch_tokens({token.id: 5.0})
    store.touch_tokens({token.id: 4.0, "none": 6.0})
    store.touch_tokens({})
    store.revoke_token(token.id)
    [stored] = store.tokens()
    assert stored.used_at == 5.0
    assert stored.revoked_at is not None
    store.revoke_token(token.id)
    assert store.tokens() == [stored]
    with pytest.raises(NotFound):
        store.revoke_token(new_id())


def test_a_store_that_does_not_answer_fails_the_ping(sqlite_url: str) -> None:
    store, path = Store.open(sqlite_url), Path(sqlite_url.removeprefix("sqlite:///"))
    store.ping()
    store.close()
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreUnavailable):
        store.ping()
    store.close()


def test_running_attempts_are_the_latest_of_running_trials(store: Store) -> None:
    _, lease = a_claimed_job(store)
    ids = add_trials(store, lease, 3)
    writer = store.writer(lease)
    writer.start_attempt(ids[0], 1, "node", 1, 0.0)
    writer.requeue(ids[0], 1, TrialState.FAILED, FailureKind.LOST, "lost")
    writer.start_attempt(ids[0], 2, "node", 2, 1.0)
    writer.start_attempt(ids[1], 1, "node", 3, 2.0)
    writer.finish(ids[1], 1, DONE, 0)
    writer.flush()
    found = store.running_attempts([JobState.RUNNING], 10)
    assert [(trial.id, attempt.number, attempt.pid) for trial, attempt in found] == [(ids[0], 2, 2)]
    assert store.running_attempts([JobState.PAUSED], 10) == []

"""A deleted job is gone at once, and its rows are removed in parts, whatever is killed in between."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from searchsvc.domain import Budget, FileMade, JobState, Outcome, Relabelling, TrialState, Verdict
from searchsvc.errors import Conflict, NotFound
from searchsvc.store import Store
from searchsvc.store.attempts import AttemptReads
from searchsvc.store.database import Database
from searchsvc.store.events import EventReads
from searchsvc.store.jobs import JobOperations
from searchsvc.store.measurements import MeasurementReads
from searchsvc.store.relabellings import RelabelOperations
from searchsvc.store.tables import metadata
from searchsvc.store.trials import TrialReads
from tests.support.jobs import TTL_SECONDS, a_claimed_job, a_spec, add_trials, run_trials

JOB_STATES = tuple(JobState)


def a_large_job(store: Store) -> tuple[str, str]:
    """Return the ids of a paused job with rows in every table, and of a trial of it."""
    job, _ = store.create_job(a_spec(name="large"), owner="alice")
    claimed = store.claim_job(job.id, "driver", TTL_SECONDS)
    assert claimed is not None
    lease = claimed[1]
    ids = run_trials(store, lease, [0.5] * 20)
    add_trials(store, lease, 5, first=20)
    writer = store.writer(lease)
    for trial_id in ids:
        made = FileMade("model.safetensors", 7, "0" * 64)
        writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED, files=(made,)), 0)
    for number in range(3):
        writer.record_round(number, {"rank_correlation": 0.5})
    writer.flush()
    store.put_relabelling(Relabelling(job.id, (1, 2), (3, 4), {"trials": [0]}, 1.0))
    store.put_verdict(job.id, Verdict("rater", 1, 3, True, 2.0))
    store.pause_job(job.id)
    writer.finish_job(JobState.PAUSED)
    writer.flush()
    return job.id, ids[0]


def reads(store: Store, job_id: str, trial_id: str) -> dict[str, Callable[[], object]]:
    """Return a call of every method that reads jobs and what belongs to them."""
    return {
        "job": lambda: store.job(job_id),
        "jobs": store.jobs,
        "oldest_queued": lambda: store.oldest_queued(10),
        "trial": lambda: store.trial(trial_id),
        "trials": lambda: store.trials(job_id),
        "all_trials": lambda: store.all_trials(job_id),
        "supernets": lambda: store.supernets(job_id),
        "best_trials": lambda: store.best_trials(job_id, 5),
        "newest_results": lambda: store.newest_results(job_id, 5),
        "trained_seconds": lambda: store.trained_seconds(job_id),
        "results": lambda: store.results(job_id),
        "trials_numbered": lambda: store.trials_numbered(job_id, [0, 1]),
        "trials_with_ids": lambda: store.trials_with_ids([trial_id]),
        "waiting_trials": lambda: store.waiting_trials(JOB_STATES, 10),
        "trial_counts": lambda: store.trial_counts(job_id),
        "trial_counts_of": lambda: store.trial_counts_of([job_id]),
        "rejections": lambda: store.rejections(job_id),
        "attempts": lambda: store.attempts(trial_id),
        "running_attempts": lambda: store.running_attempts(JOB_STATES, 10),
        "job_attempts": lambda: store.job_attempts(job_id, 10),
        "artifacts": lambda: store.artifacts(trial_id),
        "job_artifacts": lambda: store.job_artifacts(job_id),
        "reported_nodes": store.reported_nodes,
        "measurements": lambda: store.measurements(trial_id),
        "measurements_of": lambda: store.measurements_of([trial_id]),
        "job_measurements": lambda: store.job_measurements(job_id),
        "scan_measurements": lambda: list(store.scan_measurements(job_id, lambda _number, _step: True)),
        "rounds": lambda: store.rounds(job_id),
        "relabelling": lambda: store.relabelling(job_id),
        "verdicts": lambda: store.verdicts(job_id),
        "events": lambda: store.events(after=0),
        "latest_events": lambda: store.latest_events(job_id, 100),
        "last_sequence": store.last_sequence,
        "statistics": store.statistics,
        "missing_jobs": lambda: store.missing_jobs([job_id]),
        "deleted_jobs": lambda: store.deleted_jobs([job_id]),
    }


def answer(read: Callable[[], object]) -> object:
    try:
        return read()
    except NotFound as error:
        return str(error)


def answers(store: Store, job_id: str, trial_id: str) -> dict[str, object]:
    return {name: answer(read) for name, read in reads(store, job_id, trial_id).items()}


def rows_of_all_tables(url: str) -> dict[str, int]:
    database = Database(url, wait_seconds=5)
    counts = {
        table.name: database.read(
            lambda connection, table=table: connection.execute(select(func.count()).select_from(table)).scalar_one()
        )
        for table in metadata.sorted_tables
    }
    database.close()
    return counts


def remove(store: Store, job_id: str, limit: int) -> None:
    while store.remove_rows(job_id, limit) == limit:
        pass
    store.remove_job(job_id)


def test_the_list_of_reads_in_this_test_is_complete(store: Store) -> None:
    parts = (JobOperations, TrialReads, AttemptReads, MeasurementReads, EventReads, RelabelOperations)
    public = {name for part in parts for name in vars(part) if not name.startswith("_")}
    verbs = ("create_", "put_", "delete_", "forget_")
    writes = {name for name in public if name.startswith(verbs) or name.endswith("_job")}
    assert public - writes - {"ping"} == set(reads(store, "", ""))
    assert all(inspect.isfunction(getattr(Store, name)) for name in public)


def test_a_deleted_job_is_invisible_to_every_read_before_a_row_is_removed(store: Store, database_url: str) -> None:
    other, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5])
    job_id, trial_id = a_large_job(store)
    before = rows_of_all_tables(database_url)
    store.delete_job(job_id)
    hidden = answers(store, job_id, trial_id)
    assert rows_of_all_tables(database_url)["measurements"] == before["measurements"]
    assert store.jobs_to_remove() == [job_id]
    remove(store, job_id, 10_000)
    assert answers(store, job_id, trial_id) == hidden
    assert store.jobs_to_remove() == []
    assert [event.kind for event in store.events(job_id=job_id)] == ["job.deleted"]
    assert store.job(other.id).id == other.id


def test_rows_are_removed_in_parts_and_nothing_of_the_job_remains(store: Store, database_url: str) -> None:
    other, lease = a_claimed_job(store)
    run_trials(store, lease, [0.5] * 3)
    before = rows_of_all_tables(database_url)
    kept = answers(store, other.id, store.all_trials(other.id)[0].id)
    job_id, _ = a_large_job(store)
    store.delete_job(job_id)
    sizes = [sum(rows_of_all_tables(database_url).values())]
    counts = []
    while not counts or counts[-1] == 7:
        counts.append(store.remove_rows(job_id, 7))
        sizes.append(sum(rows_of_all_tables(database_url).values()))
    assert [earlier - later for earlier, later in itertools.pairwise(sizes)] == counts
    assert max(counts) == 7
    assert len(counts) > 10
    store.remove_job(job_id)
    after = rows_of_all_tables(database_url)
    assert {name: after[name] - count for name, count in before.items() if after[name] != count} == {"events": 1}
    changed = {"events", "last_sequence", "jobs", "statistics"}
    left = answers(store, other.id, store.all_trials(other.id)[0].id)
    assert {name: left[name] for name in left.keys() - changed} == {name: kept[name] for name in kept.keys() - changed}


def test_a_table_of_the_schema_that_belongs_to_jobs_is_filled_by_this_test(store: Store, database_url: str) -> None:
    a_large_job(store)
    empty = {name for name, count in rows_of_all_tables(database_url).items() if not count}
    assert {"trials", "attempts", "measurements", "events", "artifacts", "rounds", "relabellings"}.isdisjoint(empty)
    assert "verdicts" not in empty


@pytest.mark.parametrize(
    "write",
    [
        lambda store, job_id: store.pause_job(job_id),
        lambda store, job_id: store.resume_job(job_id),
        lambda store, job_id: store.stop_job(job_id),
        lambda store, job_id: store.cancel_job(job_id),
        lambda store, job_id: store.retry_job(job_id),
        lambda store, job_id: store.extend_job(job_id, Budget(trials=1000)),
        lambda store, job_id: store.delete_job(job_id),
        lambda store, job_id: store.claim_job(job_id, "next", TTL_SECONDS),
        lambda store, job_id: store.put_relabelling(Relabelling(job_id, (), (), {}, 1.0)),
        lambda store, job_id: store.put_verdict(job_id, Verdict("rater", 1, 3, True, 2.0)),
        lambda store, job_id: store.delete_verdict(job_id, "rater", 1, 3),
    ],
)
def test_no_operation_finds_a_deleted_job(store: Store, write: Callable[[Store, str], object]) -> None:
    job_id, _ = a_large_job(store)
    store.delete_job(job_id)
    with pytest.raises(NotFound, match=job_id):
        write(store, job_id)


def test_a_deleted_job_is_never_claimed_and_frees_its_name(store: Store) -> None:
    job_id, _ = a_large_job(store)
    store.resume_job(job_id)
    store.delete_job(job_id)
    assert store.claim("next", TTL_SECONDS) is None
    assert store.jobs(name="large") == []
    again, is_new = store.create_job(a_spec(name="large"), owner="alice")
    assert is_new
    assert [job.id for job in store.jobs(name="large")] == [again.id]
    remove(store, job_id, 10_000)
    assert store.jobs() == [again]


def test_rows_of_a_job_that_is_not_deleted_are_never_removed(store: Store, database_url: str) -> None:
    job_id, _ = a_large_job(store)
    before = rows_of_all_tables(database_url)
    assert store.remove_rows(job_id, 100) == 0
    store.remove_job(job_id)
    assert rows_of_all_tables(database_url) == before


def test_a_job_that_runs_is_not_deleted(store: Store) -> None:
    job, _ = a_claimed_job(store)
    with pytest.raises(Conflict, match="is RUNNING; only a job that is QUEUED, PAUSED, SUCCEEDED, FAILED or CANCELLED"):
        store.delete_job(job.id)
    assert store.jobs_to_remove() == []

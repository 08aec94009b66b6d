"""Many processes on the same database: nothing is lost or done twice."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter

from searchsvc.domain import Event, JobState, TrialState, new_id
from searchsvc.store import Store
from tests.support import drivers
from tests.support.jobs import a_spec

PROCESSES, JOBS, TRIALS, STEPS = 8, 24, 4, 6


def test_eight_processes_run_every_job_once_and_lose_nothing(store: Store, database_url: str) -> None:
    ids = [store.create_job(a_spec())[0].id for _ in range(JOBS)]
    processes = [
        drivers.start(database_url, f"driver-{n}", trials=TRIALS, steps=STEPS, together=True) for n in range(PROCESSES)
    ]
    first_claims = [_first_line(process) for process in processes]  # each has a job before any continues
    for process in processes:
        _send_line(process)
    seen: list[Event] = []
    while any(process.poll() is None for process in processes):
        seen += store.events(after=seen[-1].sequence if seen else 0, limit=50)
    printed = [
        [json.loads(line) for line in (first, *process.communicate()[0].splitlines())]
        for first, process in zip(first_claims, processes, strict=True)
    ]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    claims = Counter(line[1] for lines in printed for line in lines if line[0] == "claimed")
    assert claims == dict.fromkeys(ids, 1)
    for job_id in ids:
        job = store.job(job_id)
        assert (job.state, job.epoch, job.seconds_used) == (JobState.SUCCEEDED, 1, 1.0)
        assert store.trial_counts(job_id)[TrialState.SUCCEEDED] == TRIALS
        assert [trial.number for trial in store.all_trials(job_id)] == list(range(TRIALS))
        measured = [(number, one.step) for _, number, one in store.job_measurements(job_id)]
        assert measured == [(number, step) for step in range(1, STEPS + 1) for number in range(TRIALS)]
    while page := store.events(after=seen[-1].sequence, limit=500):
        seen += page
    # A reader that kept reading has seen exactly the stored events.
    assert seen == store.events(after=0, limit=100_000)
    per_trial = ["trial.proposed", "trial.started", *["trial.measured"] * STEPS, "trial.finished"]
    per_job = ["job.submitted", "job.claimed", "job.succeeded", *per_trial * TRIALS]
    assert Counter(event.kind for event in seen) == Counter(per_job * JOBS)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _send_line(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_one_request_sent_many_times_at_once_makes_one_job(store: Store) -> None:
    answers: list[tuple[str, bool]] = []
    request_id = new_id()

    def submit() -> None:
        job, made = store.create_job(a_spec(), owner="alice", request_id=request_id)
        answers.append((job.id, made))

    threads = [threading.Thread(target=submit) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert len({job_id for job_id, _ in answers}) == 1
    assert [made for _, made in answers].count(True) == 1
    assert len(store.jobs()) == 1


def test_changes_to_one_job_from_many_threads_all_count(store: Store) -> None:
    job, _ = store.create_job(a_spec())
    claimed = store.claim("driver", 60)
    assert claimed is not None
    lease = claimed[1]
    writer = store.writer(lease)

    def beat() -> None:
        for _ in range(10):
            store.heartbeat(lease, 60, seconds=1.0, gpu_seconds=0.5)
            writer.count_rejections({"flops": 1}, 1)
            writer.flush()

    threads = [threading.Thread(target=beat) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (store.job(job.id).seconds_used, store.job(job.id).gpu_seconds_used) == (60.0, 30.0)
    assert store.rejections(job.id) == ({"flops": 60}, 60)

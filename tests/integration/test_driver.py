"""Searches on a real local Ray: their ends, and trials that fail in every possible way."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from searchsvc.controller.drivers import Standby
from searchsvc.domain import FailureKind, JobState, TrialState
from tests.support.driving import Rig, a_spec, assert_complete
from workers.driver.trial_queue import RECYCLE_ATTEMPTS

NOTE_SIZES = """
import psutil
from workers.driver.ledger import Ledger

finish = Ledger.finish

def finish_and_note(self, trial, outcome):
    ended = finish(self, trial, outcome)
    with open({file!r}, "a") as file:
        print(psutil.Process().memory_info().rss, file=file)
    return ended

Ledger.finish = finish_and_note
"""
"""Code that makes a driver write its resident memory, in bytes, to a file after each trial."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def test_a_search_ends_with_exactly_its_budget_and_tests_only_the_winner(rig: Rig) -> None:
    job = rig.run(a_spec(trials=5, epochs=3))
    assert_complete(rig, job, trials=5, epochs=3)
    best = max(rig.trials(job), key=lambda trial: trial.values["x"])
    tested = [trial for trial in rig.trials(job) if trial.test_metrics is not None]
    assert [trial.number for trial in tested] == [best.number]
    assert [artifact.name for artifact in rig.store.artifacts(best.id)] == ["model.safetensors"]


def test_a_driver_that_waited_runs_its_job_as_any_other(rig: Rig) -> None:
    standby = Standby([sys.executable, "-m", "workers.driver"], rig.environment, rig.settings.logs_dir / "standby.log")
    standby.prepare()
    job = rig.submit(a_spec(trials=2, epochs=2))
    claimed = rig.store.claim_job(job.id, "the test", 60.0)
    assert claimed is not None
    driver = standby.take(claimed[1], rig.settings.job_log(job.id))
    assert driver is not None
    assert_complete(rig, rig.finish(driver.process, job), trials=2, epochs=2)
    assert "the job ended: SUCCEEDED" in driver.tail()


def test_every_attempt_says_where_it_ran(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=1))
    attempts = [one for trial in rig.trials(job) for one in rig.store.attempts(trial.id)]
    assert len(attempts) == 2
    assert all(one.pid and one.node and one.node.endswith(" 127.0.0.1") for one in attempts)


def test_with_two_objectives_the_whole_pareto_front_is_tested(rig: Rig) -> None:
    objectives = [{"metric": "score"}, {"metric": "cost", "goal": "minimize"}]  # every x is a trade-off
    job = rig.run(a_spec(trials=3, epochs=1, objectives=objectives))
    assert [trial.test_metrics is not None for trial in rig.trials(job)] == [True] * 3


def test_a_lost_worker_is_retried_from_the_last_checkpoint(rig: Rig) -> None:
    job = rig.run(a_spec(trials=2, epochs=3, fate="crash", strikes=1))
    assert_complete(rig, job, trials=2, epochs=3)
    for trial in rig.trials(job):
        first, second = rig.store.attempts(trial.id)
        assert (first.state, first.failure) == (TrialState.FAILED, FailureKind.LOST)
        assert second.state is TrialState.SUCCEEDED
        lines = (rig.settings.trial_dir(job.id, trial.id) / "epochs.txt").read_text().splitlines()
        assert [tuple(line.split()[:2]) for line in lines] == [("1", "1"), ("1", "2"), ("2", "2"), ("2", "3")]


@pytest.mark.parametrize(("fate", "kind"), [("crash", FailureKind.LOST), ("oom", FailureKind.OUT_OF_MEMORY)])
def test_retries_end_at_the_limit_and_the_job_says_why_it_failed(rig: Rig, fate: str, kind: FailureKind) -> None:
    job = rig.run(a_spec(trials=1, fate=fate, resources={"attempts": 2}))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, kind, 2)
    assert job.state is JobState.FAILED
    assert job.reason is not None
    assert job.reason.startswith(f"no trial succeeded: 1 {kind}; most often: ")


@pytest.mark.parametrize(("fate", "kind"), [("diverge", FailureKind.DIVERGED), ("error", FailureKind.ERROR)])
def test_what_would_fail_again_is_not_retried(rig: Rig, fate: str, kind: FailureKind) -> None:
    job = rig.run(a_spec(trials=1, fate=fate))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, kind, 1)


def test_a_trial_that_hangs_is_timed_out_and_its_log_shows_where(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1, fate="hang", resources={"trial_seconds": 1}))
    (trial,) = rig.trials(job)
    assert (trial.state, trial.failure, trial.attempts) == (TrialState.FAILED, FailureKind.TIMED_OUT, 1)
    assert "in _strike" in (rig.settings.trial_dir(job.id, trial.id) / "trial.log").read_text()


def test_a_stopping_rule_ends_hopeless_trials_and_their_weights_are_kept(rig: Rig) -> None:
    stopping = {"name": "asha", "reduction": 2, "min_epochs": 1}
    job = rig.run(a_spec(trials=8, epochs=4, stopping=stopping))
    stopped = [trial for trial in rig.trials(job) if trial.state is TrialState.STOPPED]
    assert stopped
    assert all(trial.step < 4 and rig.store.artifacts(trial.id) for trial in stopped)


def test_a_small_space_ends_the_search_when_it_is_exhausted(rig: Rig) -> None:
    space = {"parameters": [{"type": "categorical", "name": "x", "choices": [0.1, 0.2, 0.3]}]}
    job = rig.run(a_spec(trials=100, epochs=1, space=space))
    assert job.state is JobState.SUCCEEDED
    assert len(rig.trials(job)) == 3


def test_a_budget_of_seconds_ends_running_trials_as_results(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1000, epochs=1000, seconds=0.1, budget={"trials": 1000, "seconds": 6}))
    assert job.state is JobState.SUCCEEDED
    assert job.seconds_used >= 6
    assert {trial.state for trial in rig.trials(job)} == {TrialState.STOPPED}
    assert all(trial.step < 1000 for trial in rig.trials(job))


def test_a_trial_that_cannot_be_placed_says_what_is_missing(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=2, resources={"cpu": 1, "gpu": 1}))
    driver = rig.start(job)
    (waiting,) = rig.wait(lambda: [trial for trial in rig.trials(job) if trial.reason])
    assert waiting.reason == "needs 1 CPU and 1 GPU; the cluster has no GPU"
    rig.store.cancel_job(job.id)
    assert rig.finish(driver, job).state is JobState.CANCELLED


def test_a_trial_that_waits_for_another_job_says_so(rig: Rig) -> None:
    long = rig.submit(a_spec(trials=2, seconds=0.2, epochs=1000))
    other = rig.submit(a_spec(trials=1))
    first = rig.start(long)
    rig.wait_for_measurements(long, 2)
    second = rig.start(other)
    (waiting,) = rig.wait(lambda: [trial for trial in rig.trials(other) if trial.reason])
    assert waiting.reason == "waits for 1 CPU: 0 of 2 free"
    rig.store.cancel_job(long.id)
    rig.finish(first, long)
    assert rig.finish(second, other).state is JobState.SUCCEEDED
    assert rig.trials(other)[0].reason is None


def test_the_tune_run_is_recycled_without_losing_trials(rig: Rig) -> None:
    job = rig.submit(a_spec(trials=12, epochs=2))
    few = "import workers.driver.trial_queue as it; it.RECYCLE_ATTEMPTS = 5; it.RECYCLE_ROUNDS = 1"
    job = rig.finish(rig.start(job, prelude=few), job)
    assert_complete(rig, job, trials=12, epochs=2)
    pids = {one.pid for trial in rig.trials(job) for one in rig.store.attempts(trial.id)}
    assert len(pids) >= 3
    assert {trial.attempts for trial in rig.trials(job)} == {1}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_memory_of_the_driver_stays_flat_over_thousands_of_trials(rig: Rig) -> None:
    """Tune keeps a part of every trial until its run ends, so two runs are compared at equal progress."""
    per_run, trials = RECYCLE_ATTEMPTS, 5 * RECYCLE_ATTEMPTS // 2
    job = rig.submit(a_spec(task="noop", trials=trials, epochs=1))
    sizes = rig.settings.data_dir / "sizes"
    job = rig.finish(rig.start(job, prelude=NOTE_SIZES.format(file=str(sizes))), job, timeout=840)
    assert_complete(rig, job, trials=trials, epochs=1)
    after = [int(line) for line in sizes.read_text().splitlines()]
    assert len(after) == trials
    assert after[5 * per_run // 2 - 1] - after[3 * per_run // 2 - 1] < 20 * 2**20


def test_workers_never_see_where_the_database_is(rig: Rig) -> None:
    job = rig.run(a_spec(trials=1, epochs=1))
    (trial,) = rig.trials(job)
    names = (rig.settings.trial_dir(job.id, trial.id) / "epochs.txt").read_text()
    assert "PATH" in names
    assert "SEARCHSVC_" not in names
    assert "PGPASSWORD" not in names

"""Decisions about files: when trials wait for the artifacts volume, and when files may be removed."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.domain import FailureKind, FileMade, JobRequest, Outcome, TrialState
from tests.support.driver_parts import DriverParts, measured
from workers.driver.interruption import Interrupted
from workers.driver.trial_queue import NO_MORE

FULL = Outcome(TrialState.FAILED, FailureKind.STORAGE, "OSError: [Errno 28] No space left on device")
WITH_FILES = Outcome(TrialState.SUCCEEDED, files=(FileMade("model.safetensors", 1, "0" * 64, "1"),))


def run_probes(parts: DriverParts) -> None:
    for probe in parts.probes:
        probe()
    parts.probes.clear()


def removals(parts: DriverParts) -> list[str]:
    """Return the kinds of removals requested so far."""
    names = []
    while not parts.leftovers._removals.empty():
        removal: Any = parts.leftovers._removals.get()
        names.append(removal.func.__name__)
    return names


def test_no_trial_starts_between_a_full_volume_and_a_write_that_succeeds(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.ended("a", None, FULL)
    trial, *others = parts.trials()
    assert (trial.state, trial.told, parts.attempts_of(0)[0].failure) == (
        TrialState.QUEUED,
        None,
        FailureKind.STORAGE,
    )
    assert parts.submit("b") is NO_MORE
    assert len(parts.trials()) == 1 + len(others)
    run_probes(parts)
    assert parts.submit("b")


def test_a_tune_run_goes_on_while_attempts_are_active(driver: Any) -> None:
    parts = driver(2)
    parts.start("a")
    parts.start("b")
    parts.dispatcher.ended("a", None, FULL)
    assert parts.submit("c") is None
    parts.dispatcher.ended("b", None, FULL)
    assert parts.submit("c") is NO_MORE
    assert parts.queue.has_more()


def test_attempts_that_could_not_write_do_not_count(driver: Any) -> None:
    parts = driver(resources={"attempts": 1})
    for key in "abcdef":
        parts.start(key)
        parts.dispatcher.ended(key, None, FULL)
        run_probes(parts)
    parts.succeed("last")
    parts.ledger.flush()
    assert parts.trials()[0].state is TrialState.SUCCEEDED
    assert len(parts.attempts_of(0)) == 7


def test_a_waiting_job_shows_the_reason_and_hears_requests(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.ended("a", None, FULL)
    parts.clock.advance(60.0)
    parts.dispatcher.tick()
    assert "No space left on device" in str(parts.heartbeat.waiting_for)
    assert "No space left on device" in str(parts.trials()[0].reason)
    parts.store.cancel_job(parts.job_id)
    assert parts.heartbeat.beat().request is JobRequest.CANCEL
    with pytest.raises(Interrupted):
        parts.dispatcher.tick()


def test_files_are_removed_after_the_flush_that_stored_the_outcome(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.ended("a", measured(0.5, 8), WITH_FILES)
    assert removals(parts) == []
    parts.ledger.flush()
    assert removals(parts) == ["_keep_result"]
    [artifact] = parts.store.artifacts(parts.trials()[0].id)
    assert artifact.path == f"{parts.job_id}/{artifact.trial_id}/1/model.safetensors"


def test_earlier_attempts_are_removed_after_the_first_measurement_of_a_later_attempt(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.measured("a", measured(0.3, 1))
    parts.ledger.flush()
    assert removals(parts) == []
    parts.dispatcher.failed("a", None)
    parts.ledger.flush()
    assert removals(parts) == ["_remove_unusable"]
    parts.start("b")
    parts.dispatcher.measured("b", measured(0.3, 2))
    assert removals(parts) == []
    parts.ledger.flush()
    assert removals(parts) == ["_remove_earlier"]


def test_files_of_another_attempt_are_no_result(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    stolen = Outcome(TrialState.SUCCEEDED, files=(FileMade("model.safetensors", 1, "0" * 64, "../other/1"),))
    parts.dispatcher.ended("a", measured(0.5, 8), stolen)
    parts.ledger.flush()
    trial = parts.trials()[0]
    assert (trial.state, trial.failure) == (TrialState.FAILED, FailureKind.ERROR)
    assert "outside the folder of its attempt" in str(trial.reason)


def test_a_tune_run_that_could_not_write_repeats_its_trials_once_there_is_room(driver: Any) -> None:
    parts = driver()
    parts.start("a")
    parts.dispatcher.could_not_write(OSError("No space left on device"))
    parts.ledger.flush()
    assert parts.trials()[0].state is TrialState.QUEUED
    assert parts.attempts_of(0)[0].failure is None
    assert parts.submit("b") is NO_MORE
    run_probes(parts)
    assert parts.submit("b")

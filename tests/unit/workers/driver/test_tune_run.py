"""A Tune run: which of Tune's errors are the end of a run, and what is forwarded to the dispatcher."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from ray import tune
from ray.exceptions import OutOfMemoryError

from searchsvc.domain import Measurement, Outcome, TrialState
from workers.driver import tune_run
from workers.trials.trainable import DONE, MEASUREMENT, OUTCOME, TEST

FAILED_WITH = OutOfMemoryError("9 GB")
MEASURED = Measurement(1, {"accuracy": 0.5}, 1.0)
TRIAL: Any = SimpleNamespace(trial_id="key", error=FAILED_WITH, temporary_state=SimpleNamespace(ray_actor="actor"))


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Let Tune end with this error."""

    def run(*_: Any, storage_path: str, **__: Any) -> None:
        Path(storage_path).mkdir(parents=True)
        if error is not None:
            raise error

    monkeypatch.setattr(tune, "run", run)


def gave_up(cause: BaseException) -> RuntimeError:
    error = RuntimeError("Tune gave up")
    error.__cause__ = cause
    return error


def test_a_run_begins_anew_and_leaves_no_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ending(monkeypatch, None)
    dispatcher = Mock()
    tune_run.run(dispatcher, tmp_path / "run")
    assert [call[0] for call in dispatcher.method_calls] == ["begin_run"]
    assert not (tmp_path / "run").exists()


def test_a_run_that_made_no_folder_ends_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tune, "run", lambda *_, **__: None)
    tune_run.run(Mock(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_ray_has_broken_off_is_handed_to_the_dispatcher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ending(monkeypatch, gave_up(FAILED_WITH))
    dispatcher = Mock()
    tune_run.run(dispatcher, tmp_path / "run")
    dispatcher.broken_off.assert_called_once_with(FAILED_WITH)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), gave_up(OSError(errno.EDQUOT, "full"))], ids=repr)
def test_a_run_that_could_not_write_its_files_is_handed_to_the_dispatcher(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception
) -> None:
    ending(monkeypatch, error)
    dispatcher = Mock()
    tune_run.run(dispatcher, tmp_path / "run")
    dispatcher.could_not_write.assert_called_once_with(error)
    assert not dispatcher.broken_off.called


@pytest.mark.parametrize(
    "error", [gave_up(ValueError("a fault of ours")), RuntimeError("no cause"), OSError("odd"), KeyError("key")]
)
def test_any_other_error_of_tune_is_a_crash(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException
) -> None:
    ending(monkeypatch, error)
    dispatcher = Mock()
    with pytest.raises(type(error)) as raised:
        tune_run.run(dispatcher, tmp_path / "run")
    assert raised.value is error
    assert not dispatcher.broken_off.called
    assert not (tmp_path / "run").exists()


def result(**changes: Any) -> dict[str, Any]:
    return {MEASUREMENT: MEASURED, OUTCOME: None, DONE: False} | changes


def test_a_measurement_is_forwarded_once_by_the_scheduler() -> None:
    dispatcher = Mock()
    verdict = tune_run.JobScheduler(dispatcher).on_trial_result(None, TRIAL, result())
    tune_run.StoreCallback(dispatcher).on_trial_result(TRIAL, result())
    dispatcher.measured.assert_called_once_with("key", MEASURED)
    assert verdict == "CONTINUE"
    assert len(dispatcher.method_calls) == 1


def test_the_last_result_is_forwarded_with_its_outcome() -> None:
    dispatcher, outcome = Mock(), Outcome(TrialState.SUCCEEDED)
    tune_run.StoreCallback(dispatcher).on_trial_result(TRIAL, result(**{DONE: True, OUTCOME: outcome}))
    dispatcher.ended.assert_called_once_with("key", MEASURED, outcome)
    assert not dispatcher.tested.called


def test_the_result_of_a_test_is_forwarded_as_such() -> None:
    dispatcher = Mock()
    tune_run.StoreCallback(dispatcher).on_trial_result(TRIAL, result(**{DONE: True, TEST: {"accuracy": 0.5}}))
    dispatcher.tested.assert_called_once_with("key", {"accuracy": 0.5})
    assert not dispatcher.ended.called


def test_starts_errors_and_steps_are_forwarded() -> None:
    dispatcher = Mock()
    callback = tune_run.StoreCallback(dispatcher)
    callback.on_trial_start(TRIAL)
    callback.on_trial_error(TRIAL)
    callback.on_step_end()
    dispatcher.started.assert_called_once_with("key", "actor")
    dispatcher.failed.assert_called_once_with("key", FAILED_WITH)
    dispatcher.tick.assert_called_once_with()


def test_the_scheduler_chooses_no_trial_so_that_tune_starts_them_in_order() -> None:
    assert tune_run.JobScheduler(Mock()).choose_trial_to_run(None) is None


def test_tune_finds_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tune_run.ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    tune_run.prepare_environment()
    assert {name: os.environ[name] for name in tune_run.ENVIRONMENT} == tune_run.ENVIRONMENT

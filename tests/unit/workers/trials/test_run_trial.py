"""One attempt at a trial: its end, its files, its continuation."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searchsvc.domain import Decision, FailureKind, Measurement, Objective, Outcome, TrialState, TrialTask
from searchsvc.errors import TrialFailed
from workers.data import classification as data
from workers.models import load
from workers.tasks.classification import TASK, Classification
from workers.trials.run_trial import TrialRun, run_trial

MODEL, PREDICTIONS, LAST, LOG = "model.safetensors", "predictions.npz", "last.pt", "trial.log"


class Scripted(Classification):
    """A task whose training is a generator of the test."""

    def __init__(self, script: Callable[[], Iterator[Measurement]]) -> None:
        self._script = script

    def train(self, task: TrialTask) -> Iterator[Measurement]:  # noqa: ARG002 - the script does not look at it
        return self._script()


def at(step: int, seconds: float = 1.0, **metrics: float) -> Measurement:
    return Measurement(step, metrics or {"accuracy": 0.5}, seconds)


def outcome_of(task: TrialTask, script: Callable[[], Iterator[Measurement]]) -> tuple[list[int], Outcome]:
    run = TrialRun(task, lambda _: Scripted(script))
    return [one.step for one in run], run.outcome()


def files_in(task: TrialTask) -> set[str]:
    return {path.name for path in Path(task.directory).iterdir()}


# ---- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["fbnetv3-small", "resnet10t"])
def test_the_network_that_the_values_name_is_trained_and_kept(make_task: Any, train: Any, network: str) -> None:
    small = {"n2": 1, "n3": 1, "n4": 1} if network == "fbnetv3-small" else {"base_width": 8}
    recipe = {"lr": 0.02, "dropout": 0.1, "drop_path": 0.1}
    task = replace(make_task(), values={"network": network, **small, **recipe})
    trained = train(task)
    assert trained.outcome.state is TrialState.SUCCEEDED
    model = load(Path(task.directory) / MODEL)
    assert dict(model.card.values) == dict(task.values)
    validation = data.load(task.dataset).validation
    images = torch.from_numpy(validation.images)
    right = model.logits(images).argmax(1) == torch.from_numpy(validation.labels)
    assert float(right.float().mean()) == pytest.approx(max(one["accuracy"] for one in trained.metrics), abs=1e-6)


def test_a_trial_that_succeeds_leaves_weights_and_a_log(make_task: Any, train: Any) -> None:
    task = make_task()
    outcome = train(task).outcome
    assert (outcome.state, outcome.failure) == (TrialState.SUCCEEDED, None)
    assert files_in(task) == {MODEL, PREDICTIONS, LAST, LOG}
    assert [file.name for file in outcome.files] == [MODEL, PREDICTIONS]
    assert outcome.files[0].bytes == (Path(task.directory) / MODEL).stat().st_size
    log = (Path(task.directory) / LOG).read_text()
    assert "step 3: accuracy=" in log
    assert log.rstrip().endswith("SUCCEEDED")


def test_a_trial_stopped_by_its_reporter_keeps_its_weights(make_task: Any, train: Any) -> None:
    task = make_task()
    trained = train(task, stop_after=2)
    assert trained.outcome.state is TrialState.STOPPED
    assert len(trained.measurements) == 2
    assert files_in(task) == {MODEL, PREDICTIONS, LAST, LOG}
    assert trained.outcome.files[0].name == MODEL


def test_a_closed_trial_keeps_its_checkpoint(make_task: Any) -> None:
    task = make_task()
    run = TrialRun(task)
    next(run)
    run.close()
    assert run.outcome().state is TrialState.CANCELLED
    assert files_in(task) == {MODEL, PREDICTIONS, LAST, LOG}
    assert list(run) == []


def test_every_epoch_has_its_checkpoint_on_disk_when_it_is_reported(make_task: Any) -> None:
    task = make_task()
    written = set()
    for _ in TrialRun(task):
        written.add((Path(task.directory) / LAST).stat().st_ino)
        assert files_in(task) == {MODEL, PREDICTIONS, LAST, LOG}
    assert len(written) >= 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TrialFailed(FailureKind.INFEASIBLE, "too slow"), FailureKind.INFEASIBLE),
        (MemoryError(), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), FailureKind.OUT_OF_MEMORY),
        (RuntimeError("something else"), FailureKind.ERROR),
        (ZeroDivisionError("division by zero"), FailureKind.ERROR),
    ],
    ids=repr,
)
def test_what_a_trial_raises_becomes_its_failure(make_task: Any, error: Exception, kind: FailureKind) -> None:
    def script() -> Iterator[Measurement]:
        yield at(1)
        raise error

    steps, outcome = outcome_of(make_task(), script)
    assert steps == [1]
    assert (outcome.state, outcome.failure) == (TrialState.FAILED, kind)
    assert outcome.message is not None
    assert str(error) in outcome.message


def test_running_out_of_memory_on_a_gpu_is_known_by_the_error_of_torch(make_task: Any) -> None:
    def script() -> Iterator[Measurement]:
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    assert outcome_of(make_task(), script)[1].failure is FailureKind.OUT_OF_MEMORY


def test_an_error_that_nobody_meant_keeps_its_traceback(make_task: Any) -> None:
    def script() -> Iterator[Measurement]:
        yield at(1)
        raise KeyError("surprise")

    message = outcome_of(make_task(), script)[1].message
    assert message is not None
    assert "Traceback" in message
    assert __file__ in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_metric_that_is_no_number_is_diverged_and_not_reported(make_task: Any, value: float) -> None:
    steps, outcome = outcome_of(make_task(), lambda: iter([at(1), at(2, accuracy=0.5, loss=value), at(3)]))
    assert steps == [1]
    assert outcome.failure is FailureKind.DIVERGED
    assert "loss" in str(outcome.message)


def test_a_candidate_that_diverges_fails_as_diverged(make_task: Any, train: Any) -> None:
    trained = train(make_task(values={"lr": 100.0, "momentum": 0.99, "expansion": 4}, epochs=8))
    assert trained.outcome.failure is FailureKind.DIVERGED


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"values": {"kernel": 4}}, "kernel"),
        ({"dataset": {"name": "files", "format": "npz", "path": "/no/such.npz"}}, "/no/such.npz"),
        ({"task": "surgery"}, "surgery"),
        ({"device": "cuda:99"}, "GPU"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_worker_cannot_do_is_said_in_words(make_task: Any, train: Any, fields: Any, words: str) -> None:
    outcome = train(make_task(**fields)).outcome
    assert (outcome.state, outcome.failure) == (TrialState.FAILED, FailureKind.ERROR)
    assert words in str(outcome.message)
    assert "Traceback" not in str(outcome.message)


def test_a_folder_that_cannot_be_made_is_an_error_of_the_trial(make_task: Any, train: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert train(make_task(directory=str(tmp_path / "file" / "trial"))).outcome.failure is FailureKind.ERROR


def test_the_outcome_of_a_running_trial_is_not_known(make_task: Any) -> None:
    run = TrialRun(make_task(), lambda _: Scripted(lambda: iter([at(1)])))
    with pytest.raises(RuntimeError, match="still running"):
        run.outcome()


# ---- time ------------------------------------------------------------------------------------------------------------


def test_a_trial_over_its_time_is_timed_out_with_what_it_measured(make_task: Any) -> None:
    task = make_task(trial_seconds=10.0)
    steps, outcome = outcome_of(task, lambda: iter([at(1, 6.0), at(2, 12.0), at(3, 18.0)]))
    assert steps == [1, 2]
    assert outcome.failure is FailureKind.TIMED_OUT


def test_a_trial_that_has_had_its_last_step_is_not_timed_out(make_task: Any) -> None:
    task = make_task(trial_seconds=10.0)
    _, outcome = outcome_of(task, lambda: iter([at(1, 4.0), at(2, 8.0), at(3, 12.0)]))
    assert outcome.state is TrialState.SUCCEEDED


def test_seconds_count_over_all_attempts(make_task: Any, train: Any) -> None:
    task = make_task(epochs=3)
    first = TrialRun(task)
    before = next(first).seconds
    first.close()
    later = train(replace(task, attempt=2, stored_step=1)).measurements
    assert before < later[0].seconds < later[1].seconds
    timed_out = make_task("limited", epochs=300, trial_seconds=0.5)
    assert train(timed_out).outcome.failure is FailureKind.TIMED_OUT
    again = train(replace(timed_out, attempt=2))
    assert again.outcome.failure is FailureKind.TIMED_OUT


# ---- going on --------------------------------------------------------------------------------------------------------


def test_measurements_that_were_not_stored_are_reported_again(make_task: Any, train: Any) -> None:
    task = make_task(epochs=4)
    run = TrialRun(task)
    before = [next(run) for _ in range(3)]
    run.close()
    again = train(replace(task, attempt=2, stored_step=1)).measurements
    assert [one.step for one in again] == [2, 3, 4]
    assert again[:2] == before[1:]


@pytest.mark.parametrize("content", [b"", b"torn", None], ids=["empty", "text", "cut"])
def test_a_torn_checkpoint_starts_over_and_reports_nothing_twice(
    make_task: Any, train: Any, content: bytes | None
) -> None:
    expected = train(make_task("whole")).metrics
    task = make_task()
    run = TrialRun(task)
    next(run)
    run.close()
    last = Path(task.directory) / LAST
    last.write_bytes(last.read_bytes()[:-200] if content is None else content)
    trained = train(replace(task, attempt=2, stored_step=1))
    assert trained.outcome.state is TrialState.SUCCEEDED
    assert [one.step for one in trained.measurements] == [2, 3]
    assert trained.metrics == expected[1:]


def test_the_checkpoint_of_another_candidate_is_not_gone_on_from(make_task: Any, train: Any) -> None:
    run = TrialRun(make_task())
    next(run)
    run.close()
    other = make_task(values={"lr": 0.01})
    assert train(other).metrics == train(make_task("fresh", {"lr": 0.01})).metrics


def test_a_trial_killed_in_the_middle_of_an_epoch_goes_on_to_the_same_bits(
    make_task: Any, train: Any, tmp_path: Path
) -> None:
    whole = make_task("whole", epochs=6)
    expected = train(whole).metrics
    task = make_task("killed", epochs=6)
    (tmp_path / "task.pickle").write_bytes(pickle.dumps(task))
    code = (
        "import pickle, sys; from searchsvc.domain import Decision; from workers.trials.run_trial import run_trial\n"
        "task = pickle.load(open(sys.argv[1], 'rb')); run_trial(task, lambda m: Decision.CONTINUE)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "task.pickle")], cwd=Path(__file__).parents[4])
    log, limit = Path(task.directory) / LOG, time.monotonic() + 120
    while "step 2:" not in (log.read_text() if log.exists() else "") and time.monotonic() < limit:
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert (Path(task.directory) / LAST).exists()
    trained = train(replace(task, attempt=2))
    assert trained.outcome.state is TrialState.SUCCEEDED
    assert trained.metrics == expected
    assert (Path(task.directory) / MODEL).read_bytes() == (Path(whole.directory) / MODEL).read_bytes()


def test_a_reporter_that_raises_ends_the_trial_and_keeps_the_checkpoint(make_task: Any) -> None:
    task = make_task()

    def report(measurement: Measurement) -> Decision:
        raise ConnectionError(f"lost at {measurement.step}")

    with pytest.raises(ConnectionError):
        run_trial(task, report)
    assert (Path(task.directory) / LAST).exists()


def test_what_a_killed_writer_left_is_removed(make_task: Any, train: Any) -> None:
    task = make_task(epochs=1)
    Path(task.directory).mkdir()
    (Path(task.directory) / ".last.pt.77.tmp").write_text("half")
    train(task)
    assert files_in(task) == {MODEL, PREDICTIONS, LAST, LOG}


# ---- best weights and the test split ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective", [Objective(metric="accuracy"), Objective(metric="loss", goal="minimize")], ids=lambda one: one.metric
)
def test_the_weights_kept_are_those_of_the_best_step_by_the_first_objective(
    make_task: Any, train: Any, objective: Objective
) -> None:
    task = make_task(epochs=8, values={"lr": 0.3}, objective=objective)
    metrics = train(task).metrics
    card = load(Path(task.directory) / MODEL).card
    scores = [objective.sign * one[objective.metric] for one in metrics]
    assert card.step == scores.index(max(scores)) + 1
    assert card.metrics == metrics[card.step - 1]


def test_the_last_weights_are_kept_where_the_objective_is_known_before_training(make_task: Any, train: Any) -> None:
    task = make_task(objective=Objective(metric="flops", goal="minimize"))
    train(task)
    assert load(Path(task.directory) / MODEL).card.step == 3


def test_the_test_split_is_what_test_measures(make_task: Any, train: Any, tmp_path: Path) -> None:
    digits = data.load({"name": "digits"})

    def written(name: str, test_labels: Any) -> Mapping[str, Any]:
        arrays = {"x_train": digits.train.images[:, 0], "y_train": digits.train.labels}
        np.savez(tmp_path / name, x_test=digits.test.images[:, 0], y_test=test_labels, **arrays)
        return {"name": "digits", "format": "npz", "path": str(tmp_path / name)}

    right = make_task("right", dataset=written("right.npz", digits.test.labels), epochs=6, data_fraction=1.0)
    wrong = make_task("wrong", dataset=written("wrong.npz", (digits.test.labels + 1) % 10), epochs=6, data_fraction=1.0)
    assert train(right).metrics == train(wrong).metrics
    assert TASK.test(right)["accuracy"] > 0.85
    assert TASK.test(wrong)["accuracy"] < 0.15
    assert TASK.test(right) == TASK.test(right)


def test_run_trial_needs_nothing_but_a_task_and_a_reporter(make_task: Any) -> None:
    assert run_trial(make_task(epochs=1), lambda _: Decision.CONTINUE).state is TrialState.SUCCEEDED


def test_a_folder_whose_parents_are_missing_is_made(make_task: Any, tmp_path: Path) -> None:
    task = replace(make_task(), directory=str(tmp_path / "job" / "trial" / "1"))
    steps, outcome = outcome_of(task, lambda: iter([at(1), at(2), at(3)]))
    assert (steps, outcome.failure) == ([1, 2, 3], None)
    assert LOG in files_in(task)


@pytest.mark.parametrize("end", ["close", "stop"])
def test_a_trial_that_ends_early_closes_its_training(make_task: Any, end: str) -> None:
    closed = []

    def script() -> Iterator[Measurement]:
        try:
            yield from (at(step) for step in (1, 2, 3))
        finally:
            closed.append(True)

    training = script()  # kept, so that it does not end because nobody refers to it any more
    run = TrialRun(make_task(), lambda _: Scripted(lambda: training))
    next(run)
    getattr(run, end)()
    assert closed == [True]
    assert run.outcome().state is (TrialState.CANCELLED if end == "close" else TrialState.STOPPED)
    run.close()  # without effect
    assert run.outcome().state is (TrialState.CANCELLED if end == "close" else TrialState.STOPPED)

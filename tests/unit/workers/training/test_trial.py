"""The course of a training: its seconds, its limit, its threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch

from searchsvc.domain import FailureKind, Measurement, TrialTask
from searchsvc.errors import TrialFailed
from workers.training import trial

CPU = torch.device("cpu")


class SlowTraining:
    """Trains nothing; each epoch takes 10 s of its clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.epochs: list[int] = []

    def clock(self) -> float:
        return self.now

    def train_epoch(self, epoch: int) -> Mapping[str, float]:
        self.epochs.append(epoch)
        self.now += 10.0
        return {"train_loss": 1.0 / epoch}

    def measure(self) -> Mapping[str, float]:
        return {"accuracy": 0.5}

    def files(self, last: Measurement) -> Mapping[str, bytes]:
        return {"weights": str(last.step).encode()}

    def state(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.epochs = list(state["epochs"])


def run(task: TrialTask, training: SlowTraining, **options: float) -> Iterator[Measurement]:
    return trial.run(task, CPU, lambda _: training, training.clock, **options)


MakeTask = Callable[..., TrialTask]


def test_the_seconds_of_a_trial_are_those_that_passed(make_task: MakeTask) -> None:
    seconds = [one.seconds for one in run(make_task(), SlowTraining())]
    assert seconds == [10.0, 20.0, 30.0]


def test_seconds_before_the_first_epoch_count(make_task: MakeTask) -> None:
    assert [one.seconds for one in run(make_task(), SlowTraining(), earlier=5.0)] == [15.0, 25.0, 35.0]


def test_a_resumed_trial_adds_to_the_seconds_of_its_earlier_attempts(make_task: MakeTask) -> None:
    first = run(make_task(), SlowTraining())
    assert [next(first).seconds, next(first).seconds] == [10.0, 20.0]
    first.close()  # type: ignore[attr-defined] # it is a generator
    again = SlowTraining()
    rest = list(run(make_task(stored_step=1, attempt=2), again, earlier=99.0))
    assert [(one.step, one.seconds) for one in rest] == [(2, 20.0), (3, 30.0)]
    assert again.epochs == [1, 2, 3]


def test_a_trial_within_its_limit_ends_and_one_beyond_it_times_out_before_the_next_epoch(make_task: MakeTask) -> None:
    assert len(list(run(make_task(trial_seconds=20.0), SlowTraining()))) == 3  # at the limit, not beyond it
    training = SlowTraining()
    limited = run(make_task("limited", trial_seconds=19.0), training)
    assert [next(limited).step, next(limited).step] == [1, 2]
    with pytest.raises(TrialFailed, match=r"20\.0 s of training; the limit is 19 s") as raised:
        next(limited)
    assert raised.value.kind is FailureKind.TIMED_OUT
    assert training.epochs == [1, 2]


def test_a_trial_trains_with_the_threads_of_its_task(make_task: MakeTask) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (2, 1):
            trial.device_of(make_task(threads=threads))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)

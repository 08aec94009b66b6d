"""Whatever a task returns becomes plain numbers, or a failure that says what is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from searchsvc.domain import FailureKind, Measurement, Outcome, TrialTask
from tests.support.tasks import NoOp
from workers.trials.run_trial import TrialRun, run_test

NAN, INF = math.nan, math.inf


class Returning(NoOp):
    """Yields and returns given values."""

    def __init__(self, *measurements: Any, test: Any = None, files: Any = ()) -> None:
        self._measurements, self._test, self._files = measurements, test, files

    def train(self, task: TrialTask) -> Iterator[Any]:  # noqa: ARG002 - the protocol's
        yield from self._measurements

    def files(self, directory: Path) -> Any:  # noqa: ARG002 - the protocol's
        return self._files

    def test(self, task: TrialTask) -> Any:  # noqa: ARG002 - the protocol's
        return self._test


def trained(task: TrialTask, *measurements: Any, **returned: Any) -> tuple[list[Measurement], Outcome]:
    run = TrialRun(task, lambda _: Returning(*measurements, **returned))
    return list(run), run.outcome()


def at(step: Any = 1, metrics: Any = None, seconds: Any = 1.0) -> Measurement:
    return Measurement(step, {"score": 0.5} if metrics is None else metrics, seconds)


NUMBERS = [
    0.5,
    1,
    np.float32(0.5),
    np.float64(0.5),
    np.int64(3),
    np.array(0.5),
    np.array(2, np.uint8),
    torch.tensor(0.5),
    torch.tensor(3),
    Fraction(1, 2),
    10**300,
]


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_of_every_library_become_plain_floats(make_task: Any, value: Any) -> None:
    expected = float(value.item() if hasattr(value, "item") else value)
    measured, outcome = trained(make_task(), at(np.int64(1), {"score": value}, np.float32(2.5)), at(2))
    assert outcome.failure is None
    first = measured[0]
    assert (first.step, dict(first.metrics), first.seconds) == (1, {"score": expected}, 2.5)
    assert [type(first.step), type(first.metrics["score"]), type(first.seconds)] == [int, float, float]
    tested = run_test(make_task(), [], lambda _: Returning(test={"score": value}))
    assert tested == {"score": expected}
    assert isinstance(tested, Mapping)
    assert type(tested["score"]) is float


NO_NUMBERS = [True, np.True_, torch.tensor(True), "0.5", None, 1j, np.complex64(1), np.array([0.5]), torch.zeros(1), {}]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_other_values_are_errors_that_name_metric_and_type(make_task: Any, value: Any) -> None:
    measured, outcome = trained(make_task(), at(1), at(2, {"loss": 0.5, "score": value}))
    assert len(measured) == 1
    tested = run_test(make_task(), [], lambda _: Returning(test={"score": value}))
    assert isinstance(tested, Outcome)
    for failed, place in ((outcome, "at step 2"), (tested, "on the test split")):
        assert failed.failure is FailureKind.ERROR
        assert "measured score = " in str(failed.message)
        assert type(value).__name__ in str(failed.message)
        assert place in str(failed.message)


@pytest.mark.parametrize("value", [NAN, INF, -INF, np.float32(NAN), torch.tensor(INF), 10**400], ids=repr)
def test_values_that_are_not_finite_are_diverged(make_task: Any, value: Any) -> None:
    measured, outcome = trained(make_task(), at(1, {"score": value}))
    assert (measured, outcome.failure) == ([], FailureKind.DIVERGED)
    assert str(outcome.message).startswith("score became ")
    tested = run_test(make_task(), [], lambda _: Returning(test={"score": value}))
    assert isinstance(tested, Outcome)
    assert tested.failure is FailureKind.DIVERGED


@pytest.mark.parametrize("name", ["", 3, None, "a\x00b", "half \ud800", "two\nlines"], ids=repr)
def test_a_name_that_cannot_be_stored_is_an_error(make_task: Any, name: Any) -> None:
    _, outcome = trained(make_task(), at(1, {name: 0.5}))
    assert outcome.failure is FailureKind.ERROR
    assert "named a metric" in str(outcome.message)
    assert isinstance(run_test(make_task(), [], lambda _: Returning(test={name: 0.5})), Outcome)


@pytest.mark.parametrize(
    ("measurements", "words"),
    [
        (({"score": 0.5},), "yielded {'score': 0.5} (dict); it must yield a Measurement"),
        ((at(2), at(2)), "step 2 after step 2"),
        ((at(2), at(1)), "step 1 after step 2"),
        ((at(0),), "step 0 after step 0"),
        ((at(True),), "a step is a whole number"),
        ((at(2**31),), "at most 2,147,483,647 can be stored"),
        ((at(1.0),), "a step is a whole number"),
        ((at(1, seconds=-1.0),), "seconds -1.0"),
        ((at(1, seconds=NAN),), "seconds nan"),
        ((at(1, seconds="long"),), "seconds 'long'"),
        ((at(1, [("score", 0.5)]),), "it must be a mapping"),
    ],
    ids=str,
)
def test_a_measurement_of_another_form_is_an_error_in_words(make_task: Any, measurements: Any, words: str) -> None:
    _, outcome = trained(make_task(), *measurements)
    assert outcome.failure is FailureKind.ERROR
    assert words in str(outcome.message)
    assert "Traceback" not in str(outcome.message)


@pytest.mark.parametrize("returned", [None, 0.5, [("score", 0.5)]], ids=repr)
def test_a_test_that_returns_no_mapping_is_an_error(make_task: Any, returned: Any) -> None:
    tested = run_test(make_task(), [], lambda _: Returning(test=returned))
    assert isinstance(tested, Outcome)
    assert "it must be a mapping" in str(tested.message)


@pytest.mark.parametrize("names", ["model", ("../model",), ("a/b",), ("..",), (1,), ("",), None], ids=repr)
def test_a_file_outside_the_directory_is_no_result(make_task: Any, names: Any) -> None:
    _, outcome = trained(make_task(), at(1), files=names)
    assert outcome.failure is FailureKind.ERROR
    assert "file" in str(outcome.message)

"""Objectives, constraints, candidates, observations: small building blocks of everything else."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from searchsvc.domain import (
    Candidate,
    Constraint,
    FailureKind,
    Measurement,
    Objective,
    Proposal,
    Trial,
    TrialState,
    best_measurement,
    is_id,
    new_id,
)

SCALARS = st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | st.text()


class TestCandidate:
    @given(st.dictionaries(st.text(min_size=1), SCALARS))
    def test_its_key_does_not_depend_on_the_order_of_names(self, values: dict) -> None:
        assert Candidate(values) == Candidate(dict(reversed(values.items())))

    def test_whole_floats_are_integers_and_truth_values_are_not(self) -> None:
        assert Candidate({"x": 1.0}) == Candidate({"x": 1})
        assert Candidate({"x": True}) != Candidate({"x": 1})
        assert Candidate({"x": "1"}) != Candidate({"x": 1})

    @given(st.dictionaries(st.text(min_size=1), SCALARS))
    def test_it_survives_pickling(self, values: dict) -> None:
        assert pickle.loads(pickle.dumps(Candidate(values))) == Candidate(values)

    def test_its_values_cannot_be_changed(self) -> None:
        with pytest.raises(TypeError):
            Candidate({"x": 1}).values["x"] = 2  # type: ignore[index]


class TestConstraint:
    def test_limits_are_included(self) -> None:
        both = Constraint(metric="flops", min=1.0, max=2.0)
        assert [both.holds(value) for value in (0.9, 1.0, 2.0, 2.1, float("nan"))] == [False, True, True, False, False]
        assert both.excess(np.array([0.5, 1.5, 2.25])).tolist() == [0.5, 0.0, 0.25]

    def test_its_text_is_what_users_read(self) -> None:
        texts = [Constraint(metric="a", max=5e6), Constraint(metric="a", min=2), Constraint(metric="a", min=1, max=2)]
        assert list(map(str, texts)) == ["a <= 5e+06", "a >= 2", "1 <= a <= 2"]

    @pytest.mark.parametrize("limits", [{}, {"min": 2, "max": 1}, {"max": float("nan")}, {"max": float("inf")}])
    def test_limits_that_mean_nothing_are_refused(self, limits: dict) -> None:
        with pytest.raises(ValidationError):
            Constraint(metric="a", **limits)


def test_the_best_measurement_is_the_earliest_among_equals() -> None:
    course = [Measurement(step, {"loss": loss}, step) for step, loss in enumerate([3.0, 1.0, 1.0, 2.0], 1)]
    course.append(Measurement(5, {"other": 0.0}, 5))
    assert best_measurement(course, Objective(metric="loss", goal="minimize")) is course[1]
    assert best_measurement(course, Objective(metric="loss")) is course[0]
    assert best_measurement([], Objective(metric="loss")) is None


class TestIds:
    def test_they_differ_and_sort_by_the_time_of_their_making(self) -> None:
        made = [new_id() for _ in range(1000)]
        assert len(set(made)) == 1000
        assert [one[:13] for one in made] == sorted(one[:13] for one in made)
        assert all(is_id(one) and one[14] == "7" and one[19] in "89ab" for one in made)

    @pytest.mark.parametrize("text", ["", "digits-joint", "0" * 32, "{01a20f6a-cbce-7ca8-82e8-d30491329547}"])
    def test_other_texts_are_none(self, text: str) -> None:
        assert not is_id(text)


class TestStates:
    def test_only_the_machine_s_failures_are_retried(self) -> None:
        retried = {FailureKind.LOST, FailureKind.OUT_OF_MEMORY, FailureKind.STORAGE}
        assert {kind for kind in FailureKind if kind.is_retried} == retried
        assert {kind for kind in FailureKind if not kind.counts_as_attempt} == {FailureKind.STORAGE}

    @pytest.mark.parametrize(
        ("state", "metrics", "stopped"),
        [
            (TrialState.SUCCEEDED, {"accuracy": 0.5}, False),
            (TrialState.STOPPED, {"accuracy": 0.5}, True),
            (TrialState.FAILED, None, False),
            (TrialState.CANCELLED, None, False),
        ],
    )
    def test_an_algorithm_sees_metrics_only_of_what_counts(
        self, state: TrialState, metrics: dict[str, float] | None, stopped: bool
    ) -> None:
        trial = Trial(
            "id", "job", 0, state, Proposal(Candidate({"x": 1}), 1, 0), None, None,
            {"accuracy": 0.5}, 3, 2, 1.0, 0, 1, None, 0.0, None, None,
        )  # fmt: skip
        seen = trial.observation()
        assert (seen.metrics, seen.stopped, seen.step, seen.candidate) == (metrics, stopped, 3, Candidate({"x": 1}))

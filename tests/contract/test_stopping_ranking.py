"""The order used by stopping rules and evolution, compared with its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchsvc.algorithms.ranking import NondominatedFronts, crowding_distances, ranked_values, signed_values, slacks
from searchsvc.domain import Constraint, Objective, nondominated_ranks
from tests.support.work import calls

COARSE = st.lists(st.tuples(*[st.integers(0, 6).map(float)] * 3), min_size=1, max_size=40)


def better_by_definition(values: np.ndarray, row: int) -> int:
    ranks = nondominated_ranks(values)
    same = ranks == ranks[row]
    front = values[same]
    unequal = (front != values[row]).any(axis=1)
    distances = crowding_distances(np.vstack([front[unequal], values[row]]))
    return int((ranks < ranks[row]).sum() + (distances[:-1] > distances[-1]).sum())


@given(COARSE)
def test_growing_fronts_rank_as_sorting_all_at_once(rows: list[tuple[float, ...]]) -> None:
    fronts = NondominatedFronts(3)
    for count, row in enumerate(rows, 1):
        fronts.add(row)
        assert fronts.count_better(row) == better_by_definition(np.array(rows[:count]), count - 1)


@given(COARSE, st.tuples(*[st.integers(0, 6).map(float)] * 3))
def test_values_of_no_member_are_ranked_like_a_member(
    rows: list[tuple[float, ...]], other: tuple[float, ...]
) -> None:
    fronts = NondominatedFronts(3)
    for row in rows:
        fronts.add(row)
    assert fronts.count_better(other) == better_by_definition(np.array([*rows, other]), len(rows))


@given(st.lists(st.integers(0, 9).map(float), max_size=30), st.integers(0, 9).map(float))
def test_with_one_objective_the_larger_are_better(values: list[float], other: float) -> None:
    order = ranked_values(1)
    for value in values:
        order.add((value,))
    assert order.count_better((other,)) == sum(value > other for value in values)
    assert len(order) == len(values)


def test_ranking_a_report_hardly_slows_down_as_reports_accumulate() -> None:
    """Four times as many reports cost little more than four times as many calls, not sixteen times."""

    def calls_for(reports: int) -> int:
        fronts = NondominatedFronts(2)
        with calls() as operations:
            for point in np.random.default_rng(0).random((reports, 2)):
                fronts.add(tuple(point))
                fronts.count_better(tuple(point))
        return operations.count

    assert calls_for(4_000) < 6 * calls_for(1_000)


def test_crowding_is_infinite_at_the_ends_and_the_gap_of_the_neighbours_in_between() -> None:
    line = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]])
    assert crowding_distances(line).tolist() == [np.inf, 1.5, 1.5, np.inf]
    assert crowding_distances(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def test_values_are_signed_so_that_larger_is_better() -> None:
    objectives = Objective(metric="accuracy"), Objective(metric="flops", goal="minimize")
    assert signed_values({"accuracy": 0.9, "flops": 5.0}, objectives) == (0.9, -5.0)


@pytest.mark.parametrize("metrics", [None, {}, {"accuracy": float("nan")}, {"accuracy": float("inf")}])
def test_a_metric_that_is_missing_or_not_finite_is_no_value(metrics: dict[str, float] | None) -> None:
    assert signed_values(metrics, [Objective(metric="accuracy")]) is None


def test_slack_is_negative_within_a_limit_and_positive_beyond() -> None:
    both, least = Constraint(metric="a", min=1.0, max=2.0), Constraint(metric="b", min=5.0)
    assert slacks({"a": 1.25, "b": 7.0}, [both, least]) == (-0.25, -2.0)
    assert slacks({"a": 2.5, "b": 4.0}, [both, least]) == (0.5, 1.0)
    assert slacks({"a": 2.5}, [both, least]) is None

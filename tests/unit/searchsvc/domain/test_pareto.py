"""Fronts, ranks and hypervolume against brute force and Monte Carlo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchsvc.domain import hypervolume, nondominated_ranks, pareto_front

COORDINATE = st.integers(0, 4).map(float) | st.just(float("nan"))


@st.composite
def matrices(draw: st.DrawFn) -> np.ndarray:
    width = draw(st.integers(1, 4))
    return np.array(draw(st.lists(st.tuples(*[COORDINATE] * width), max_size=25)), float).reshape(-1, width)


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a >= b).all() and (a > b).any())


def front_by_force(values: np.ndarray) -> list[bool]:
    measured = ~np.isnan(values).any(axis=1)
    return [
        bool(measured[i]) and not any(measured[j] and dominates(values[j], values[i]) for j in range(len(values)))
        for i in range(len(values))
    ]


@given(matrices())
def test_the_front_is_what_nothing_dominates(values: np.ndarray) -> None:
    assert pareto_front(values).tolist() == front_by_force(values)


@given(matrices())
def test_ranks_are_fronts_of_what_is_left(values: np.ndarray) -> None:
    ranks = nondominated_ranks(values)
    measured = ~np.isnan(values).any(axis=1)
    assert (ranks[~measured] == len(values)).all()
    for row in np.flatnonzero(measured):
        above = [int(ranks[other]) for other in np.flatnonzero(measured) if dominates(values[other], values[row])]
        assert ranks[row] == max(above, default=-1) + 1


@given(matrices())
def test_arguments_are_left_as_they_were(values: np.ndarray) -> None:
    before = values.copy()
    pareto_front(values)
    nondominated_ranks(values)
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_the_hypervolume_is_what_a_hundred_thousand_darts_say(objectives: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    points, darts = random.random((12, objectives)), random.random((100_000, objectives))
    hit = (points[:, None] >= darts[None]).all(axis=2).any(axis=0).mean()
    assert hypervolume(points, np.zeros(objectives)) == pytest.approx(hit, abs=0.01)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=10))
def test_on_a_grid_the_hypervolume_counts_cells(points: list[tuple[int, ...]]) -> None:
    cells = {(x, y, z) for a, b, c in points for x in range(a) for y in range(b) for z in range(c)}
    values = np.array(points, float).reshape(-1, 3)
    assert hypervolume(values, np.zeros(3)) == pytest.approx(len(cells))


def test_points_below_the_reference_count_nothing() -> None:
    assert hypervolume(np.array([[1.0, 3.0], [3.0, 1.0]]), np.array([2.0, 2.0])) == 0.0
    assert hypervolume(np.array([[3.0, 3.0], [1.0, 9.0]]), np.array([2.0, 2.0])) == 1.0
    assert hypervolume(np.empty((0, 2)), np.zeros(2)) == 0.0


@pytest.mark.parametrize("shapes", [((3,), (3,)), ((2, 3), (2,))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="must be"):
        hypervolume(np.ones(shapes[0]), np.ones(shapes[1]))

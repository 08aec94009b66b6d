"""CostModel: metrics, unions, limits, the rule for NaN, and no calls with an empty matrix."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import Constraint
from searchsvc.spaces import NO_COSTS, CostModel, Integer, Matrix, Space
from searchsvc.spaces.costs.model import broken, by_choice, within

SPACE = Space([Integer("width", 1, 8), Integer("depth", 1, 4)])
FLOPS, PARAMS = Constraint(metric="flops", max=6.0), Constraint(metric="params", min=2.0)
MATRIX = np.array([[3.0, 2.0], [3.0, 1.0], [4.0, 2.0], [4.0, 1.0]])


def costs(matrix: Matrix) -> dict[str, Matrix]:
    if not len(matrix):
        raise ValueError("called with an empty matrix")
    return {"flops": matrix[:, 0] * matrix[:, 1], "params": matrix[:, 1]}


MODEL = CostModel.of(costs, SPACE)


def test_a_plain_function_is_wrapped_and_a_model_stays_unchanged() -> None:
    assert MODEL.metrics == ("flops", "params")
    assert CostModel.of(MODEL, SPACE) is MODEL
    assert CostModel.of(None, SPACE) is NO_COSTS


def test_a_row_is_within_if_it_keeps_all_limits() -> None:
    assert MODEL.within(MATRIX, [FLOPS, PARAMS]).tolist() == [True, False, False, False]
    assert MODEL.within(MATRIX, [FLOPS]).tolist() == [True, True, False, True]
    assert MODEL.within(MATRIX, []).all()
    assert broken(costs(MATRIX), [FLOPS, PARAMS], 4).tolist() == [
        [False, False, True, False],
        [False, True, False, True],
    ]


@pytest.mark.parametrize("limit", [Constraint(metric="x", max=1), Constraint(metric="x", min=1)], ids=str)
def test_nan_keeps_no_limit(limit: Constraint) -> None:
    assert within({"x": np.array([1.0, np.nan])}, [limit], 2).tolist() == [True, False]


def test_the_function_is_never_called_with_an_empty_matrix() -> None:
    empty = np.empty((0, 2))
    assert {metric: values.shape for metric, values in MODEL(empty).items()} == {"flops": (0,), "params": (0,)}
    assert MODEL.within(empty, [FLOPS]).shape == (0,)
    joined = MODEL | CostModel(("latency",), lambda matrix: {"latency": 2 * costs(matrix)["flops"]})
    assert joined(empty).keys() == {"flops", "params", "latency"}


def test_a_union_has_the_metrics_of_both_and_the_second_decides() -> None:
    joined = MODEL | CostModel(("params", "latency"), lambda matrix: {"params": matrix[:, 0], "latency": matrix[:, 1]})
    assert joined.metrics == ("flops", "params", "latency")
    assert joined(MATRIX)["params"].tolist() == [3.0, 3.0, 4.0, 4.0]
    assert (NO_COSTS | MODEL).metrics == MODEL.metrics


def test_constraints_split_by_whether_the_model_has_their_metric() -> None:
    accuracy = Constraint(metric="accuracy", min=0.9)
    assert MODEL.split([accuracy, FLOPS, PARAMS]) == ((FLOPS, PARAMS), (accuracy,))
    assert NO_COSTS.split([FLOPS]) == ((), (FLOPS,))


def test_each_choice_has_its_own_model() -> None:
    other = CostModel(("flops",), lambda matrix: {"flops": -matrix[:, 0]})
    chosen = by_choice(1, [other, CostModel(("flops",), lambda matrix: {"flops": matrix[:, 0]})])
    assert chosen(np.array([[5.0, 1.0], [6.0, 0.0]]))["flops"].tolist() == [5.0, -6.0]

"""Check of hard constraints before a job: a cost that is not a number breaks every limit."""

from __future__ import annotations

import numpy as np

from searchsvc.domain import Constraint
from searchsvc.service.planning.reachability import Reachability, examine
from searchsvc.spaces import CostModel, Float, Matrix, Space

SPACE = Space([Float("x", 0.0, 1.0), Float("y", 0.0, 1.0)])
LOSS = Constraint(metric="loss", max=1.0)


def reachability_of(size: CostModel, limit: Constraint) -> Reachability:
    return examine(SPACE, size, [LOSS, limit], [limit])


def half_measured(matrix: Matrix) -> dict[str, Matrix]:
    """Sizes from 1 to 2, NaN in the lower half of x."""
    return {"size": np.where(matrix[:, 0] < 0.5, np.nan, 2.0 - matrix[:, 0])}


def test_a_candidate_without_a_cost_is_not_feasible() -> None:
    reachability = reachability_of(CostModel(["size"], half_measured), Constraint(metric="size", max=2.0))
    assert 0.45 < reachability.share < 0.55
    assert reachability.example is not None
    assert reachability.example[0] >= 0.5


def test_a_limit_is_unreachable_although_some_costs_are_not_numbers() -> None:
    reachability = reachability_of(CostModel(["size"], half_measured), Constraint(metric="size", max=0.5))
    [fault] = reachability.faults
    assert fault.pointer == "/1"
    assert fault.message == "size <= 0.5 cannot be reached: the smallest size found in this space is 1"


def test_a_rare_feasible_candidate_is_found_although_some_costs_are_not_numbers() -> None:
    reachability = reachability_of(CostModel(["size"], half_measured), Constraint(metric="size", max=1.0))
    assert reachability.faults == ()
    assert reachability.example is not None
    assert reachability.example[0] == 1.0


def test_a_limit_on_costs_that_are_never_numbers_is_unreachable() -> None:
    model = CostModel(["size"], lambda matrix: {"size": np.full(len(matrix), np.nan)})
    [fault] = reachability_of(model, Constraint(metric="size", max=2.0)).faults
    assert fault.pointer == "/1"
    assert fault.message == "size <= 2 cannot be reached: size is NaN for all candidates tried"

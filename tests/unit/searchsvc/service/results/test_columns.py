"""Results as columns, and a front that grows with new results."""

from __future__ import annotations

import numpy as np

from searchsvc.domain import Constraint, Objective
from searchsvc.service.results.columns import ResultColumns, Row

OBJECTIVES = (Objective(metric="accuracy"), Objective(metric="flops", goal="minimize"))
LIMITS = (Constraint(metric="flops", max=8.0),)


def rows(count: int, seed: int = 0) -> list[Row]:
    random = np.random.default_rng(seed)
    return [
        (count - place, place, {"accuracy": float(random.random()), "flops": float(random.integers(1, 11))})
        for place in range(count)
    ]


def test_results_stand_in_the_order_in_which_they_ended_whatever_order_they_are_read_in() -> None:
    read = rows(9)
    columns = ResultColumns.of(read[::-1])
    assert columns.numbers.tolist() == [number for number, _, _ in read]
    assert columns.column("accuracy").tolist() == [metrics["accuracy"] for _, _, metrics in read]
    assert columns.last_place == 8
    assert ResultColumns.of([]).last_place == -1


def test_what_was_not_measured_is_not_kept() -> None:
    columns = ResultColumns.of(
        [(0, 0, {"accuracy": 1.0}), (1, 1, {"accuracy": 1.0, "flops": 8.0}), (2, 2, {"flops": 9.0})]
    )
    assert columns.within(LIMITS).tolist() == [False, True, False]
    assert columns.front(OBJECTIVES, LIMITS).numbers.tolist() == [1]


def test_the_front_of_a_front_and_what_ended_since_is_the_front_of_all() -> None:
    read = rows(200)
    whole = ResultColumns.of(read).front(OBJECTIVES, LIMITS)
    grown = ResultColumns.of(())
    for start in range(0, 200, 40):
        grown = grown.joined(ResultColumns.of(read[start : start + 40])).front(OBJECTIVES, LIMITS)
    assert set(grown.numbers.tolist()) == set(whole.numbers.tolist())

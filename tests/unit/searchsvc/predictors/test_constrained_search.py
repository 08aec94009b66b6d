"""Stage 2: the best candidates by prediction within limits, in spaces that can be listed and in larger spaces."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import Constraint, Objective
from searchsvc.errors import NothingFeasible
from searchsvc.predictors.constrained_search import PredictedCandidate, search
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import Predictor
from searchsvc.spaces import Categorical, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel
from searchsvc.spaces.enumeration import enumerate_space

LARGE = Space([*(Integer(f"width{i}", 1, 12) for i in range(6)), Categorical("optimizer", ("sgd", "adam", "lion"))])
SMALL = Space([Integer("width", 1, 12), Integer("depth", 1, 6)])
ACCURACY = Objective(metric="accuracy")
FLOPS = Objective(metric="flops", goal="minimize")


def costs(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": matrix[:, :6].sum(axis=1)}


COST_MODEL = CostModel(("flops",), costs)


def accuracy(matrix: Matrix) -> Matrix:
    return -np.square(matrix[:, :6] - np.array([9, 7, 5, 9, 7, 5])[: matrix.shape[1]]).sum(axis=1)


def predictor(space: Space, results: int = 80) -> tuple[Predictor, Matrix]:
    matrix = space.sample(results, np.random.default_rng(0))
    return Predictor.fit(Encoding(space, COST_MODEL), matrix, accuracy(matrix), seed=0), matrix


def search_result(
    space: Space, constraints: list[Constraint], *, objectives: tuple[Objective, ...] = (ACCURACY,), k: int = 5
) -> list[PredictedCandidate]:
    fitted, matrix = predictor(space)
    return search({"accuracy": fitted}, space, COST_MODEL, constraints, objectives, seeds=matrix, k=k, seed=1)


def test_it_finds_better_candidates_than_the_measured_within_the_limits() -> None:
    answers = search_result(LARGE, [Constraint(metric="flops", max=38)])
    _, matrix = predictor(LARGE)
    measured = accuracy(matrix[COST_MODEL(matrix)["flops"] <= 38])
    assert len({answer.row.tobytes() for answer in answers}) == 5
    assert all(answer.costs["flops"] <= 38 for answer in answers)
    assert accuracy(answers[0].row[None])[0] > measured.max()
    predicted = [answer.means["accuracy"] for answer in answers]
    assert predicted == sorted(predicted, reverse=True)


def test_a_space_that_can_be_listed_gives_the_best_of_all() -> None:
    fitted, _ = predictor(SMALL)
    listed = enumerate_space(SMALL, 100)
    assert listed is not None
    best = np.sort(fitted.predict(listed)[0])[::-1][:5]
    np.testing.assert_allclose([one.means["accuracy"] for one in search_result(SMALL, [])], best)


def test_costs_and_exact_objectives_come_from_the_cost_model() -> None:
    for answer in search_result(LARGE, [], objectives=(ACCURACY, FLOPS), k=8):
        assert answer.means["flops"] == answer.costs["flops"] == COST_MODEL(answer.row[None])["flops"][0]
        assert answer.deviations["flops"] == 0
        assert answer.deviations["accuracy"] > 0


def test_several_objectives_give_candidates_that_do_not_dominate_each_other() -> None:
    answers = search_result(SMALL, [], objectives=(ACCURACY, FLOPS), k=4)
    values = np.array([[one.means["accuracy"], -one.means["flops"]] for one in answers])
    better = (values[:, None] >= values[None]).all(axis=2) & (values[:, None] > values[None]).any(axis=2)
    assert not better.any()


def test_a_limit_on_a_predicted_metric_is_kept_by_prediction() -> None:
    answers = search_result(LARGE, [Constraint(metric="accuracy", max=-30)])
    assert len(answers) > 0
    assert all(answer.means["accuracy"] <= -30 for answer in answers)


def test_it_returns_fewer_if_fewer_candidates_are_feasible() -> None:
    assert len(search_result(SMALL, [Constraint(metric="flops", max=3)])) == 3


@pytest.mark.parametrize("space", [SMALL, LARGE])
def test_limits_that_no_candidate_keeps_are_an_error(space: Space) -> None:
    with pytest.raises(NothingFeasible, match="widen"):
        search_result(space, [Constraint(metric="flops", max=0)])


def test_a_space_of_one_candidate_gives_it() -> None:
    space = Space([Integer("width", 3, 3), Integer("depth", 2, 2)])
    [answer] = search_result(space, [])
    assert answer.row.tolist() == [3, 2]


def test_the_same_seed_gives_the_same_answers() -> None:
    once, again = (search_result(LARGE, []) for _ in range(2))
    assert [one.row.tolist() for one in once] == [one.row.tolist() for one in again]

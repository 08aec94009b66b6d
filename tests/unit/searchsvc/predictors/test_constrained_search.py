"""Stage 2: the best candidates by prediction within limits, in spaces that can be listed and in larger spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from searchsvc.domain import Constraint, Objective
from searchsvc.errors import NothingFeasible
from searchsvc.predictors import constrained_search
from searchsvc.predictors.constrained_search import BEST, CHILDREN, RANDOM, PredictedCandidate, search
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import Predictor
from searchsvc.predictors.variation import crossed, mutated
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


# ---- the genetic algorithm -------------------------------------------------------------------------------------------


class KnownFunction:
    """Stands for a predictor that knows the metric; records how many candidates it is asked for at a time."""

    def __init__(self, function: Callable[[Matrix], Matrix]) -> None:
        self.function = function
        self.asked: list[int] = []

    def predict(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        self.asked.append(len(matrix))
        return self.function(matrix), np.zeros(len(matrix))


def known_search(known: KnownFunction, seeds: Matrix | None, space: Space = LARGE, k: int = 5) -> list[Matrix]:
    predictors: Any = {"accuracy": known}
    return [one.row for one in search(predictors, space, COST_MODEL, [], (ACCURACY,), seeds=seeds, k=k, seed=1)]


def test_a_search_needs_no_seeds() -> None:
    for seeds in (None, np.empty((0, len(LARGE)))):
        rows = known_search(KnownFunction(accuracy), seeds)
        assert len(rows) == 5
        assert accuracy(rows[0][None])[0] > accuracy(LARGE.sample(2048, np.random.default_rng(0))).max() - 5


def test_a_seed_that_chance_does_not_find_is_among_the_answers() -> None:
    needle = LARGE.sample(1, np.random.default_rng(99))
    others = LARGE.sample(20, np.random.default_rng(98))
    rows = known_search(KnownFunction(lambda rows: (rows == needle).all(axis=1) * 1.0), np.vstack([others, needle]))
    assert rows[0].tolist() == needle[0].tolist()


def test_the_search_starts_from_the_best_seeds_and_random_candidates() -> None:
    known = KnownFunction(accuracy)
    known_search(known, LARGE.sample(70, np.random.default_rng(3)))
    assert known.asked[:2] == [70, BEST + RANDOM]
    known = KnownFunction(accuracy)
    known_search(known, None)
    assert known.asked[0] == RANDOM


def test_worse_parents_cross_and_mutate_more_within_the_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: dict[str, list[Matrix]] = {"crossed": [], "mutated": []}

    def crossing(first: Matrix, second: Matrix, rate: Matrix, random: np.random.Generator) -> Matrix:
        rates["crossed"].append(rate)
        return crossed(first, second, rate, random)

    def mutating(space: Space, unit: Matrix, rate: Matrix, random: np.random.Generator) -> Matrix:
        rates["mutated"].append(rate)
        return mutated(space, unit, rate, random)

    monkeypatch.setattr(constrained_search, "crossed", crossing)
    monkeypatch.setattr(constrained_search, "mutated", mutating)
    known_search(KnownFunction(accuracy), LARGE.sample(60, np.random.default_rng(4)))
    for name, low, high in (("crossed", 0.2, 0.9), ("mutated", 0.02, 0.2)):
        first = rates[name][0]  # of the children of each parent in turn, the best parent first
        assert first[:CHILDREN] == pytest.approx(low)
        assert first[-CHILDREN:] == pytest.approx(high)
        assert (np.diff(first) >= -1e-12).all()
        assert len(np.unique(first)) > 3

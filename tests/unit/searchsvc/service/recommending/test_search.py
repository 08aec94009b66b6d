"""The predictor and its search, on results of a known rule: limits, differences, fronts, too few candidates."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchsvc.domain import Constraint, Objective
from searchsvc.service.recommending import search
from searchsvc.service.recommending.search import PredictedRow, SearchRequest
from searchsvc.service.recommending.training_data import TrainingData
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from tests.support.work import calls

SPACE = Space(
    [
        *(Integer(f"depth_{stage}", 1, 6) for stage in range(5)),
        Float("lr", 1e-3, 1.0, log=True),
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 0.99, when={"optimizer": "sgd"}),
    ]
)
ACCURACY, FLOPS = Objective(metric="accuracy"), Objective(metric="flops", goal="minimize")


def costs(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": 1e5 * (matrix[:, :5] * np.arange(1, 6)).sum(axis=1)}


def accuracy(matrix: Matrix) -> Matrix:
    """Return accuracies: deeper is better with decreasing gain; the best rate is 0.03; adam is slightly better."""
    depth = np.log(matrix[:, :5]).sum(axis=1) / 20
    return 0.5 + depth - 0.05 * (np.log10(matrix[:, 5]) + 1.5) ** 2 + 0.02 * matrix[:, 6]


def request_of(trials: int = 60, space: Space = SPACE, **changes: Any) -> SearchRequest:
    """Return the request after a number of trials of random candidates."""
    matrix = space.sample(trials, np.random.default_rng(0))
    flops = costs(matrix)["flops"]
    metrics = tuple(
        {"accuracy": float(a), "loss": float(1 - a), "flops": float(f)}
        for a, f in zip(accuracy(matrix), flops, strict=True)
    )
    fields: dict[str, Any] = {
        "training_data": TrainingData((), matrix, metrics, 1),
        "space": space,
        "cost_model": CostModel(("flops",), costs),
        "identity": None,
        "constraints": (),
        "predicted": ("accuracy",),
        "example": np.empty((0, len(space))),
        "objectives": (ACCURACY,),
        "k": 3,
        "seed": 0,
    }
    return SearchRequest(**fields | changes)


def rows(predictions: Any) -> Matrix:
    return np.stack([one.row for one in predictions])


@pytest.fixture(scope="module")
def within() -> list[PredictedRow]:
    """Three candidates within 4 M FLOPs."""
    return list(search.search(request_of(constraints=(Constraint(metric="flops", max=4e6),))))


def test_answers_keep_the_limits_and_beat_what_was_measured(within: list[PredictedRow]) -> None:
    matrix, data = rows(within), request_of().training_data.matrix
    assert (costs(matrix)["flops"] <= 4e6).all()
    assert accuracy(matrix).min() > accuracy(data[costs(data)["flops"] <= 4e6]).max()


def test_the_best_by_the_prediction_comes_first(within: list[PredictedRow]) -> None:
    means = [one.predicted["accuracy"].mean for one in within]
    assert means == sorted(means, reverse=True)


def test_predictions_are_near_the_truth_within_their_deviations(within: list[PredictedRow]) -> None:
    for prediction, truth in zip(within, accuracy(rows(within)), strict=True):
        predicted = prediction.predicted["accuracy"]
        assert abs(predicted.mean - truth) < 4 * predicted.deviation < 0.5


def test_answers_differ_in_a_fifth_of_their_parameters(within: list[PredictedRow]) -> None:
    unit = np.nan_to_num(SPACE.to_unit(rows(within)), nan=-1.0)
    for index, row in enumerate(unit):
        others = np.delete(unit, index, axis=0)
        assert ((np.abs(others - row) > 0.1).mean(axis=1) >= 0.2).all()


def test_the_same_results_give_the_same_answers_in_a_bounded_number_of_calls(within: list[PredictedRow]) -> None:
    with calls() as made:
        again = search.search(request_of(constraints=(Constraint(metric="flops", max=4e6),)))
    np.testing.assert_array_equal(rows(again), rows(within))
    assert [one.predicted for one in again] == [one.predicted for one in within]
    assert made.count < 400_000


def test_where_hardly_anything_keeps_the_limits_the_example_is_a_beginning() -> None:
    smallest = SPACE.to_matrix([]).reshape(0, len(SPACE))
    smallest = np.vstack([smallest, [1, 1, 1, 1, 1, 0.03, 1, np.nan]])
    limit = Constraint(metric="flops", max=1.5e6)  # all depths 1: one architecture of 7,776
    predictions = search.search(request_of(constraints=(limit,), example=smallest, k=2))
    assert (costs(rows(predictions))["flops"] == 1.5e6).all()


def test_several_objectives_are_answered_along_the_front() -> None:
    predictions = search.search(request_of(objectives=(ACCURACY, FLOPS), k=4))
    means = [one.predicted["accuracy"].mean for one in predictions]
    flops = costs(rows(predictions))["flops"].tolist()
    assert len(predictions) == 4
    assert means == sorted(means, reverse=True)
    assert flops == sorted(flops, reverse=True)
    assert flops[0] > 2 * flops[-1]
    assert set(predictions[0].predicted) == {"accuracy"}


def test_a_limit_on_what_is_predicted_is_kept_by_the_prediction() -> None:
    limit = Constraint(metric="loss", min=0.3)
    predictions = search.search(request_of(constraints=(limit,), predicted=("accuracy", "loss")))
    assert len(predictions) == 3
    assert all(one.predicted["loss"].mean >= 0.3 for one in predictions)


def test_a_space_with_fewer_candidates_than_asked_for_gives_those() -> None:
    space = SPACE.fix({name: 1 for name in SPACE.names if name.startswith("depth")} | {"lr": 0.1, "optimizer": "adam"})
    data = replace(request_of(8).training_data, matrix=space.sample(8, np.random.default_rng(0)))
    request = replace(
        request_of(8), space=space, training_data=data, cost_model=NO_COSTS, example=np.empty((0, len(space))), k=5
    )
    predictions = search.search(request)
    assert len(predictions) == 1


def test_candidates_that_build_the_same_are_one_answer() -> None:
    predictions = search.search(request_of(identity=lambda matrix: matrix[:, 5:6].round(), k=5))
    assert len({round(float(one.row[5])) for one in predictions}) == len(predictions) <= 2

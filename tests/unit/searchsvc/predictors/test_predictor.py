"""Predictors of metrics in their own units, and the quality of their predictions."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import Observation
from searchsvc.errors import InvalidInput
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.predictor import Predictor, fit_predictors, most_informative, pretrained
from searchsvc.predictors.quality import quality
from searchsvc.predictors.warp import Warp
from searchsvc.spaces import Categorical, Float, Matrix, Space
from searchsvc.spaces.costs.model import NO_COSTS

SPACE = Space([Float("x", -1, 1), Float("y", -1, 1), Categorical("c", ("p", "q", "r"))])


def accuracy(matrix: Matrix) -> Matrix:
    return 0.9 - 0.3 * matrix[:, 0] ** 2 - 0.1 * (matrix[:, 1] - 0.3) ** 2 + 0.02 * (matrix[:, 2] == 1)


def sample(count: int, seed: int) -> Matrix:
    return SPACE.sample(count, np.random.default_rng(seed))


def test_a_warp_keeps_order_bounds_outliers_and_is_invertible() -> None:
    values = np.array([0.1, 0.9, 0.5, 0.5, 1e9])
    warp = Warp.of(values)
    targets = warp.forward(values)
    assert targets[2] == targets[3]
    assert (np.argsort(targets, kind="stable") == np.argsort(values, kind="stable")).all()
    np.testing.assert_allclose(warp.inverse(targets), values)
    assert targets.max() < 2.5
    assert warp.inverse(np.array([9.0]))[0] > 1e9 > warp.inverse(np.array([0.0]))[0] > warp.inverse(np.array([-9.0]))[0]


def test_it_predicts_in_the_units_of_the_metric() -> None:
    matrix, others = sample(60, 1), sample(200, 2)
    means, deviations = Predictor.fit(Encoding(SPACE), matrix, accuracy(matrix), seed=0).predict(others)
    scores = quality(accuracy(others), means, deviations, 0)
    assert scores.rank_correlation is not None
    assert scores.rank_correlation > 0.9
    assert np.abs(means - accuracy(others)).mean() < 0.02
    assert scores.inside_90 > 0.75


def test_the_neural_ensemble_has_the_weight_that_unseen_results_give_it() -> None:
    encoding = Encoding(SPACE)
    matrix = sample(40, 3)
    noise = 0.05 * np.random.default_rng(0).standard_normal(40)
    predictor = Predictor.fit(encoding, matrix, accuracy(matrix) + noise, seed=0, encoder=pretrained(encoding, 0))
    assert 0 <= predictor.weight <= 1
    assert (predictor.ensemble is None) == (predictor.weight == 0)


def test_constant_results_are_predicted_exactly() -> None:
    matrix = sample(8, 4)
    means, deviations = Predictor.fit(Encoding(SPACE), matrix, np.full(8, 0.5), seed=0).predict(sample(5, 5))
    np.testing.assert_array_equal(means, 0.5)
    np.testing.assert_array_equal(deviations, 0.0)


def test_the_same_results_give_the_same_predictions() -> None:
    matrix = sample(30, 6)
    once, again = (
        fit_predictors(SPACE, observations(matrix), ["accuracy"], cost_model=NO_COSTS, seed=3)["accuracy"]
        for _ in range(2)
    )
    np.testing.assert_array_equal(once.predict(sample(9, 7)), again.predict(sample(9, 7)))


def test_a_metric_with_too_few_measurements_is_named() -> None:
    with pytest.raises(InvalidInput, match="needs 2 results") as caught:
        fit_predictors(SPACE, observations(sample(5, 8)), ["accuracy", "latency"], cost_model=NO_COSTS, seed=0)
    assert [fault.pointer for fault in caught.value.faults] == ["/latency"]


def observations(matrix: Matrix) -> list[Observation]:
    pairs = zip(SPACE.from_matrix(matrix), accuracy(matrix), strict=True)
    return [Observation(candidate, {"accuracy": float(value)}) for candidate, value in pairs]


def test_the_most_informative_results_are_the_ends_and_an_even_choice() -> None:
    values = np.random.default_rng(0).random(1000)
    rows = most_informative(values, 100)
    assert len(rows) == 100
    assert set(np.argsort(values)[:25]) | set(np.argsort(values)[-25:]) <= set(rows)
    assert (np.diff(rows) > 0).all()


def test_quality_of_true_distributions_is_calibrated_and_its_interval_holds_the_correlation() -> None:
    random = np.random.default_rng(1)
    means, deviations = random.standard_normal(400), np.full(400, 0.5)
    scores = quality(means + deviations * random.standard_normal(400), means, deviations, 0)
    assert scores.inside_50 == pytest.approx(0.5, abs=0.07)
    assert scores.inside_90 == pytest.approx(0.9, abs=0.05)
    assert scores.low is not None
    assert scores.high is not None
    assert scores.low < scores.rank_correlation < scores.high < 1  # type: ignore[operator]


@pytest.mark.parametrize("measured", [[1.0, 2.0], [1.0, 1.0, 1.0, 1.0]])
def test_an_undefined_rank_correlation_is_none(measured: list[float]) -> None:
    values = np.array(measured)
    scores = quality(values, np.arange(len(values)), np.ones(len(values)), 0)
    assert (scores.rank_correlation, scores.low, scores.high) == (None, None, None)

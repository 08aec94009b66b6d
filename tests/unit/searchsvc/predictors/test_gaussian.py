"""The Gaussian-process head, compared with closed forms and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.gaussian import GaussianProcess, NegativeLogPosterior, fit_theta
from searchsvc.predictors.kernel import Kernel, Layout
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space

SPACE = Space([Float("x", -1, 1), Float("y", -1, 1), Integer("n", 1, 5), Categorical("c", ("p", "q", "r"))])
ENCODING = Encoding(SPACE)


def points(count: int, seed: int) -> Matrix:
    return SPACE.sample(count, np.random.default_rng(seed))


def function(matrix: Matrix) -> Matrix:
    return np.sin(2 * matrix[:, 0]) + matrix[:, 2] / 3 + (matrix[:, 3] == 1) * matrix[:, 0]


def test_the_gradient_of_the_log_posterior_equals_finite_differences() -> None:
    layout, matrix = Layout.of(ENCODING.blocks), points(20, 1)
    objective = NegativeLogPosterior(layout, ENCODING.features(matrix), function(matrix))
    mean, deviation = layout.prior()
    theta = mean + 0.3 * deviation * np.random.default_rng(2).standard_normal(layout.size)
    step = 1e-5 * np.eye(layout.size)
    numeric = [(objective(theta + offset)[0] - objective(theta - offset)[0]) / 2e-5 for offset in step]
    np.testing.assert_allclose(objective(theta)[1], numeric, rtol=1e-5, atol=1e-6)


def test_leaving_one_out_in_closed_form_equals_leaving_it_out() -> None:
    matrix = points(12, 3)
    features, targets = ENCODING.features(matrix), function(matrix)
    layout = Layout.of(ENCODING.blocks)
    kernel = Kernel(layout, layout.prior()[0])
    means, deviations = GaussianProcess(kernel, features, targets).leave_one_out()
    for held_out in range(12):
        others = np.arange(12) != held_out
        mean, deviation = GaussianProcess(kernel, features[others], targets[others]).predict(features[[held_out]])
        assert means[held_out] == pytest.approx(mean[0], abs=1e-8)
        assert deviations[held_out] ** 2 == pytest.approx(deviation[0] ** 2 + kernel.noise, abs=1e-8)


def test_awaited_points_shrink_deviations_as_measured_points_would() -> None:
    matrix, awaited, others = points(10, 4), points(3, 5), points(20, 6)
    process = GaussianProcess.fit(ENCODING.blocks, ENCODING.features(matrix), function(matrix))
    both = np.vstack([matrix, awaited])
    after = GaussianProcess(process.kernel, ENCODING.features(both), np.append(process.targets, np.zeros(3)))
    features = ENCODING.features(others)
    shrinkage = process.shrinkage(process.project(features), process.project(ENCODING.features(awaited)))
    shrunk = process.predict(features)[1] * shrinkage
    np.testing.assert_allclose(shrunk, after.predict(features)[1], rtol=1e-6)


def test_it_learns_a_smooth_function_from_forty_points() -> None:
    matrix, others = points(40, 7), points(200, 8)
    process = GaussianProcess.fit(ENCODING.blocks, ENCODING.features(matrix), function(matrix))
    means, deviations = process.predict(ENCODING.features(others))
    errors = function(others) - means
    assert np.sqrt(np.mean(errors**2)) < 0.15 * function(others).std()
    assert np.mean(np.abs(errors) < 3 * np.sqrt(deviations**2 + process.kernel.noise)) > 0.9


def test_equal_targets_are_predicted_and_nothing_breaks() -> None:
    matrix = points(6, 9)
    process = GaussianProcess.fit(ENCODING.blocks, ENCODING.features(matrix), np.zeros(6))
    means, deviations = process.predict(ENCODING.features(matrix))
    np.testing.assert_allclose(means, 0.0, atol=1e-12)
    assert np.isfinite(deviations).all()


def test_the_deviation_at_a_result_is_a_number_although_rounding_makes_the_variance_negative() -> None:
    layout, features = Layout.of(ENCODING.blocks), ENCODING.features(points(60, 5))
    theta = layout.prior()[0]
    theta[-1] = -20.0  # hardly any noise
    process = GaussianProcess(Kernel(layout, theta), features, np.zeros(60))
    _, deviations = process.predict(features.astype(np.float32))  # rounds more than float64
    assert np.isfinite(deviations).all()
    assert (deviations > 0).all()


def test_theta_stays_at_its_prior_until_there_are_two_results() -> None:
    layout, features = Layout.of(ENCODING.blocks), ENCODING.features(points(2, 6))
    mean = layout.prior()[0]
    assert np.array_equal(fit_theta(layout, features[:1], np.ones(1)), mean)
    assert not np.allclose(fit_theta(layout, features, np.array([-1.0, 1.0])), mean)


def test_a_matrix_that_is_not_positive_definite_has_the_worst_value_and_no_slope() -> None:
    layout = Layout.of(ENCODING.blocks)
    features = ENCODING.features(np.repeat(points(1, 7), 30, axis=0))
    theta = layout.prior()[0]
    theta[layout.linear], theta[layout.scales], theta[-1] = 30.0, 30.0, -50.0
    value, gradient = NegativeLogPosterior(layout, features, np.ones(30))(theta)
    assert value == 1e10
    assert not gradient.any()

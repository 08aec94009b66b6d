"""The neural ensemble: its training, and the benefit of pretraining."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchsvc.predictors import neural
from searchsvc.predictors.encoding import Encoding
from searchsvc.predictors.quality import quality
from searchsvc.spaces import Categorical, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel
from tests.support.work import calls

SPACE = Space([*(Categorical(f"edge{i}", ("none", "skip", "1x1", "3x3")) for i in range(6)), Integer("rate", 1, 9)])
WEIGHTS = np.array([0.0, 0.1, 1.0, 3.0])


def costs(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": 1 + WEIGHTS[matrix[:, :6].astype(int)].sum(axis=1)}


COST_MODEL = CostModel(("flops",), costs)


def accuracy(matrix: Matrix) -> Matrix:
    return np.log(costs(matrix)["flops"]) - ((matrix[:, 6] - 4) / 6) ** 2


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(SPACE, COST_MODEL)


@pytest.fixture(scope="module")
def encoder(encoding: Encoding) -> neural.Encoder:
    return neural.pretrain(encoding, seed=0)


def sample(count: int, seed: int) -> Matrix:
    return SPACE.sample(count, np.random.default_rng(seed))


def standardised(values: Matrix) -> Matrix:
    return (values - values.mean()) / values.std()


def weights(encoder: neural.Encoder) -> list[torch.Tensor]:
    return [tensor for layer in encoder.layers for tensor in layer]


def test_the_encoder_is_bit_equal_after_the_frozen_epochs(encoding: Encoding, encoder: neural.Encoder) -> None:
    matrix = sample(30, 1)
    frozen = neural.fit(encoding, encoder, matrix, standardised(accuracy(matrix)), 0, epochs=0)
    trained = neural.fit(encoding, encoder, matrix, standardised(accuracy(matrix)), 0)
    assert all(torch.equal(a, b) for a, b in zip(weights(encoder), weights(frozen.encoder), strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(weights(encoder), weights(trained.encoder), strict=True))


def test_pretraining_on_costs_ranks_better_from_few_labels(encoding: Encoding, encoder: neural.Encoder) -> None:
    blank = Encoding(SPACE)
    random = neural.pretrain(blank, seed=0)
    test = sample(500, 9)
    correlations = {True: [], False: []}
    for seed in range(3):
        matrix = sample(20, seed)
        targets = standardised(accuracy(matrix))
        for is_pretrained, (features, start) in {True: (encoding, encoder), False: (blank, random)}.items():
            means, deviations = neural.fit(features, start, matrix, targets, seed).predict(test)
            correlations[is_pretrained].append(quality(accuracy(test), means, deviations, 0).rank_correlation)
    assert np.mean(correlations[True]) > np.mean(correlations[False]) + 0.1


def test_the_same_results_give_the_same_members(encoding: Encoding, encoder: neural.Encoder) -> None:
    matrix = sample(25, 2)
    once, again = (neural.fit(encoding, encoder, matrix, standardised(accuracy(matrix)), 3) for _ in range(2))
    np.testing.assert_array_equal(once.members(matrix), again.members(matrix))


def test_out_of_bag_predictions_come_from_members_that_did_not_see_the_result(
    encoding: Encoding, encoder: neural.Encoder
) -> None:
    matrix = sample(25, 4)
    ensemble = neural.fit(encoding, encoder, matrix, standardised(accuracy(matrix)), 5)
    members, unseen = ensemble.members(matrix), ensemble.seen == 0
    for row, value in enumerate(ensemble.out_of_bag()):
        if unseen[:, row].any():
            assert value == pytest.approx(members[unseen[:, row], row].mean(), abs=1e-5)
        else:
            assert np.isnan(value)


def test_a_fit_takes_no_more_operations_for_more_results(encoding: Encoding, encoder: neural.Encoder) -> None:
    counts = []
    for results in (50, 50, 200):  # the first run imports modules
        matrix = sample(results, 6)
        with calls() as operations:
            neural.fit(encoding, encoder, matrix, standardised(accuracy(matrix)), 0)
        counts.append(operations.count)
    assert counts[2] <= 1.1 * counts[1]

"""The early-stop epoch: the first epoch from which on all epochs rank the trials as the last epoch does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from searchsvc.predictors.early_stop import early_stop_epoch, rank_correlations

RANDOM = np.random.default_rng(0)
AGREEING = np.tile(np.arange(3.0)[:, None], 5)
"""Three trials, too few, that rank alike at every epoch."""


def test_rank_correlations_equal_those_of_scipy_also_with_ties() -> None:
    curves = RANDOM.integers(0, 6, size=(12, 9)).astype(float)
    expected = [spearmanr(curves[:, epoch], curves[:, -1]).statistic for epoch in range(9)]
    assert rank_correlations(curves) == pytest.approx(expected, abs=1e-12)


def test_the_first_epoch_that_reaches_the_threshold_and_keeps_it_is_chosen() -> None:
    final = np.arange(8.0)
    reversed_, same = final[::-1], final + 3
    assert early_stop_epoch(np.stack([reversed_, same, same, final], axis=1)) == 2
    assert early_stop_epoch(np.stack([same, reversed_, same, final], axis=1)) == 3


def test_a_threshold_reached_at_once_gives_the_first_epoch_and_an_unreached_threshold_the_last() -> None:
    final = np.arange(8.0)
    assert early_stop_epoch(np.stack([final, final, final], axis=1)) == 1
    assert early_stop_epoch(np.stack([final, final, final], axis=1), threshold=1.0) == 1  # reached exactly
    swapped = final.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert early_stop_epoch(np.stack([swapped, swapped, final], axis=1), threshold=1.0) == 3


@pytest.mark.parametrize("curves", [np.empty((0, 5)), AGREEING, np.ones((9, 5))])
def test_if_ranks_are_undefined_trials_train_to_the_end(curves: np.ndarray) -> None:
    assert early_stop_epoch(curves) == 5

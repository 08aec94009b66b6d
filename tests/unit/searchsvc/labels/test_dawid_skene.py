"""Simulated raters: their accuracies are recovered, and their combined answers beat the majority vote."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.labels import dawid_skene

ITEMS = 1000
ACCURACIES = np.array([0.95, 0.85, 0.75, 0.65, 0.6])


def simulated(classes: int, seed: int, share: float = 1.0) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return (truth (n,), a share of the answers as items, raters, values).

    The share of correct answers of each rater equals the rater's accuracy exactly.
    """
    random = np.random.default_rng(seed)
    truth = random.choice(classes, ITEMS, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2))
    items, raters = (one.ravel() for one in np.indices((ITEMS, len(ACCURACIES))))
    wrong = (truth[items] + random.integers(1, classes, items.shape)) % classes
    places = random.permuted(np.tile(np.arange(ITEMS), (len(ACCURACIES), 1)), axis=1).T.ravel()  # as items, raters
    answers = np.where(places < ACCURACIES[raters] * ITEMS, truth[items], wrong)
    there = random.random(items.shape) < share
    return truth, (items[there], raters[there], answers[there])


@pytest.mark.parametrize("classes", [2, 7])
@pytest.mark.parametrize("seed", range(3))
def test_accuracies_are_recovered_and_the_majority_is_beaten(classes: int, seed: int) -> None:
    truth, (items, raters, answers) = simulated(classes, seed)
    consensus = dawid_skene(items, raters, answers, shape=(ITEMS, len(ACCURACIES), classes))
    assert np.abs(consensus.accuracies - ACCURACIES).max() < 0.03
    votes = np.bincount(items * classes + answers, minlength=ITEMS * classes).reshape(ITEMS, classes)
    right, majority = (float((one.argmax(1) == truth).mean()) for one in (consensus.posterior, votes))
    assert right > majority
    np.testing.assert_allclose(consensus.posterior.sum(1), 1)


def test_answers_may_be_missing() -> None:
    truth, (items, raters, answers) = simulated(2, 0, share=0.5)
    consensus = dawid_skene(items, raters, answers, shape=(ITEMS + 1, len(ACCURACIES), 2))
    assert (consensus.posterior[:-1].argmax(1) == truth).mean() > 0.85
    np.testing.assert_allclose(consensus.posterior[-1], consensus.prior)


def test_a_rater_who_is_alone_is_believed() -> None:
    answers = np.array([1, 0, 0, 1, 0])
    consensus = dawid_skene(np.arange(5), np.zeros(5, int), answers, shape=(5, 1, 2))
    assert ((consensus.posterior[:, 1] >= 0.8) == answers).all()


def test_a_rater_who_always_says_the_opposite_is_understood() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 300)
    answers = np.concatenate([np.where(random.random(300) < one, truth, 1 - truth) for one in (0.9, 0.9, 0.05)])
    consensus = dawid_skene(np.tile(np.arange(300), 3), np.repeat(np.arange(3), 300), answers, shape=(300, 3, 2))
    assert consensus.accuracies[2] < 0.1
    assert (consensus.posterior.argmax(1) == truth).mean() > 0.95


def test_no_answers_are_no_fault() -> None:
    none = np.empty(0, np.int64)
    assert dawid_skene(none, none, none, shape=(3, 0, 2)).posterior.tolist() == [[0.5, 0.5]] * 3

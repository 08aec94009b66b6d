"""What is true when raters disagree (Dawid and Skene 1979): how good each rater is, and what their answers come to.

Expectation maximisation over answers that may be missing. With two classes, reject (0) and accept (1), it combines
what raters say of proposals.

| symbol | meaning | shape |
|---|---|---|
| posterior | probability of each class for each item | (n, K) |
| prior | share of each class | (K,) |
| confusion | probability that rater r answers v where t is true | (R, K, K) as [r, t, v] |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_ROUNDS, _SETTLED = 500, 1e-7
_RIGHT_BEFORE, _WRONG_BEFORE = 1.0, 0.01
"""Answers that every rater is taken to have given before, to each class: who rates alone is believed, and no answer is
impossible because it was never given."""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What the raters come to."""

    posterior: NDArray[np.float64]
    prior: NDArray[np.float64]
    confusion: NDArray[np.float64]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(R,) the probability that an answer of the rater is right."""
        right: NDArray[np.float64] = np.einsum("t,rtt->r", self.prior, self.confusion)
        return right


def dawid_skene(
    items: NDArray[np.integer],
    raters: NDArray[np.integer],
    answers: NDArray[np.integer],
    *,
    shape: tuple[int, int, int],
) -> Consensus:
    """From m answers (m,), each by a rater on an item; `shape`: numbers of items, raters and classes.

    Starts from the shares of the answers to each item, which decides which class is which. An item without an answer
    has the prior as its posterior.
    """
    n, count, classes = shape
    posterior = _shares(items, answers, n, classes)
    for _ in range(_MOST_ROUNDS):
        prior, confusion = _maximised(posterior, items, raters, answers, count)
        before, posterior = posterior, _expected(prior, confusion, items, raters, answers, n)
        if np.abs(posterior - before).max(initial=0.0) < _SETTLED:
            break
    return Consensus(posterior, prior, confusion)


def _shares(items: NDArray[np.integer], answers: NDArray[np.integer], n: int, classes: int) -> NDArray[np.float64]:
    """(n, K) of the answers to each item; alike where there is none."""
    counts = np.bincount(items * classes + answers, minlength=n * classes).reshape(n, classes)
    total = counts.sum(1, keepdims=True)
    return np.where(total, counts / np.maximum(total, 1), 1.0 / classes)


def _maximised(
    posterior: NDArray[np.float64],
    items: NDArray[np.integer],
    raters: NDArray[np.integer],
    answers: NDArray[np.integer],
    count: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(prior, confusion), the likeliest for the posterior of the items that have an answer."""
    classes = posterior.shape[1]
    answered = np.unique(items)
    prior = (posterior[answered].sum(0) + _WRONG_BEFORE) / (len(answered) + classes * _WRONG_BEFORE)
    kinds = raters * classes + answers  # (m,)
    counts = np.stack(
        [
            np.bincount(kinds, posterior[items, true], count * classes).reshape(count, classes)
            for true in range(classes)
        ],
        axis=1,
    )
    before = np.where(np.eye(classes), _RIGHT_BEFORE, _WRONG_BEFORE)
    return prior, (counts + before) / (counts + before).sum(2, keepdims=True)


def _expected(
    prior: NDArray[np.float64],
    confusion: NDArray[np.float64],
    items: NDArray[np.integer],
    raters: NDArray[np.integer],
    answers: NDArray[np.integer],
    n: int,
) -> NDArray[np.float64]:
    """(n, K) the posterior, from what the raters are like."""
    likelihoods = np.log(confusion)[raters, :, answers]  # (m, K)
    logs = np.log(prior) + np.stack([np.bincount(items, one, n) for one in likelihoods.T], axis=1)
    shares = np.exp(logs - logs.max(1, keepdims=True))
    posterior: NDArray[np.float64] = shares / shares.sum(1, keepdims=True)
    return posterior

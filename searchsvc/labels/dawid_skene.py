"""Truth inference from the answers of several raters, and the accuracy of each rater (Dawid and Skene 1979).

Expectation maximisation over answers that may be missing. With two classes, reject (0) and accept (1), it combines
the raters' verdicts on proposals.

| symbol | meaning | shape |
|---|---|---|
| posterior | probability of each class for each item | (n, K) |
| prior | share of each class | (K,) |
| confusion | probability that rater r answers v if t is true | (R, K, K) as [r, t, v] |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOST_ROUNDS, _SETTLED = 200, 1e-6
_RIGHT_BEFORE, _WRONG_BEFORE = 1.0, 0.01
"""Pseudo-counts of correct and wrong answers of every rater, per class.

A rater who rates an item alone is believed, and no answer is impossible because it has not occurred yet.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """The estimated truth, and the confusion matrices of the raters."""

    posterior: NDArray[np.float64]
    prior: NDArray[np.float64]
    confusion: NDArray[np.float64]

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """(R,) probability that an answer of the rater is correct."""
        right: NDArray[np.float64] = np.einsum("t,rtt->r", self.prior, self.confusion)
        return right


def dawid_skene(
    items: NDArray[np.integer],
    raters: NDArray[np.integer],
    answers: NDArray[np.integer],
    *,
    shape: tuple[int, int, int],
) -> Consensus:
    """Return the consensus of m answers (m,), each by a rater on an item.

    `shape`: numbers of items, raters and classes. The estimation starts from the shares of the answers to each item,
    which determines the meaning of each class. An item without an answer has the prior as its posterior.
    """
    from scipy.sparse import csr_array  # takes long to import, and only this needs it

    n, count, classes = shape
    counts = csr_array((np.ones(len(items)), (items, raters * classes + answers)), (n, count * classes))
    answered = np.diff(counts.indptr) > 0
    votes = counts @ np.tile(np.eye(classes), (count, 1))  # (n, K)
    posterior = np.where(answered[:, None], votes / np.maximum(votes.sum(1, keepdims=True), 1), 1 / classes)
    before = np.where(np.eye(classes), _RIGHT_BEFORE, _WRONG_BEFORE)
    for _ in range(_MOST_ROUNDS):
        prior = posterior[answered].sum(0) + _WRONG_BEFORE
        prior /= prior.sum()
        confusion = (counts.T @ posterior).reshape(count, classes, classes).swapaxes(1, 2) + before
        confusion /= confusion.sum(2, keepdims=True)
        logs = np.log(prior) + counts @ np.log(confusion).swapaxes(1, 2).reshape(-1, classes)  # (n, K)
        shares = np.exp(logs - logs.max(1, keepdims=True))
        last, posterior = posterior, shares / shares.sum(1, keepdims=True)
        if np.abs(posterior - last).max(initial=0.0) < _SETTLED:
            break
    return Consensus(posterior, prior, confusion)

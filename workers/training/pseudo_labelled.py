"""The pseudo-labelled batch of a student, which every step takes together with an equal one of labelled images."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.losses.self_training import JointLoss
from workers.training import seeds

PSEUDO_LOSS = "pseudo_train_loss"
SplitT = TypeVar("SplitT")


class PseudoLabelled(Generic[SplitT]):
    """A split of `count` pseudo-labelled images as the trainer of a task takes it, and the joint loss."""

    def __init__(self, split: SplitT, count: int, *, alpha: float, seed: int) -> None:
        """`seed`: of the trial, whose labelled images meet the draws that they meet without the others."""
        self.split, self.loss = split, JointLoss(alpha)
        self.seed = seeds.of_pseudo_labelled(seed)
        self.count = count

    def draws(self, epoch: int, draws: int) -> NDArray[np.intp]:
        """Return the draws of epoch 1, 2, ...: entry v is image v % count, as in `seeds.passes`.

        Epochs continue one endless row of passes over all images, each pass in an order of its own.
        """
        first = (epoch - 1) * draws
        passes = range(first // self.count, -(-(first + draws) // self.count))
        row = np.concatenate([self._pass(one) for one in passes])
        start = first - passes.start * self.count
        return row[start : start + draws]

    def _pass(self, number: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, 0, number]).permutation(self.count) + number * self.count

"""What a student is trained on beside the labelled images of a trial: in every step as many pseudo-labelled ones."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.losses.self_training import JointLoss
from workers.training import seeds

PSEUDO_LOSS = "pseudo_train_loss"
SplitT = TypeVar("SplitT")


class Beside(Generic[SplitT]):
    """A split of `count` pseudo-labelled images as the trainer of a task takes it, and the loss of both halves."""

    def __init__(self, split: SplitT, count: int, *, alpha: float, seed: int) -> None:
        """`seed`: of the trial, whose labelled images meet the draws that they meet without the others."""
        self.split, self.loss = split, JointLoss(alpha)
        self.seed = seeds.beside(seed)
        self._count = count

    def order(self, epoch: int, count: int) -> NDArray[np.intp]:
        """The images of epoch 1, 2, ..., which has `count`.

        It goes on in an endless row of passes over all images, each in an order of its own, where the last has ended.
        """
        first = (epoch - 1) * count
        passes = range(first // self._count, -(-(first + count) // self._count))
        row = np.concatenate([np.random.default_rng([self.seed, 0, one]).permutation(self._count) for one in passes])
        start = first - passes.start * self._count
        return row[start : start + count]

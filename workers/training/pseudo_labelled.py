"""The pseudo-labelled batch of a student: every step uses it together with a labelled batch of the same size."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from workers.losses.self_training import JointLoss
from workers.training import seeds

PSEUDO_LOSS = "pseudo_train_loss"
SplitT = TypeVar("SplitT")


class PseudoLabelled(Generic[SplitT]):
    """A split of `count` pseudo-labelled images in the form that a task's trainer uses, and the joint loss."""

    def __init__(self, split: SplitT, count: int, *, alpha: float, seed: int) -> None:
        """Create it from a split of `count` images and the seed of the trial.

        Labelled images get the same random numbers with and without pseudo labels.
        """
        self.split, self.loss = split, JointLoss(alpha)
        self.seed = seeds.of_pseudo_labelled(seed)
        self.count = count

    def draws(self, epoch: int, draws: int) -> NDArray[np.intp]:
        """Return the draws of epoch 1, 2, ...: entry v is image v % count, as in `seeds.passes`.

        Epochs continue an endless sequence of passes over all images, each pass in its own order.
        """
        first = (epoch - 1) * draws
        passes = range(first // self.count, -(-(first + draws) // self.count))
        sequence = np.concatenate([self._pass(number) for number in passes])
        start = first - passes.start * self.count
        return sequence[start : start + draws]  # (draws,)

    def _pass(self, number: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, 0, number]).permutation(self.count) + number * self.count

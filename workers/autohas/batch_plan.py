"""The batches of a search: which images each step trains on, which images it is scored on, and its random numbers.

Everything follows from the seed of the trial, the step, and the rank of the process. So a resumed search sees the same
batches, and processes that search together see different batches.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from workers.autohas.exchange import Exchange
from workers.autohas.task_interface import BatchSource
from workers.training.classification.splits import Order
from workers.training.seeds import generator

_DRAWS, _TRAINING, _VALIDATION, _FINAL = range(4)
"""Purposes of random numbers."""


class BatchPlan:
    """Batches and random numbers of a process, by step."""

    def __init__(
        self,
        train: BatchSource,
        validation: BatchSource,
        options: Mapping[str, Any],
        exchange: Exchange,
        *,
        seed: int,
        batch_size: int,
        epochs: int,
    ) -> None:
        """`options`: those of the search. `batch_size`: that of the candidate which takes the most images."""
        self._train, self._validation = train, validation
        self._options, self._exchange = options, exchange
        self._seed, self._batch_size = seed, batch_size
        self.steps_per_epoch = math.ceil(math.ceil(len(train) / exchange.size) / batch_size)
        self.total = self.steps_per_epoch * epochs
        """Steps of the whole search."""

    def steps_of(self, log: int) -> range:
        """Return the steps between measurement `log` - 1 and measurement `log`."""
        per_epoch = self._options["logs_per_epoch"]
        return range(*(round(count * self.steps_per_epoch / per_epoch) for count in (log - 1, log)))

    def is_controlled(self, step: int) -> bool:
        """True if the controller moves the distributions in this step."""
        return step % int(self._options["controller_every"]) == 0

    def training(self, steps: range) -> Iterator[Any]:
        """Yield a training batch for each of some steps, all of which are within the same epoch."""
        if not steps:
            return
        epoch, first = divmod(steps.start, self.steps_per_epoch)
        order = generator(self._seed, epoch + 1).permutation(len(self._train))  # (images,), the same in all processes
        own: Order = order[self._exchange.rank :: self._exchange.size]  # (images / processes,)
        parts = np.array_split(own, self.steps_per_epoch)[first : first + len(steps)]
        yield from self._train.batches(np.concatenate(parts), [self._seed_of(step, _TRAINING) for step in steps])

    def validation(self, steps: range) -> Iterator[Any]:
        """Yield a validation batch for each controlled step among some steps."""
        controlled = [step for step in steps if self.is_controlled(step)]
        if not controlled:
            return
        count = min(self._options["reward_images"], len(self._validation))
        chosen = [  # (count,) for each step
            np.random.default_rng(self._seed_of(step, _VALIDATION)).choice(len(self._validation), count, replace=False)
            for step in controlled
        ]
        yield from self._validation.batches(np.concatenate(chosen), [0] * len(controlled))

    def draws(self, step: int) -> torch.Generator:
        """Return the generator of the candidates that are drawn in a step."""
        return torch.Generator().manual_seed(self._seed_of(step, _DRAWS))

    def whole_validation(self) -> Iterator[Any]:
        """Yield all validation images, in batches of at most `reward_images`."""
        order = np.arange(len(self._validation))
        parts = math.ceil(len(order) / self._options["reward_images"])
        return self._validation.batches(order, [0] * parts)

    def final_training(self) -> Any:
        """Return the training batch of the step that finalists are scored after, the same in all processes."""
        order = np.random.default_rng(seed_of(self._seed, self.total, _TRAINING)).permutation(len(self._train))
        return next(self._train.batches(order[: self._batch_size], [seed_of(self._seed, self.total, _DRAWS)]))

    def final_draws(self) -> torch.Generator:
        """Return the generator of the finalists, the same in all processes."""
        return torch.Generator().manual_seed(seed_of(self._seed, self.total, _FINAL))

    def _seed_of(self, step: int, purpose: int) -> int:
        return seed_of(self._seed, step, self._exchange.rank, purpose)


def seed_of(*numbers: int) -> int:
    """Return a seed that follows from numbers such as (seed of the trial, step, rank, purpose)."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))

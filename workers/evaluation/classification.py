"""Accuracy and cross-entropy of a classifier on one split, and what it says of each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.labels.predictions import KEPT, Predictions
from workers.data.dataset import Labels

Answers = Iterable[tuple[Tensor, Tensor]]
"""Logits (m, K) and labels (m,) of batch after batch, all on one device."""


def evaluate(answers: Answers) -> Iterator[tuple[str, float]]:
    """Yield ("accuracy", share that is right) and ("loss", mean cross-entropy).

    The device is waited for once, at the end.
    """
    count = 0
    right: Tensor | int = 0
    loss: Tensor | float = 0.0
    for logits, labels in answers:
        count += len(labels)
        right = right + (logits.argmax(1) == labels).sum()
        loss = loss + F.cross_entropy(logits.float(), labels, reduction="sum").double()
    yield "accuracy", float(right) / count
    yield "loss", float(loss) / count


class Ranking:
    """Keeps the likeliest classes of the answers that pass through it, on their device until all have passed."""

    def __init__(self, *, independent: bool) -> None:
        """`independent`: each class has a probability of its own (sigmoid); else they sum to 1 (softmax)."""
        self._probabilities = torch.sigmoid if independent else lambda logits: torch.softmax(logits, 1)
        self._passed: list[tuple[Tensor, Tensor]] = []

    def passing(self, answers: Answers) -> Iterator[tuple[Tensor, Tensor]]:
        """The same answers."""
        for logits, labels in answers:
            top = logits.float().topk(min(KEPT, logits.shape[1]))
            shares = self._probabilities(logits.float()).gather(1, top.indices)
            self._passed.append((top.indices, shares.half()))
            yield logits, labels

    def predictions(self, labels: Labels) -> Predictions:
        """Of all that passed; `labels`: of the same images."""
        classes, probabilities = (torch.cat(parts).cpu().numpy() for parts in zip(*self._passed, strict=True))
        return Predictions(classes.astype(np.int64), probabilities, labels)

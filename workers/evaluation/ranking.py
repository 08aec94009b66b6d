"""The most likely classes of each image, by a classifier."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from searchsvc.labels.predictions import MAX_CLASSES, Predictions
from workers.data.dataset import Labels
from workers.evaluation.classification import Answers


class Ranking:
    """Collects the most likely classes of a stream of answers, on their device until the end."""

    def __init__(self, *, independent: bool) -> None:
        """Start without answers.

        `independent`: each class has its own probability (sigmoid); otherwise they sum to 1 (softmax).
        """
        self._probabilities = torch.sigmoid if independent else lambda logits: torch.softmax(logits, 1)
        self._passed: list[tuple[Tensor, Tensor]] = []

    def passing(self, answers: Answers) -> Iterator[tuple[Tensor, Tensor]]:
        """Collect the answers, and yield them unchanged."""
        for logits, labels in answers:
            top = logits.float().topk(min(MAX_CLASSES, logits.shape[1]))  # (m, k) each
            shares = self._probabilities(logits.float()).gather(1, top.indices)  # (m, k)
            self._passed.append((top.indices, shares.half()))
            yield logits, labels

    def predictions(self, labels: Labels) -> Predictions:
        """Return the predictions of all answers that passed; `labels` are the labels of the same images."""
        # (n, k) each
        classes, probabilities = (torch.cat(parts).cpu().numpy() for parts in zip(*self._passed, strict=True))
        return Predictions(classes.astype(np.int64), probabilities, labels)

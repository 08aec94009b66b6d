"""Accuracy and cross-entropy of a classifier on one split.

| symbol | meaning | shape |
|---|---|---|
| logits | what `predict` gives for the images of an index range | (m, K) |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

_BATCH = 1024


def evaluate(predict: Callable[[slice], Tensor], labels: Tensor) -> Iterator[tuple[str, float]]:
    """Yield ("accuracy", share that is right) and ("loss", mean cross-entropy) over labels (n,), in large batches."""
    right = torch.zeros((), dtype=torch.int64, device=labels.device)
    loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    for start in range(0, len(labels), _BATCH):
        rows = slice(start, start + _BATCH)
        logits = predict(rows).float()
        right += (logits.argmax(1) == labels[rows]).sum()
        loss += F.cross_entropy(logits, labels[rows], reduction="sum").double()
    yield "accuracy", right.item() / len(labels)
    yield "loss", loss.item() / len(labels)

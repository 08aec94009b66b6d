"""Accuracy and cross-entropy of a classifier on a split.

Importing this module is cheap, since the task lists its metrics; torch is imported with the first answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from searchsvc.domain.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor

ACCURACY = Metric("accuracy", "maximize", "share", "share of the validation images that are classified correctly")
LOSS = Metric("loss", "minimize", "nats", "mean cross-entropy on the validation images")
METRICS = (ACCURACY, LOSS)
TRAIN_LOSS = Metric("train_loss", "minimize", "nats", "mean loss of the epoch, with its mixup and label smoothing")
"""Measured by the trainer."""

Answers: TypeAlias = "Iterable[tuple[Tensor, Tensor]]"
"""Logits (m, K) and labels (m,) of each batch, all on the same device."""


def evaluate(answers: Answers) -> Iterator[tuple[str, float]]:
    """Yield the value of each of METRICS. The device is synchronised once, at the end."""
    from torch.nn.functional import cross_entropy  # see above

    count = 0
    right: Tensor | int = 0
    loss: Tensor | float = 0.0
    for logits, labels in answers:
        count += len(labels)
        right = right + (logits.argmax(1) == labels).sum()  # (), on the device
        loss = loss + cross_entropy(logits.float(), labels, reduction="sum").double()  # (), a sum in float64
    yield ACCURACY.name, float(right) / count
    yield LOSS.name, float(loss) / count

"""Metrics by the label file of a dataset: their availability, and their values. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from searchsvc.domain.metrics import Metric
from searchsvc.labels import LabelSets, Predictions, real_accuracy
from searchsvc.labels.accuracy import TOP
from workers.data.dataset import Dataset

REAL, REAL_TOP = "real_accuracy", f"real_accuracy_top{TOP}"
METRICS = (
    Metric(REAL, "maximize", "share", "share of the images with a non-empty label set whose answer is in the set"),
    Metric(REAL_TOP, "maximize", "share", "share of these images with one of five answers in the set"),
)


def unmeasured(dataset: Dataset) -> Mapping[str, str]:
    """Return the metrics that the dataset cannot give, each with the reason."""
    if dataset.reassessed is None:
        return dict.fromkeys((REAL, REAL_TOP), "it needs a file of label sets: set dataset.reassessed")
    if len(dataset.classes) <= TOP:
        message = f"with {len(dataset.classes)} classes, {TOP} answers always include a label: use {REAL}"
        return {REAL_TOP: message}
    return {}


def real_metrics(predictions: Predictions, sets: LabelSets) -> dict[str, float]:
    """Return the metrics of predictions with label sets, both of the validation images."""
    ranks = {REAL: 1, REAL_TOP: TOP} if predictions.classes.shape[1] > TOP else {REAL: 1}
    return {name: real_accuracy(predictions.classes, sets, k) for name, k in ranks.items()}

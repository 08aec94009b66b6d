"""Metrics by the label file of a dataset: their availability, and their values. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping

from searchsvc.domain.metrics import Metric
from searchsvc.labels import LabelSets, Predictions, real_accuracy
from searchsvc.labels.accuracy import TOP
from workers.data.dataset import Dataset

REAL, REAL_TOP = "real_accuracy", f"real_accuracy_top{TOP}"
METRICS = (
    Metric(REAL, "maximize", "share", "share of those with a label in the dataset's label file that get one of them"),
    Metric(REAL_TOP, "maximize", "share", "the same, of five answers to each image"),
)


def unmeasured(dataset: Dataset) -> Mapping[str, str]:
    """Return the metrics that the dataset cannot give, each with the reason."""
    if dataset.reassessed is None:
        return dict.fromkeys((REAL, REAL_TOP), "it takes a file of label sets: name one by dataset.reassessed")
    if len(dataset.classes) <= TOP:
        return {REAL_TOP: f"of {len(dataset.classes)} classes, {TOP} answers always have the right one: use {REAL}"}
    return {}


def real_metrics(predictions: Predictions, sets: LabelSets) -> dict[str, float]:
    """Return the metrics of predictions with label sets, both of the validation images."""
    ranks = {REAL: 1, REAL_TOP: TOP} if predictions.classes.shape[1] > TOP else {REAL: 1}
    return {name: real_accuracy(predictions.classes, sets, k) for name, k in ranks.items()}

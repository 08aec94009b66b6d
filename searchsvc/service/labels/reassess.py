"""Reassess: measure the finished trials of a job against other labels, without training or predicting anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchsvc.domain import Job, Trial
from searchsvc.errors import InvalidInput, below
from searchsvc.labels import LabelDocument, hits, label_sets
from searchsvc.labels.comparison import Estimate, compare_labels
from searchsvc.labels.files import checked
from searchsvc.labels.predictions import MAX_CLASSES
from searchsvc.service.labels import predictions
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class Reassessed:
    """The accuracy and rank of a trial by both labels."""

    trial: Trial
    accuracy: Estimate
    real_accuracy: Estimate
    rank: int
    """Rank by accuracy, from 1; ties share the best rank."""
    real_rank: int


@dataclass(frozen=True, slots=True)
class Reassessment:
    """All finished trials measured by both labels, the best by the new labels first."""

    job: Job
    images: int
    counted: int
    """Images that have a label in the file."""
    labels: int
    k: int
    """A prediction is correct if any of its first k classes is a label in the file."""
    correlation: Estimate | None
    """Spearman's rank correlation of the two rankings; None if there are fewer than three trials, or all are equal."""
    items: tuple[Reassessed, ...]


def reassess(store: Store, artifacts_dir: Path, job: Job, document: LabelDocument, k: int) -> Reassessment:
    """Measure all finished trials against the label sets of a document.

    Raises InvalidInput (pointers `/labels/...`, `/k`), and Conflict if no trial has stored its predictions.
    """
    if not 1 <= k <= MAX_CLASSES:
        raise InvalidInput.at("/k", f"must lie from 1 to {MAX_CLASSES}, not {k}")
    predictions.check_unchanged(job)
    images = predictions.validation_of(job)
    with below("/labels"):
        sets = label_sets(checked(document), images)
    trials = predictions.with_predictions(store, artifacts_dir, job)
    right, really_right = np.empty((2, len(trials), len(sets)), np.bool_)  # (trials, images)
    for row, predicted in enumerate(predictions.read(artifacts_dir, trials, images)):
        right[row] = predicted.classes[:, 0] == predicted.labels
        really_right[row] = hits(predicted.classes[:, :k], sets)[:, -1]
    comparison = compare_labels(right, really_right, sets.counts > 0)
    accuracies, real = comparison.accuracies, comparison.real_accuracies
    items = map(Reassessed, (trial for trial, _ in trials), accuracies, real, _ranks(accuracies), _ranks(real))
    return Reassessment(
        job=job,
        images=len(sets),
        counted=int((sets.counts > 0).sum()),
        labels=len(sets.classes),
        k=k,
        correlation=comparison.correlation,
        items=tuple(sorted(items, key=lambda item: (item.real_rank, item.rank, item.trial.number))),
    )


def _ranks(estimates: Sequence[Estimate]) -> list[int]:
    """Rank estimates from 1, the largest first; ties share the best rank."""
    values = np.array([estimate.value for estimate in estimates])
    ranks: list[int] = (1 + np.searchsorted(np.sort(-values), -values)).tolist()
    return ranks

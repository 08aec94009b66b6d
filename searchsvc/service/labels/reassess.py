"""Reassess: what the finished trials of a job are worth by other labels, without training or predicting anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchsvc.domain import Job, Trial
from searchsvc.errors import InvalidInput, below
from searchsvc.labels import LabelDocument, hits, label_sets
from searchsvc.labels.comparison import Estimate, compared
from searchsvc.labels.files import checked
from searchsvc.labels.predictions import KEPT
from searchsvc.service.labels import predictions
from searchsvc.store import Store


@dataclass(frozen=True, slots=True)
class Reassessed:
    """One trial by both labels."""

    trial: Trial
    accuracy: Estimate
    real_accuracy: Estimate
    rank: int
    """By accuracy, from 1; equals share the best of theirs."""
    real_rank: int


@dataclass(frozen=True, slots=True)
class Reassessment:
    """All finished trials by both labels, the best by the new ones first."""

    job: Job
    images: int
    counted: int
    """Images that have a label in the file."""
    labels: int
    k: int
    """Answers to an image of which one has to be right, by the file's labels."""
    correlation: Estimate | None
    """Spearman's, of the two rankings; None of fewer than three trials, or of equal ones."""
    items: tuple[Reassessed, ...]


def reassess(store: Store, artifacts_dir: Path, job: Job, document: LabelDocument, k: int) -> Reassessment:
    """Raises InvalidInput (pointers `/labels/...`, `/k`), and Conflict where no trial has left its predictions."""
    if not 1 <= k <= KEPT:
        raise InvalidInput.at("/k", f"must lie from 1 to {KEPT}, not {k}")
    images = predictions.validation_of(job)
    with below("/labels"):
        sets = label_sets(checked(document), images)
    trials = predictions.with_predictions(store, artifacts_dir, job)
    right, found = np.empty((2, len(trials), len(sets)), np.bool_)
    for row, one in enumerate(predictions.read(trials, images)):
        right[row] = one.classes[:, 0] == one.labels
        found[row] = hits(one.classes[:, :k], sets)[:, -1]
    comparison = compared(right, found, sets.counts > 0)
    accuracies, real = comparison.accuracies, comparison.real_accuracies
    items = map(Reassessed, (one for one, _ in trials), accuracies, real, _ranks(accuracies), _ranks(real))
    return Reassessment(
        job=job,
        images=len(sets),
        counted=int((sets.counts > 0).sum()),
        labels=len(sets.classes),
        k=k,
        correlation=comparison.correlation,
        items=tuple(sorted(items, key=lambda one: (one.real_rank, one.rank, one.trial.number))),
    )


def _ranks(estimates: Sequence[Estimate]) -> list[int]:
    """From 1; equals share the best of theirs."""
    values = np.array([one.value for one in estimates])
    ranks: list[int] = (1 + np.searchsorted(np.sort(-values), -values)).tolist()
    return ranks

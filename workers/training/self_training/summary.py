"""What is known of the pseudo labels of one round: a file beside them, and the proof that they are whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from searchsvc.errors import FailureKind, TrialFailed
from workers.training.checkpoint import write_atomically
from workers.trials.files import PSEUDO_SUMMARY

_BINS = 20


@dataclass(frozen=True, slots=True)
class Labelled:
    """What a teacher said of n images, before it is written."""

    file: str
    """Name of the file that `content` is for."""
    content: bytes
    threshold: float
    images: int
    kept: int
    """Images with a pseudo label: those that are trained on."""
    counts: Mapping[str, int]
    """Pseudo labels by class."""
    scores: NDArray[np.floating]
    """Of all that the teacher said, below the threshold too."""
    precision: float | None
    """Share of the pseudo labels that are true; None where it is not known, or there are none."""
    recall: float | None
    """Share of what there is to be said of the n images that is said truly by a pseudo label."""


def nothing_kept(threshold: float, of: str, best: float) -> TrialFailed:
    """The error of a threshold that no answer reaches."""
    message = f"pseudo_threshold {threshold:g} keeps {of}: the teacher's best score is {best:.3f}; lower it"
    return TrialFailed(FailureKind.ERROR, message)


class Histogram(BaseModel):
    """How many scores lie between two edges, the lower one included, and at the last the upper one too."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Self:
        counts, edges = np.histogram(scores.astype(np.float64), _BINS, (0.0, 1.0))
        return cls(edges=tuple(edges.round(4).tolist()), counts=tuple(counts.tolist()))


class Summary(BaseModel):
    """Of the pseudo labels of a trial, as json."""

    model_config = ConfigDict(frozen=True)

    made_for: str
    """Fingerprint of the trial, its teacher and the round: others need labels of their own."""
    round: int
    teacher: str
    """SHA-256 of the weights."""
    threshold: float
    file: str
    sha256: str
    seconds: float
    """That it took to label."""
    images: int
    kept: int
    labels: int
    labels_by_class: dict[str, int]
    scores: Histogram
    precision: float | None
    recall: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """Measured beside those of each epoch."""
        named = {"pseudo_kept": self.kept / self.images}
        known = {"pseudo_precision": self.precision, "pseudo_recall": self.recall}
        return named | {name: value for name, value in known.items() if value is not None}

    @classmethod
    def read(cls, directory: Path, made_for: str) -> Self | None:
        """That of the directory; None where there is none for this trial, or its labels are not whole."""
        try:
            found = cls.model_validate_json((directory / PSEUDO_SUMMARY).read_bytes())
            content = (directory / found.file).read_bytes()
        except (FileNotFoundError, ValidationError):
            return None
        whole = hashlib.sha256(content).hexdigest() == found.sha256
        return found if whole and found.made_for == made_for else None

    @classmethod
    def write(
        cls, directory: Path, labelled: Labelled, *, made_for: str, number: int, teacher: str, seconds: float
    ) -> Self:
        """The labels, then the summary: a kill between them leaves no summary of other labels."""
        write_atomically(directory / labelled.file, labelled.content)
        made = cls(
            made_for=made_for,
            round=number,
            teacher=teacher,
            threshold=labelled.threshold,
            file=labelled.file,
            sha256=hashlib.sha256(labelled.content).hexdigest(),
            seconds=seconds,
            images=labelled.images,
            kept=labelled.kept,
            labels=sum(labelled.counts.values()),
            labels_by_class=dict(labelled.counts),
            scores=Histogram.of(labelled.scores),
            precision=labelled.precision,
            recall=labelled.recall,
        )
        write_atomically(directory / PSEUDO_SUMMARY, made.model_dump_json(indent=2).encode())
        return made

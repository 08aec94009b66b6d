"""Summary of the pseudo labels of a round: a file next to them, with a checksum of the labels."""

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
from workers.trials.files import PSEUDO_SUMMARY, write_atomically

_BINS = 20


@dataclass(frozen=True, slots=True)
class TeacherLabels:
    """A teacher's labels of n images, before they are written."""

    file: str
    """Name of the file with `content`."""
    content: bytes
    threshold: float
    images: int
    kept: int
    """Number of images with a pseudo label: the student trains on these."""
    counts: Mapping[str, int]
    """Pseudo labels by class."""
    scores: NDArray[np.floating]
    """Scores of all the teacher's answers, also below the threshold."""
    precision: float | None
    """Share of the pseudo labels that are true; None if it is unknown or there are no labels."""
    recall: float | None
    """Share of the true labels of the n images that a pseudo label matches; None if it is unknown."""


def nothing_kept(threshold: float, of: str, best: float) -> TrialFailed:
    """Return the error for a threshold that no answer reaches."""
    message = f"pseudo_threshold {threshold:g} keeps {of}: the teacher's best score is {best:.3f}; lower it"
    return TrialFailed(FailureKind.ERROR, message)


class Histogram(BaseModel):
    """Number of scores between successive edges. Each bin includes its lower edge, the last one also its upper edge."""

    model_config = ConfigDict(frozen=True)

    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, scores: NDArray[np.floating]) -> Self:
        counts, edges = np.histogram(scores.astype(np.float64), _BINS, (0.0, 1.0))
        return cls(edges=tuple(edges.round(4).tolist()), counts=tuple(counts.tolist()))


class Summary(BaseModel):
    """Summary of the pseudo labels of a trial, stored as JSON."""

    model_config = ConfigDict(frozen=True)

    made_for: str
    """Fingerprint of the trial, its teacher and the round: another fingerprint needs new labels."""
    round: int
    teacher: str
    """SHA-256 of the teacher's weights."""
    threshold: float
    file: str
    sha256: str
    seconds: float
    """Seconds that labelling took."""
    images: int
    kept: int
    labels: int
    labels_by_class: dict[str, int]
    scores: Histogram
    precision: float | None
    recall: float | None

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics that are added to those of each epoch."""
        shares = {"pseudo_kept": self.kept / self.images}
        optional = {"pseudo_precision": self.precision, "pseudo_recall": self.recall}
        return shares | {name: value for name, value in optional.items() if value is not None}

    @classmethod
    def read(cls, directory: Path, made_for: str) -> Self | None:
        """Return the summary in a directory; None if it is absent, of another trial, or its labels are damaged."""
        try:
            summary = cls.model_validate_json((directory / PSEUDO_SUMMARY).read_bytes())
            content = (directory / summary.file).read_bytes()
        except (FileNotFoundError, ValidationError):
            return None
        whole = hashlib.sha256(content).hexdigest() == summary.sha256
        return summary if whole and summary.made_for == made_for else None

    @classmethod
    def write(
        cls, directory: Path, labelled: TeacherLabels, *, made_for: str, number: int, teacher: str, seconds: float
    ) -> Self:
        """Write the labels, then the summary, so that a kill between them leaves no summary of other labels."""
        write_atomically(directory / labelled.file, labelled.content)
        summary = cls(
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
        write_atomically(directory / PSEUDO_SUMMARY, summary.model_dump_json(indent=2).encode())
        return summary

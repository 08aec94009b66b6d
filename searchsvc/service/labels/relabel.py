"""Relabel: from the answers of a job's trials to label sets that people have looked at.

The best trials that differ from each other propose labels; an image on which all of them agree with its label is
settled, the others become questions, one per image and class. Raters accept or reject; what several say is combined by
Dawid and Skene's method. What comes out is a label file for `reassess` and for the option `reassessed` of datasets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import Job, Relabelling, Trial, ValidationSplit, Verdict
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.labels import dawid_skene
from searchsvc.labels.proposals import diverse, proposals
from searchsvc.service.labels import predictions
from searchsvc.store import Store

NETWORKS, MOST_NETWORKS = 5, 50
CONFIDENCE = 0.25
THRESHOLD = 0.8
"""Of the probability that a label is right, from which on it is one (arXiv 2006.07159, section 3)."""
_POOL = 4
"""The trials that propose are chosen among so many times as many of the best."""
_CLASSES, _ACCEPT = 2, 1


@dataclass(frozen=True, slots=True)
class Rater:
    """Who has answered questions."""

    name: str
    answered: int
    accuracy: float
    """The probability that an answer of theirs is right, by all answers together."""


@dataclass(frozen=True, slots=True)
class RelabellingProgress:
    """Where a relabelling stands."""

    job: Job
    trials: tuple[int, ...]
    """Numbers of those that propose, the best first."""
    confidence: float
    images: int
    settled: int
    """Images on which all of these trials agree with the label."""
    questions: int
    open: int
    """Questions that nobody has answered."""
    raters: tuple[Rater, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Does this image show that?"""

    image: int
    """Its place among the validation images."""
    name: str
    label: int
    class_name: str
    is_given: bool
    """Whether the dataset says so."""


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be asked of one rater."""

    items: tuple[Question, ...]
    """Those that the rater has not answered, an image's together."""
    answered: int
    total: int


@dataclass(frozen=True, slots=True)
class Relabelled:
    """What came out."""

    progress: RelabellingProgress
    threshold: float
    labels: Mapping[str, list[int | str]]
    """Names of classes by name of image, of every validation image."""


# ---- asking ----------------------------------------------------------------------------------------------------------


def start(
    store: Store, artifacts_dir: Path, job: Job, *, networks: int, confidence: float, now: float
) -> RelabellingProgress:
    """Make the questions, in place of those so far; verdicts on questions that are asked again count.

    Raises InvalidInput (pointers `/networks`, `/confidence`), and Conflict where no trial has left its predictions.
    """
    if not 1 <= networks <= MOST_NETWORKS:
        raise InvalidInput.at("/networks", f"must lie from 1 to {MOST_NETWORKS}, not {networks}")
    if not 0 < confidence <= 1:
        raise InvalidInput.at("/confidence", f"must lie above 0 and not above 1, not {confidence}")
    images = predictions.validation_of(job)
    best = _best(job, predictions.with_predictions(store, artifacts_dir, job))[: _POOL * networks]
    known = list(predictions.read(best, images))
    chosen = diverse(np.stack([one.classes[:, 0] for one in known]), networks)
    found = proposals([known[place] for place in chosen], confidence)
    made_from = {
        "trials": [best[place][0].number for place in chosen],
        "confidence": confidence,
        "images": len(images.names),
        "settled": int(found.settled.sum()),
    }
    asked = Relabelling(job.id, tuple(found.images.tolist()), tuple(found.classes.tolist()), made_from, now)
    store.put_relabelling(asked)
    return progress(store, job)


def questions(store: Store, job: Job, rater: str) -> Questions:
    """What the rater has not answered yet. Raises Conflict where there are no questions, or the dataset is gone."""
    asked, images = _asked(store, job), predictions.validation_of(job)
    _check_same(job, asked, images)
    said = {(one.image, one.label) for one in store.verdicts(job.id, rater=rater)}
    pairs = list(zip(asked.images, asked.labels, strict=True))
    items = tuple(_question(images, *pair) for pair in pairs if pair not in said)
    return Questions(items, len(pairs) - len(items), len(pairs))


def answer(store: Store, job: Job, verdict: Verdict) -> None:
    """Keep what a rater says; the last word counts. Raises NotFound where that is not asked."""
    _check_asked(_asked(store, job), verdict.image, verdict.label)
    store.put_verdict(job.id, verdict)


def withdraw(store: Store, job: Job, rater: str, image: int, label: int) -> None:
    """Forget what a rater has said to a question. Raises NotFound where that is not asked."""
    _check_asked(_asked(store, job), image, label)
    store.delete_verdict(job.id, rater, image, label)


# ---- what came out ---------------------------------------------------------------------------------------------------


def progress(store: Store, job: Job) -> RelabellingProgress:
    """Raises Conflict where there are no questions."""
    return _progress(job, _Answers.of(_asked(store, job), store.verdicts(job.id)))


def relabelled(store: Store, job: Job, threshold: float) -> Relabelled:
    """Label sets by all verdicts so far. A question that nobody has answered leaves the dataset's label as it is.

    Raises InvalidInput (pointer `/threshold`), and Conflict where there are no questions.
    """
    if not 0.5 <= threshold < 1:
        raise InvalidInput.at("/threshold", f"must lie from 0.5 to below 1, not {threshold}")
    asked, images = _asked(store, job), predictions.validation_of(job)
    _check_same(job, asked, images)
    answers = _Answers.of(asked, store.verdicts(job.id))
    given = images.labels[answers.images] == answers.labels
    right = np.where(answers.is_open, given, answers.posterior >= threshold)
    sets: list[list[int | str]] = [[] for _ in images.names]
    for image, label in zip(answers.images[right].tolist(), answers.labels[right].tolist(), strict=True):
        sets[image].append(images.classes[label])
    for image in np.setdiff1d(np.arange(len(sets)), answers.images).tolist():
        sets[image].append(images.classes[images.labels[image]])
    return Relabelled(_progress(job, answers), threshold, dict(zip(images.names, sets, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """All verdicts on what is asked, and what they come to, of m questions."""

    asked: Relabelling
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    posterior: NDArray[np.float64]
    """(m,) probability that the label is right."""
    raters: tuple[Rater, ...]

    @classmethod
    def of(cls, asked: Relabelling, verdicts: Sequence[Verdict]) -> _Answers:
        place = {pair: number for number, pair in enumerate(zip(asked.images, asked.labels, strict=True))}
        counted = [one for one in verdicts if (one.image, one.label) in place]
        names = sorted({one.rater for one in counted})
        number = {name: index for index, name in enumerate(names)}
        items = np.array([place[one.image, one.label] for one in counted], np.int64)
        raters = np.array([number[one.rater] for one in counted], np.int64)
        said = np.array([one.accepted for one in counted], np.int64)
        found = dawid_skene(items, raters, said, shape=(len(place), len(names), _CLASSES))
        answered = np.bincount(raters, minlength=len(names))
        return cls(
            asked,
            np.array(asked.images, np.int64),
            np.array(asked.labels, np.int64),
            np.bincount(items, minlength=len(place)) == 0,
            found.posterior[:, _ACCEPT],
            tuple(map(Rater, names, answered.tolist(), found.accuracies.tolist())),
        )


def _progress(job: Job, answers: _Answers) -> RelabellingProgress:
    made_from: Mapping[str, Any] = answers.asked.made_from
    return RelabellingProgress(
        job=job,
        trials=tuple(made_from["trials"]),
        confidence=made_from["confidence"],
        images=made_from["images"],
        settled=made_from["settled"],
        questions=len(answers.images),
        open=int(answers.is_open.sum()),
        raters=answers.raters,
    )


def _best(job: Job, trials: Sequence[tuple[Trial, Path]]) -> list[tuple[Trial, Path]]:
    """The best first, by the first objective."""
    first = job.spec.objectives[0]

    def minimised(one: tuple[Trial, Path]) -> tuple[float, int]:
        value = (one[0].metrics or {}).get(first.metric)
        return (np.inf if value is None else -first.sign * value), one[0].number

    return sorted(trials, key=minimised)


def _asked(store: Store, job: Job) -> Relabelling:
    found = store.relabelling(job.id)
    if found is None:
        raise Conflict(f"the labels of job {job.name} are not doubted yet: searchctl relabel {job.name}")
    return found


def _check_same(job: Job, asked: Relabelling, images: ValidationSplit) -> None:
    if asked.made_from["images"] != len(images.names):
        raise Conflict(f"the dataset of job {job.name} has changed since the questions were made: make them anew")


def _check_asked(asked: Relabelling, image: int, label: int) -> None:
    if (image, label) not in set(zip(asked.images, asked.labels, strict=True)):
        raise NotFound(f"whether image {image} shows class {label} is not asked")


def _question(images: ValidationSplit, image: int, label: int) -> Question:
    return Question(image, images.names[image], label, images.classes[label], bool(images.labels[image] == label))

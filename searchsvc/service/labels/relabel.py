"""Relabel: from the predictions of a job's trials to label sets that people have confirmed.

The best, diverse trials propose labels. An image is settled if all of them agree with its label; each proposed class of
the other images becomes a question. Raters accept or reject; the verdicts of several raters are combined by Dawid and
Skene's method. The result is a label file for `reassess` and for the option `reassessed` of datasets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import Artifact, Job, Relabelling, Trial, ValidationSplit, Verdict
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.labels import dawid_skene
from searchsvc.labels.proposals import diverse, proposals
from searchsvc.service.labels import predictions
from searchsvc.store import Store

NETWORKS, MOST_NETWORKS = 5, 50
CONFIDENCE = 0.25
THRESHOLD = 0.8
"""A label counts if it is correct with at least this probability (arXiv 2006.07159, section 3)."""
_POOL = 4
"""The proposing trials are chosen among this many times as many of the best trials."""
_CLASSES, _ACCEPT = 2, 1


@dataclass(frozen=True, slots=True)
class Rater:
    """A person who has answered questions."""

    name: str
    answered: int
    accuracy: float
    """The estimated probability that an answer of this rater is correct."""


@dataclass(frozen=True, slots=True)
class RelabellingProgress:
    """The progress of a relabelling."""

    job: Job
    trials: tuple[int, ...]
    """Numbers of the proposing trials, the best first."""
    confidence: float
    images: int
    settled: int
    """Images on which all proposing trials agree with the label."""
    questions: int
    open: int
    """Questions that nobody has answered."""
    raters: tuple[Rater, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question to raters: does this image show this class?"""

    image: int
    """Index of the image among the validation images."""
    name: str
    label: int
    class_name: str
    is_given: bool
    """True if the class is the label of the dataset."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions to a rater."""

    items: tuple[Question, ...]
    """Unanswered questions; questions about the same image are adjacent."""
    answered: int
    total: int


@dataclass(frozen=True, slots=True)
class Relabelled:
    """The result of a relabelling."""

    progress: RelabellingProgress
    threshold: float
    labels: Mapping[str, list[int | str]]
    """Class names by image name, for every validation image."""


# ---- questions -------------------------------------------------------------------------------------------------------


def start(
    store: Store, artifacts_dir: Path, job: Job, *, networks: int, confidence: float, now: float
) -> RelabellingProgress:
    """Create the questions of a job, which replace earlier questions; verdicts on repeated questions still count.

    Raises InvalidInput (pointers `/networks`, `/confidence`), and Conflict if no trial has stored its predictions.
    """
    if not 1 <= networks <= MOST_NETWORKS:
        raise InvalidInput.at("/networks", f"must lie from 1 to {MOST_NETWORKS}, not {networks}")
    if not 0 < confidence <= 1:
        raise InvalidInput.at("/confidence", f"must lie above 0 and not above 1, not {confidence}")
    predictions.check_unchanged(job)
    images = predictions.validation_of(job)
    best = _best(job, predictions.with_predictions(store, artifacts_dir, job))[: _POOL * networks]
    candidates = list(predictions.read(artifacts_dir, best, images))
    chosen = diverse(np.stack([candidate.classes[:, 0] for candidate in candidates]), networks)
    proposed = proposals([candidates[place] for place in chosen], confidence)
    made_from = {
        "trials": [best[place][0].number for place in chosen],
        "confidence": confidence,
        "images": len(images.names),
        "split": images.digest,
        "settled": int(proposed.settled.sum()),
    }
    store.put_relabelling(
        Relabelling(job.id, tuple(proposed.images.tolist()), tuple(proposed.classes.tolist()), made_from, now)
    )
    return progress(store, job)


def questions(store: Store, job: Job, rater: str) -> Questions:
    """List the unanswered questions of a rater.

    Raises Conflict if there are no questions, or if the dataset cannot be read any more.
    """
    relabelling, images = _relabelling(store, job), predictions.validation_of(job)
    _check_same(job, relabelling, images)
    answered = {(verdict.image, verdict.label) for verdict in store.verdicts(job.id, rater=rater)}
    pairs = list(zip(relabelling.images, relabelling.labels, strict=True))
    items = tuple(_question(images, *pair) for pair in pairs if pair not in answered)
    return Questions(items, len(pairs) - len(items), len(pairs))


def answer(store: Store, job: Job, verdict: Verdict) -> None:
    """Store a verdict, which replaces the rater's earlier verdict. Raises NotFound if the question does not exist."""
    _check_asked(_relabelling(store, job), verdict.image, verdict.label)
    store.put_verdict(job.id, verdict)


def withdraw(store: Store, job: Job, rater: str, image: int, label: int) -> None:
    """Delete a rater's verdict on a question. Raises NotFound if the question does not exist."""
    _check_asked(_relabelling(store, job), image, label)
    store.delete_verdict(job.id, rater, image, label)


# ---- results ---------------------------------------------------------------------------------------------------------


def progress(store: Store, job: Job) -> RelabellingProgress:
    """Read the progress of a relabelling. Raises Conflict if there are no questions."""
    return _progress(store, job, _Answers.of(_relabelling(store, job), store.verdicts(job.id)))


def relabelled(store: Store, job: Job, threshold: float) -> Relabelled:
    """Compute label sets from all verdicts so far. An unanswered question leaves the dataset's label unchanged.

    Raises InvalidInput (pointer `/threshold`), and Conflict if there are no questions.
    """
    if not 0.5 <= threshold < 1:
        raise InvalidInput.at("/threshold", f"must lie from 0.5 to below 1, not {threshold}")
    relabelling, images = _relabelling(store, job), predictions.validation_of(job)
    _check_same(job, relabelling, images)
    answers = _Answers.of(relabelling, store.verdicts(job.id))
    is_given = images.labels[answers.images] == answers.labels
    right = np.where(answers.is_open, is_given, answers.posterior >= threshold)
    sets: list[list[int | str]] = [[] for _ in images.names]
    for image, label in zip(answers.images[right].tolist(), answers.labels[right].tolist(), strict=True):
        sets[image].append(images.classes[label])
    for image in np.setdiff1d(np.arange(len(sets)), answers.images).tolist():
        sets[image].append(images.classes[images.labels[image]])
    return Relabelled(_progress(store, job, answers), threshold, dict(zip(images.names, sets, strict=True)))


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """The verdicts on m questions, and the label probabilities that follow from them."""

    relabelling: Relabelling
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    is_open: NDArray[np.bool_]
    posterior: NDArray[np.float64]
    """(m,) probability that the label is correct."""
    raters: tuple[Rater, ...]

    @classmethod
    def of(cls, relabelling: Relabelling, verdicts: Sequence[Verdict]) -> _Answers:
        pairs = zip(relabelling.images, relabelling.labels, strict=True)
        place = {pair: number for number, pair in enumerate(pairs)}
        counted = [verdict for verdict in verdicts if (verdict.image, verdict.label) in place]
        names = sorted({verdict.rater for verdict in counted})
        number = {name: index for index, name in enumerate(names)}
        items = np.array([place[verdict.image, verdict.label] for verdict in counted], np.int64)
        raters = np.array([number[verdict.rater] for verdict in counted], np.int64)
        accepted = np.array([verdict.accepted for verdict in counted], np.int64)
        fit = dawid_skene(items, raters, accepted, shape=(len(place), len(names), _CLASSES))
        answered = np.bincount(raters, minlength=len(names))
        return cls(
            relabelling,
            np.array(relabelling.images, np.int64),
            np.array(relabelling.labels, np.int64),
            np.bincount(items, minlength=len(place)) == 0,
            fit.posterior[:, _ACCEPT],
            tuple(map(Rater, names, answered.tolist(), fit.accuracies.tolist())),
        )


def _progress(store: Store, job: Job, answers: _Answers) -> RelabellingProgress:
    made_from: Mapping[str, Any] = answers.relabelling.made_from
    return RelabellingProgress(
        job=job,
        trials=tuple(made_from["trials"]),
        confidence=made_from["confidence"],
        images=made_from["images"],
        settled=made_from["settled"],
        questions=len(answers.images),
        open=int(answers.is_open.sum()),
        raters=_named(store, answers.raters),
    )


def _best(job: Job, trials: Sequence[tuple[Trial, Artifact]]) -> list[tuple[Trial, Artifact]]:
    """Sort trials by the first objective, the best first."""
    first = job.spec.objectives[0]

    def minimised(pair: tuple[Trial, Artifact]) -> tuple[float, int]:
        value = (pair[0].metrics or {}).get(first.metric)
        return (np.inf if value is None else -first.sign * value), pair[0].number

    return sorted(trials, key=minimised)


def _relabelling(store: Store, job: Job) -> Relabelling:
    relabelling = store.relabelling(job.id)
    if relabelling is None:
        raise Conflict(f"job {job.name} has no questions about its labels yet: searchctl relabel {job.id}")
    return relabelling


def _check_same(job: Job, relabelling: Relabelling, images: ValidationSplit) -> None:
    made_from = relabelling.made_from
    # Relabellings of earlier versions have no digest.
    if made_from["images"] != len(images.names) or made_from.get("split", images.digest) != images.digest:
        raise Conflict(f"the dataset of job {job.name} has changed since the questions were created: create them again")


def _check_asked(relabelling: Relabelling, image: int, label: int) -> None:
    if (image, label) not in set(zip(relabelling.images, relabelling.labels, strict=True)):
        raise NotFound(f"there is no question whether image {image} shows class {label}")


def _question(images: ValidationSplit, image: int, label: int) -> Question:
    return Question(image, images.names[image], label, images.classes[label], bool(images.labels[image] == label))


def _named(store: Store, raters: Sequence[Rater]) -> tuple[Rater, ...]:
    """Return the raters with the names of their tokens, by name; a name that several have gets the token's id."""
    names = {token.id: token.name for token in store.tokens()}
    shown = Counter(names.get(rater.name, rater.name) for rater in raters)

    def name_of(rater: Rater) -> str:
        name = names.get(rater.name, rater.name)
        return f"{name} ({rater.name})" if shown[name] > 1 and rater.name in names else name

    return tuple(sorted((replace(rater, name=name_of(rater)) for rater in raters), key=lambda rater: rater.name))

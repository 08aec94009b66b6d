"""Rankings of trials compared with the truth: by partly wrong labels, and by labels that people have checked.

A search on digits of MNIST at 14x14 px. A tenth of all images are two digits side by side, of which the label names
one; of the others in the validation split some show another digit than their label says. The trials of a random search
propose labels, simulated raters of known accuracy answer, and the resulting labels reassess the trials: as
`searchctl relabel` and `searchctl reassess` do it, through the same service.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.studies.data import shared
from benchmarks.studies.pool import Row
from benchmarks.studies.searching import Trained, search
from searchsvc.checksums import sha256_of
from searchsvc.domain import (
    Candidate,
    FileMade,
    Job,
    JobState,
    Measurement,
    Outcome,
    Proposal,
    TrialState,
    ValidationSplit,
    new_id,
)
from searchsvc.labels import LabelSets, real_accuracy
from searchsvc.labels.predictions import FILE, Predictions
from searchsvc.service.labels.predictions import validation_of
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from workers.models.trained import load
from workers.trials.files import MODEL

DATASET = "mnist-doubtful"
WRONG, DOUBLE = 0.08, 0.1
RATERS: dict[str, float] = {"first": 0.97, "second": 0.95, "third": 0.9, "fourth": 0.85, "fifth": 0.7}
"""The accuracy of each rater."""
SPACE = "mbconv-small"
SEARCHED = {"mixup": 0.0, "ema": False, "label_smoothing": 0.0, "optimizer": "adamw"}
"""Fixed values of the space: architectures, rates and dropout remain."""
RATES = {"low": 0.002, "high": 0.02}

Images = NDArray[np.uint8]
Sets = list[list[int]]


@dataclass(frozen=True, slots=True)
class Search:
    """The size of the search."""

    trials: int = 16
    epochs: int = 8
    images: int = 3000
    """Number of images for training and validation; a third is for validation."""
    tested: int = 5000


@dataclass(frozen=True, slots=True, eq=False)
class Doubtful:
    """The dataset, and the truth about it."""

    section: dict[str, Any]
    validation: Sets
    """The classes that each validation image shows, in their order."""
    wrong: NDArray[np.intp]
    """Positions of the validation images that do not show their label."""
    test_images: Images
    """(n, 1, 14, 14)."""
    test: Sets


def run(options: Search, seed: int) -> Row:
    """Run a search and rank its trials three times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dataset = doubtful(options, seed, folder)
        document = _document(options, dataset, seed)
        trials = [one for one in search(document, folder / "trials") if one.metrics is not None]
        settings = Settings(data_dir=folder / "home").prepare()
        store = Store.create(settings.database_url)
        try:
            return _ranked(Service(store, settings), document, dataset, trials, folder / "trials", seed)
        finally:
            store.close()


def _document(options: Search, dataset: Doubtful, seed: int) -> dict[str, Any]:
    return {
        "name": f"{DATASET}-{seed}",
        "task": "classification",
        "dataset": dataset.section,
        "space": {"name": SPACE, "fix": SEARCHED, "narrow": {"lr": RATES}},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": "random"},
        "fidelity": {"epochs": options.epochs},
        "budget": {"trials": options.trials},
        "seed": seed,
    }


def _ranked(
    service: Service, document: dict[str, Any], dataset: Doubtful, trials: Sequence[Trained], folder: Path, seed: int
) -> Row:
    job = stored(service, document, trials, folder)
    images = validation_of(job)
    relabelling = service.labels.relabel(job.id)
    answered(service, job, dataset.validation, np.random.default_rng([seed, 1]))
    labels = service.labels.relabelled(job.id)
    made = [labels.labels[trial] for trial in images.names]
    by_number = {trial.trial.number: trial for trial in service.labels.reassess(job.id, labels.labels).items}
    truth, tested = LabelSets.of(dataset.validation), LabelSets.of(dataset.test)
    rows = []
    for trial in trials:
        said, measured = Predictions.read(folder / str(trial.number) / FILE), by_number[trial.number]
        logits = load(folder / str(trial.number) / MODEL).logits(torch.from_numpy(dataset.test_images))
        answers = logits.argmax(1, keepdim=True).numpy()
        rows.append({
            "accuracy": measured.accuracy.value, "reassessed": measured.real_accuracy.value,
            "truth": real_accuracy(said.classes, truth), "test": real_accuracy(answers, tested), "values": trial.values,
        })  # fmt: skip
    raters = [
        {"name": trial.name, "accuracy": RATERS[trial.name], "found": trial.accuracy}
        for trial in labels.progress.raters
    ]
    return {
        "kind": "labels", "dataset": DATASET, "arm": "", "seed": seed, "trials": rows, "raters": raters,
        "images": relabelling.images, "settled": relabelling.settled, "questions": relabelling.questions,
        **_quality(images, dataset, made),
    }  # fmt: skip


def _quality(images: ValidationSplit, dataset: Doubtful, made: Sequence[Sequence[int | str]]) -> dict[str, int]:
    """Count the wrong labels and second digits, those found, and the label sets that are wholly right."""
    number = {name: label for label, name in enumerate(images.classes)}
    sets = [{number[str(one)] for one in classes} for classes in made]
    labels = images.labels.tolist()
    double = [place for place, true in enumerate(dataset.validation) if len(true) == 2]
    return {
        "wrong": len(dataset.wrong),
        "wrong_found": sum(labels[place] not in sets[place] for place in dataset.wrong.tolist()),
        "double": len(double),
        "double_found": sum(set(dataset.validation[place]) <= sets[place] for place in double),
        "right_before": sum({label} == set(true) for label, true in zip(labels, dataset.validation, strict=True)),
        "right_after": sum(own == set(true) for own, true in zip(sets, dataset.validation, strict=True)),
    }


# ---- the dataset -----------------------------------------------------------------------------------------------------


def doubtful(options: Search, seed: int, folder: Path) -> Doubtful:
    """Make the dataset, of other images of MNIST for each seed.

    The split follows from the labels, so the images are changed: a wrong label means that its image was taken from
    another class.
    """
    whole, random = np.load(shared("classification/mnist.npz"), allow_pickle=False), np.random.default_rng([seed, 0])
    pool_images, pool_labels = whole["x_train"], whole["y_train"].astype(np.int64)
    order = random.permutation(len(pool_labels))
    own, spare = order[: options.images], order[options.images :]
    labels = pool_labels[own]
    images, sets = _some_doubled(pool_images[own], labels, (pool_images[spare], pool_labels[spare]), random)
    tested = random.permutation(len(whole["y_test"]))[: options.tested]
    others = np.setdiff1d(np.arange(len(whole["y_test"])), tested)
    test_labels = whole["y_test"][tested].astype(np.int64)
    second = (whole["x_test"][others], whole["y_test"][others].astype(np.int64))
    test_images, test_sets = _some_doubled(whole["x_test"][tested], test_labels, second, random)
    section = {"format": "npz", "path": str(folder / "digits.npz"), "name": DATASET, "validation": 1 / 3}
    arrays = {"y_train": labels, "x_test": test_images, "y_test": test_labels}
    np.savez(folder / "digits.npz", x_train=images, **arrays)
    validation = _validation(section)
    single = [place for place, number in enumerate(validation.numbers) if len(sets[number]) == 1]
    wrong = np.sort(random.choice(single, round(WRONG * len(validation.numbers)), replace=False))
    for number in validation.numbers[wrong].tolist():
        other = _of_another_class(pool_labels, spare, labels[number], random)
        images[number], sets[number] = _plain(pool_images[other]), [int(pool_labels[other])]
    section["path"] = str(folder / "doubtful.npz")
    np.savez(folder / "doubtful.npz", x_train=images, **arrays)
    return Doubtful(section, [sets[number] for number in validation.numbers], wrong, test_images[:, None], test_sets)


def _validation(section: dict[str, Any]) -> ValidationSplit:
    from workers.tasks.classification import TASK

    return TASK.validation(section)


def _some_doubled(
    images: Images, labels: NDArray[np.int64], others: tuple[Images, NDArray[np.int64]], random: np.random.Generator
) -> tuple[Images, Sets]:
    """Return (n, 28, 28) -> (n, 14, 14), and the classes of each image; a share gets a second digit."""
    made, sets = np.stack([_plain(one) for one in images]), [[label] for label in labels.tolist()]
    for place in random.permutation(len(labels))[: round(DOUBLE * len(labels))].tolist():
        other = _of_another_class(others[1], np.arange(len(others[1])), labels[place], random)
        pair = [images[place], others[0][other]]
        made[place] = np.concatenate([_narrow(one) for one in (pair if random.random() < 0.5 else pair[::-1])], axis=1)
        sets[place] = sorted([int(labels[place]), int(others[1][other])])
    return made, sets


def _of_another_class(
    labels: NDArray[np.int64], among: NDArray[np.intp], label: int, random: np.random.Generator
) -> int:
    return int(random.choice(among[labels[among] != label]))


def _plain(image: Images) -> Images:
    """Return (28, 28) -> (14, 14): means of 2x2."""
    return image.reshape(14, 2, 14, 2).mean((1, 3)).round().astype(np.uint8)


def _narrow(image: Images) -> Images:
    """Return (28, 28) -> (14, 7): the 20 columns that hold the digit, squeezed."""
    middle = torch.from_numpy(image[None, None, :, 4:24].astype(np.float32))
    return torch.nn.functional.adaptive_avg_pool2d(middle, (14, 7))[0, 0].round().numpy().astype(np.uint8)


# ---- the job and the raters ------------------------------------------------------------------------------------------


def stored(service: Service, document: dict[str, Any], trials: Sequence[Trained], folder: Path) -> Job:
    """Store a finished job of trials that were trained without a job; their files lie in `folder` by number."""
    job, _ = service.jobs.submit(document, trusted=True)
    claimed = service.store.claim_job(job.id, "study", 600.0)
    assert claimed is not None
    writer = service.store.writer(claimed[1])
    for result in trials:
        trial, content = new_id(), (folder / str(result.number) / FILE).read_bytes()
        place = service.settings.trial_dir(job.id, trial)
        place.mkdir(parents=True)
        (place / FILE).write_bytes(content)
        measured = Measurement(result.epochs, result.metrics or {}, result.seconds)
        proposal = Proposal(Candidate(result.values), asks=result.number + 1, told=result.number, costs=result.costs)
        writer.add_trials([(trial, result.number, proposal)])
        writer.start_attempt(trial, 1, None, None, job.created_at)
        writer.measure(trial, measured, measured)
        made = FileMade(FILE, len(content), sha256_of(place / FILE))
        writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED, files=(made,)), result.number)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()
    return service.jobs.get(job.id)


def answered(service: Service, job: Job, truth: Sets, random: np.random.Generator) -> None:
    """Let every rater answer every question, with its share of errors."""
    for rater, accuracy in RATERS.items():
        for question in service.labels.questions(job.id, rater).items:
            right = question.label in truth[question.image]
            service.labels.judge(
                job.id, rater, question.image, question.label, right == bool(random.random() < accuracy)
            )

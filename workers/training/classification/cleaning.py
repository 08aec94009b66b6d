"""Training on cleaned labels (arXiv 2006.07159, section 5), without images whose label a network contradicts.

The network was not trained on these images: the training images are split into folds, and for each fold a small network
(always the same, with the default recipe) is trained on the other folds for as many epochs as a trial, and predicts the
fold. The predictions do not depend on the trial. They are stored in a file per fold next to the trials of a job,
computed once, and completed after interruptions.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from searchsvc.domain.trial_task import TrialTask
from searchsvc.spaces.networks import complete
from workers.data.dataset import Dataset, Labels, Split
from workers.training.classification.splits import in_order, on_device
from workers.training.classification.trainer import Trainer, untrained
from workers.trials.files import home_of, write_atomically

_SEED = 0
_WAIT_SECONDS = 0.2


def disagreeing(
    task: TrialTask, dataset: Dataset, train: Split, folds: int, device: torch.device, check: Callable[[], None]
) -> NDArray[np.intp]:
    """Return the positions in `train` of the images to drop.

    `check` is called often; an exception that it raises ends the work. A class that would lose all its images keeps
    them.
    """
    answers = out_of_fold(task, dataset, train, folds, device, check)
    agrees = answers == train.labels  # (n,)
    alive = np.zeros(len(dataset.classes), np.bool_)  # (K,): classes that keep an image
    alive[train.labels[agrees]] = True
    return np.flatnonzero(~agrees & alive[train.labels])


def out_of_fold(
    task: TrialTask, dataset: Dataset, train: Split, folds: int, device: torch.device, check: Callable[[], None]
) -> Labels:
    """Return the class (n,) that a network which has not seen the image predicts for each image of `train`."""
    folder = home_of(task).parent / f"folds-{_digest(task, train, folds)}"
    folder.mkdir(parents=True, exist_ok=True)
    fold_of = assigned(train.labels, folds)
    answers = np.empty(len(train), np.int64)
    for fold in range(folds):
        path, inside = folder / f"{fold}.npy", fold_of == fold
        with _alone(folder / "lock", check):
            if not path.is_file():
                predictions = _predicted_fold(task, dataset, train, inside, device, check)
                write_atomically(path, _npy(predictions))
        answers[inside] = np.load(path, allow_pickle=False)
    return answers


def assigned(labels: Labels, folds: int) -> Labels:
    """Return the fold (n,) of each image; each class is spread evenly over the folds."""
    fold_of = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        index = np.random.default_rng([_SEED, int(label)]).permutation(np.flatnonzero(labels == label))
        fold_of[index] = (np.arange(len(index)) + label) % folds
    return fold_of


def _predicted_fold(
    task: TrialTask,
    dataset: Dataset,
    train: Split,
    inside: NDArray[np.bool_],
    device: torch.device,
    check: Callable[[], None],
) -> Labels:
    """Return the predictions (m,) of a network trained on the images outside the fold, for those inside."""
    values = complete({})
    outside, fold = (on_device(train.take(np.flatnonzero(part)), device, task.threads) for part in (~inside, inside))
    trainer = Trainer(
        untrained(values, dataset, _SEED),
        values,
        outside,
        dataset,
        epochs=task.fidelity.epochs,
        seed=_SEED,
        device=device,
        check=check,
    )
    for epoch in range(1, task.fidelity.epochs + 1):
        trainer.train_epoch(epoch)
    model = trainer.evaluated.eval()
    with torch.inference_mode(), trainer.precision.autocast():
        predictions = [model(trainer.inputs(images)).argmax(1) for images, _ in in_order(fold, trainer.inputs.batch)]
    labels: Labels = torch.cat(predictions).cpu().numpy()  # (m,)
    return labels


def _digest(task: TrialTask, train: Split, folds: int) -> str:
    """Return a digest of everything that the predictions depend on."""
    content = {"dataset": dict(task.dataset), "fidelity": task.fidelity.model_dump(), "folds": folds}
    text = json.dumps({**content, "network": dict(complete({}))}, sort_keys=True)
    return hashlib.sha256(text.encode() + train.labels.tobytes()).hexdigest()[:16]


def _npy(answers: Labels) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, answers)
    return buffer.getvalue()


@contextmanager
def _alone(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Admit a single process of this machine at a time; the lock ends with its holder."""
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                check()
                time.sleep(_WAIT_SECONDS)
        yield

"""Training on cleaned labels (arXiv 2006.07159, section 5): images go whose label a network that was not trained on
them does not find.

The training images are cut into folds. For each fold a small network, always the same one with the default recipe, is
trained on the others as long as a trial is, and asked. Its answers do not depend on the trial: they are kept in a file
per fold beside the trials of a job, made once, and made on where they were broken off.
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
from workers.training.checkpoint import write_atomically
from workers.training.classification.splits import in_order, on_device
from workers.training.classification.trainer import Trainer, untrained

_SEED = 0
_WAIT_SECONDS = 0.2


def disagreeing(
    task: TrialTask, dataset: Dataset, train: Split, folds: int, device: torch.device, check: Callable[[], None]
) -> NDArray[np.intp]:
    """Positions in `train` of the images that are better left out; `check` is called often, and may end it by raising.

    A class of which nothing would be left keeps all its images.
    """
    answers = out_of_fold(task, dataset, train, folds, device, check)
    agrees = answers == train.labels
    alive = np.zeros(len(dataset.classes), np.bool_)
    alive[train.labels[agrees]] = True
    return np.flatnonzero(~agrees & alive[train.labels])


def out_of_fold(
    task: TrialTask, dataset: Dataset, train: Split, folds: int, device: torch.device, check: Callable[[], None]
) -> Labels:
    """(n,) the class that each image of `train` gets from a network that has not seen it."""
    folder = Path(task.directory).parent / f"folds-{_digest(task, train, folds)}"
    folder.mkdir(parents=True, exist_ok=True)
    fold_of = assigned(train.labels, folds)
    answers = np.empty(len(train), np.int64)
    for fold in range(folds):
        path, inside = folder / f"{fold}.npy", fold_of == fold
        with _alone(folder / "lock", check):
            if not path.is_file():
                asked = _asked(task, dataset, train, inside, device, check)
                write_atomically(path, _npy(asked))
        answers[inside] = np.load(path, allow_pickle=False)
    return answers


def assigned(labels: Labels, folds: int) -> Labels:
    """(n,) the fold of each image: of each class about as many in every one."""
    fold_of = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        index = np.random.default_rng([_SEED, int(label)]).permutation(np.flatnonzero(labels == label))
        fold_of[index] = (np.arange(len(index)) + label) % folds
    return fold_of


def _asked(
    task: TrialTask,
    dataset: Dataset,
    train: Split,
    inside: NDArray[np.bool_],
    device: torch.device,
    check: Callable[[], None],
) -> Labels:
    """(m,) what a network trained on the images outside the fold says of those inside."""
    values = complete({})
    outside, asked = (on_device(train.take(np.flatnonzero(part)), device, task.threads) for part in (~inside, inside))
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
        said = [model(trainer.inputs(images)).argmax(1) for images, _ in in_order(asked, trainer.inputs.batch)]
    found: Labels = torch.cat(said).cpu().numpy()
    return found


def _digest(task: TrialTask, train: Split, folds: int) -> str:
    """Of all that the answers depend on."""
    what = {"dataset": dict(task.dataset), "fidelity": task.fidelity.model_dump(), "folds": folds}
    text = json.dumps({**what, "network": dict(complete({}))}, sort_keys=True)
    return hashlib.sha256(text.encode() + train.labels.tobytes()).hexdigest()[:16]


def _npy(answers: Labels) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, answers)
    return buffer.getvalue()


@contextmanager
def _alone(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """One process of this machine at a time; the lock goes with the process that holds it."""
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                check()
                time.sleep(_WAIT_SECONDS)
        yield

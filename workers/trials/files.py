"""Files of a trial: the names of its results, its log, and writes that no crash can tear."""

from __future__ import annotations

import os
import secrets
import socket
import time
from pathlib import Path

from searchsvc.domain.trial_task import TrialTask
from searchsvc.labels import predictions

MODEL = "model.safetensors"
"""Weights of the best step, with a card that describes them."""
DISTRIBUTIONS = "distributions.json"
"""Result of a supernet: probabilities by parameter, the derived candidate, the finalists with their rewards."""
PICTURE, PICTURES = "boxes-{}.png", "boxes-*.png"
"""Validation images with the boxes that a detector finds at its best step, numbered from 0; and a pattern of all."""
PRETRAINED = "pretrained.json"
"""For a trial with pretrained weights: which names of the file were loaded."""
PSEUDO_LABELS, PSEUDO_SUMMARY = "pseudo-labels{}", "pseudo-labels-summary.json"
"""Pseudo labels of a self-trained trial, with the suffix of their format, and their summary."""
PREDICTIONS = predictions.FILE
"""A classifier's predictions for the validation images, with the weights of the best step."""
DROPPED = "dropped.json"
"""For a classifier trained on cleaned labels: positions of the dropped images among the training images."""
LOG = "trial.log"
PARTS = ".*.tmp"
"""Pattern of the temporary files of `write_atomically`."""


def home_of(task: TrialTask) -> Path:
    """Return the folder of the task's trial, which all attempts share."""
    return Path(task.trial_directory or task.directory)


def note(task: TrialTask, line: str) -> None:
    """Append a line to the trial's log. An error (a full disk, no folder) does not end the trial."""
    try:
        with open(home_of(task) / LOG, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    except OSError:
        return


def pseudo_labels_in(directory: Path) -> list[str]:
    """Return the names of the existing files of pseudo labels and their summary."""
    return sorted(path.name for path in directory.glob(PSEUDO_LABELS.format("*")))


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old file or the new file, never a part.

    The name of the temporary file is unique across processes and hosts.
    """
    writer = f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    to_disk(path.parent)


def to_disk(path: Path) -> None:
    """Make a file, or the entries of a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_parts(directory: Path) -> None:
    """Remove partial files of writers that were killed."""
    for path in directory.glob(PARTS):
        path.unlink(missing_ok=True)

"""Files in a trial's directory: the names of its results, and its log."""

from __future__ import annotations

import time
from pathlib import Path

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


def note(directory: Path, line: str) -> None:
    """Append a line to the trial's log. An error (a full disk, no folder) does not end the trial."""
    try:
        with open(directory / LOG, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    except OSError:
        return


def pseudo_labels_in(directory: Path) -> list[str]:
    """Return the names of the existing files of pseudo labels and their summary."""
    return sorted(path.name for path in directory.glob(PSEUDO_LABELS.format("*")))

"""The files that a trial leaves in its directory: the names of those that are results, and its log."""

from __future__ import annotations

import time
from pathlib import Path

from searchsvc.labels import predictions

MODEL = "model.safetensors"
"""Weights of the best step, and the card that says what they are."""
DISTRIBUTIONS = "distributions.json"
"""What a supernet has found: probabilities by parameter, the derived candidate, the finalists with their rewards."""
PICTURE, PICTURES = "boxes-{}.png", "boxes-*.png"
"""Of a detector: validation images of the best step with what was found in them, numbered from 0; a pattern of all."""
PRETRAINED = "pretrained.json"
"""Of a trial that did not start from random weights: what became of each name in the file."""
LOG = "trial.log"


def note(directory: Path, line: str) -> None:
    """Write a line to the trial's log. One that cannot be written (a full disk, no folder) does not end a trial."""
    try:
        with open(directory / LOG, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")
    except OSError:
        return


PSEUDO_LABELS, PSEUDO_SUMMARY = "pseudo-labels{}", "pseudo-labels-summary.json"
"""Of a self-trained trial: its pseudo labels, with the suffix of their format, and what is known of them."""


def pseudo_labels_in(directory: Path) -> list[str]:
    """Names of both, as far as they are there."""
    return sorted(path.name for path in directory.glob(PSEUDO_LABELS.format("*")))


PREDICTIONS = predictions.FILE
"""Of a classifier: what the weights of the best step say of the validation images."""
DROPPED = "dropped.json"
"""Of a classifier trained on cleaned labels: places, among the training images, of those that were left out."""

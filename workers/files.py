"""Names of the files that a trial leaves in its directory as results."""

from __future__ import annotations

from pathlib import Path

MODEL = "model.safetensors"
"""Weights of the best step, and the card that says what they are."""
DISTRIBUTIONS = "distributions.json"
"""What a supernet has found: probabilities by parameter, the derived candidate, the finalists with their rewards."""
PICTURE, PICTURES = "boxes-{}.png", "boxes-*.png"
"""Of a detector: validation images of the best step with what was found in them, numbered from 0; a pattern of all."""
PSEUDO_LABELS, PSEUDO_SUMMARY = "pseudo-labels{}", "pseudo-labels-summary.json"
"""Of a self-trained trial: its pseudo labels, with the suffix of their format, and what is known of them."""


def pseudo_labels_in(directory: Path) -> list[str]:
    """Names of both, as far as they are there."""
    return sorted(path.name for path in directory.glob(PSEUDO_LABELS.format("*")))

"""Trials of the smallest detectors, on a few images of noise with cats and dogs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from searchsvc.domain import Fidelity, Objective, TrialTask
from tests.support.scenes import document, section, write

SIDE = 72
SMALLEST = {
    "network": "detector-small",
    "base_width": 4,
    "neck_channels": 16,
    "head_width": 16,
    "batch_size": 4,
    "optimizer": "adamw",
    "lr": 0.003,
}


def pets(folder: Path, images: int = 12) -> dict[str, Any]:
    """Return the dataset section of a spec."""
    write(folder, document(images))
    return section(folder) | {"size": SIDE}


def a_task(
    dataset: dict[str, Any], directory: Path, values: dict[str, Any] | None = None, *, epochs: int = 1, **fields: Any
) -> TrialTask:
    """Return a task; every field can be overridden."""
    members = {
        "trial_id": directory.name,
        "attempt": 1,
        "task": "detection",
        "dataset": dataset,
        "fidelity": Fidelity(epochs=epochs),
        "objective": Objective(metric="ap"),
        "seed": 7,
        "directory": str(directory),
        **fields,
    }
    return TrialTask(values={**SMALLEST, **(values or {})}, **members)

"""Tasks of small trials, and the folder of shared data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Decision, Fidelity, Measurement, Objective, Outcome, TrialTask
from workers.trials.run_trial import run_trial

SMALL = {
    "stem_width": 8,
    "depth_2": 1,
    "depth_3": 1,
    "width_1": 8,
    "width_2": 16,
    "width_3": 32,
    "kernel": 3,
    "expansion": 1,
    "lr": 0.05,
}


@dataclass
class Trained:
    """The results of an attempt."""

    outcome: Outcome
    measurements: list[Measurement]

    @property
    def metrics(self) -> list[dict[str, float]]:
        return [dict(one.metrics) for one in self.measurements]


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., TrialTask]:
    """Return a function that builds a task of a small network on a quarter of digits; every field can be overridden."""

    def make(folder: str = "trial", values: dict[str, Any] | None = None, **fields: Any) -> TrialTask:
        fidelity = Fidelity(epochs=fields.pop("epochs", 3), data_fraction=fields.pop("data_fraction", 0.25))
        members = {
            "trial_id": folder,
            "attempt": 1,
            "task": "classification",
            "dataset": {"name": "digits"},
            "fidelity": fidelity,
            "objective": Objective(metric="accuracy"),
            "seed": 7,
            "directory": str(tmp_path / folder),
            **fields,
        }
        return TrialTask(values={**SMALL, **(values or {})}, **members)

    return make


@pytest.fixture
def train() -> Callable[[TrialTask], Trained]:
    """Run a task to its end."""

    def run(task: TrialTask, stop_after: int | None = None) -> Trained:
        measurements: list[Measurement] = []

        def report(measurement: Measurement) -> Decision:
            measurements.append(measurement)
            return Decision.STOP if len(measurements) == stop_after else Decision.CONTINUE

        return Trained(run_trial(task, report), measurements)

    return run


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; tests that need it are skipped if it is absent."""
    root = Path(__file__).parents[3]
    folder = Path(os.environ.get("SEARCHSVC_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (SEARCHSVC_SHARED)")
    return folder

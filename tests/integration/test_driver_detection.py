"""A job of the task detection on a real local Ray: a supernet searches the recipe, a finalist is trained and tested."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from searchsvc.domain import JobState, TrialKind, TrialState
from tests.support.detection import SMALLEST
from tests.support.driving import Rig

FIXED = {name: value for name, value in SMALLEST.items() if name != "lr"}
JOB: dict[str, Any] = {
    "name": "scenes",
    "task": "detection",
    "dataset": {"name": "digits-scenes", "size": 72, "train": 50, "validation": 20, "test": 20},
    "space": {
        "parameters": [
            {"type": "float", "name": "lr", "low": 1e-4, "high": 1e-2, "log": True},
            {"type": "categorical", "name": "augmentation", "choices": ["none", "S1"]},
            *({"type": "categorical", "name": name, "choices": [value]} for name, value in FIXED.items()),
        ]
    },
    "objectives": [{"metric": "ap"}],
    "constraints": [{"metric": "latency_ms", "max": 60_000.0}],
    "algorithm": {"name": "autohas", "finalists": 1, "scored": 2, "reward_images": 16, "basis_values": 2},
    "fidelity": {"epochs": 1},
    "budget": {"trials": 2},
}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


def test_a_job_of_detection_ends_with_a_tested_detector_and_its_pictures(rig: Rig) -> None:
    job = rig.run(JOB, timeout=240.0)
    supernet, finalist = rig.trials(job)
    assert job.state is JobState.SUCCEEDED, job.reason
    assert [one.proposal.kind for one in (supernet, finalist)] == [TrialKind.SUPERNET, TrialKind.CANDIDATE]
    assert [one.state for one in (supernet, finalist)] == [TrialState.SUCCEEDED] * 2
    [measured] = rig.store.measurements(finalist.id)
    assert 0.0 <= measured.metrics["ap"] <= measured.metrics["ap50"] <= 1.0
    assert 0.0 < measured.metrics["latency_ms"] <= 60_000.0
    assert finalist.test_metrics is not None
    assert "ap" in finalist.test_metrics
    names = {one.name for one in rig.store.artifacts(finalist.id)}
    assert names == {"model.safetensors", *(f"boxes-{number}.png" for number in range(4))}
    assert [one.name for one in rig.store.artifacts(supernet.id)] == ["distributions.json"]

"""What a worker is given of a trial."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from searchsvc.domain import Candidate, JobSpec, Proposal
from workers.driver.dispatcher import Dispatcher
from workers.driver.ledger import OpenTrial


def dispatcher(constants: dict[str, Any], folder: Path) -> Dispatcher:
    spec = JobSpec.parse(
        {
            "name": "digits",
            "task": "classification",
            "dataset": {"name": "digits"},
            "space": {"name": "fbnetv3-small"},
            "objectives": [{"metric": "accuracy"}],
            "algorithm": {"name": "random"},
            "budget": {"trials": 2},
        }
    )
    heartbeat: Any = SimpleNamespace(job=SimpleNamespace(id="job", revision=0, spec=spec))
    nothing: Any = None
    ledger: Any = SimpleNamespace(spec=spec)
    return Dispatcher(ledger, heartbeat, nothing, nothing, folder, constants)


def test_a_trial_has_the_values_of_its_candidate_and_the_constants_of_its_space(tmp_path: Path) -> None:
    proposal = Proposal(Candidate({"lr": 0.01}), asks=1, told=0, rejected={}, answered=(), costs={})
    task = dispatcher({"network": "fbnetv3-small", "lr": 1.0}, tmp_path).task_of(OpenTrial("trial", 3, proposal))
    assert task.values == {"network": "fbnetv3-small", "lr": 0.01}

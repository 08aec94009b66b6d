"""What a worker is given of a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from searchsvc.domain import Candidate, JobSpec, Proposal, SharedSearch, TrialKind
from workers.driver.dispatcher import Dispatcher, Run
from workers.driver.ledger import OpenTrial


def dispatcher(constants: dict[str, Any], folder: Path, **resources: Any) -> Dispatcher:
    spec = JobSpec.parse(
        {
            "name": "digits",
            "task": "classification",
            "dataset": {"name": "digits"},
            "space": {"name": "fbnetv3-small"},
            "objectives": [{"metric": "accuracy"}],
            "algorithm": {"name": "random"},
            "budget": {"trials": 2},
            "resources": resources,
        }
    )
    heartbeat: Any = SimpleNamespace(job=SimpleNamespace(id="job", revision=0, spec=spec))
    nothing: Any = None
    ledger: Any = SimpleNamespace(spec=spec)
    placement: Any = SimpleNamespace(resources=spec.resources)
    search = SharedSearch((), (), None, {"epochs": 4, "logs_per_epoch": 2})
    return Dispatcher(ledger, heartbeat, placement, nothing, folder, constants, search)


PROPOSAL = Proposal(Candidate({"lr": 0.01}), asks=1, told=0, rejected={}, answered=(), costs={})


def test_a_trial_has_the_values_of_its_candidate_and_the_constants_of_its_space(tmp_path: Path) -> None:
    task = dispatcher({"network": "fbnetv3-small", "lr": 1.0}, tmp_path).task_of(OpenTrial("trial", 3, PROPOSAL))
    assert task.values == {"network": "fbnetv3-small", "lr": 0.01}


def test_a_trial_has_what_its_resources_say(tmp_path: Path) -> None:
    made = dispatcher({}, tmp_path, cpu=3, gpu=1, compile=True).task_of(OpenTrial("trial", 3, PROPOSAL))
    assert (made.threads, made.device, made.compile) == (3, "cuda", True)
    plain = dispatcher({}, tmp_path).task_of(OpenTrial("trial", 3, PROPOSAL))
    assert (plain.threads, plain.device, plain.compile) == (1, "cpu", False)


def test_several_processes_train_a_supernet_and_one_a_candidate(tmp_path: Path) -> None:
    made = dispatcher({}, tmp_path, workers=3)
    supernet = replace(PROPOSAL, candidate=Candidate({}), kind=TrialKind.SUPERNET)
    assert made.task_of(OpenTrial("trial", 0, supernet)).workers == 3
    assert made.task_of(OpenTrial("trial", 1, PROPOSAL)).workers == 1


def test_hours_of_gpus_are_those_of_all_processes_of_what_runs(tmp_path: Path) -> None:
    made = dispatcher({}, tmp_path, gpu=2, workers=3)
    trials = [OpenTrial(name, number, PROPOSAL) for number, name in enumerate(("supernet", "waits"))]
    made._runs = {trial.id: Run(trial, handed=0.0, workers=3) for trial in trials}
    made.ledger.running = {"supernet": trials[0]}
    made._count_gpus()
    assert made.heartbeat.gpus_in_use == 6

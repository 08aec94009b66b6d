"""The task that a worker receives for a trial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from searchsvc.domain import Candidate, Constraint, JobSpec, Proposal, SharedSearch, TrialKind, TrialTask, WeightsFile
from searchsvc.service.planning.blueprint import shared_search
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from workers.driver.ledger import OpenTrial
from workers.driver.trial_tasks import TaskBuilder


def builder(
    constants: dict[str, Any],
    folder: Path,
    search: SharedSearch | None = None,
    pretrained: WeightsFile | None = None,
    **resources: Any,
) -> TaskBuilder:
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
    return TaskBuilder(spec, folder, constants, search, pretrained)


PROPOSAL = Proposal(Candidate({"lr": 0.01}), asks=1, told=0, rejected={}, answered=(), costs={})


def test_a_trial_has_the_values_of_its_candidate_and_the_constants_of_its_space(tmp_path: Path) -> None:
    task = builder({"network": "fbnetv3-small", "lr": 1.0}, tmp_path).build(OpenTrial("trial", 3, PROPOSAL))
    assert task.values == {"network": "fbnetv3-small", "lr": 0.01}


def test_a_trial_has_the_weights_that_it_may_start_from(tmp_path: Path) -> None:
    weights = WeightsFile("model.safetensors", "0" * 64)
    assert builder({}, tmp_path, pretrained=weights).build(OpenTrial("trial", 3, PROPOSAL)).pretrained == weights
    assert builder({}, tmp_path).build(OpenTrial("trial", 3, PROPOSAL)).pretrained is None


def test_a_trial_has_what_its_resources_say(tmp_path: Path) -> None:
    made = builder({}, tmp_path, cpu=3, gpu=1, compile=True).build(OpenTrial("trial", 3, PROPOSAL))
    assert (made.threads, made.device, made.compile) == (3, "cuda", True)
    plain = builder({}, tmp_path).build(OpenTrial("trial", 3, PROPOSAL))
    assert (plain.threads, plain.device, plain.compile) == (1, "cpu", False)


SUPERNET = Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET)


def test_a_supernet_has_the_space_and_its_own_epochs_and_no_limit_of_time(tmp_path: Path) -> None:
    options = {"epochs": 16, "logs_per_epoch": 2}
    search = SharedSearch((), (), None, options)
    made = builder({"network": "fbnetv3-small"}, tmp_path, search, trial_seconds=3)
    task = made.build(OpenTrial("trial", 0, SUPERNET))
    assert (task.search, task.values, task.trial_seconds) == (search, {"network": "fbnetv3-small"}, None)
    assert (task.fidelity.epochs, task.last_step) == (16, 32)
    finalist = made.build(OpenTrial("trial", 1, PROPOSAL))
    assert (finalist.search, finalist.trial_seconds, finalist.last_step) == (None, 3, 8)


def test_what_a_supernet_is_given_survives_the_way_to_its_worker(tmp_path: Path) -> None:
    limit = {"metric": "flops", "max": 3e6}
    spec = JobSpec.parse(
        {
            "name": "digits",
            "task": "classification",
            "dataset": {"name": "digits"},
            "space": {"name": "fbnetv3-small"},
            "objectives": [{"metric": "accuracy"}],
            "constraints": [limit],
            "algorithm": {"name": "autohas", "soft_limits": [limit]},
            "budget": {"trials": 2},
        }
    )
    blueprint = resolve(spec, trusted=True, settings=Settings(data_dir=tmp_path))
    made = builder(dict(blueprint.constants), tmp_path, shared_search(blueprint))
    task: TrialTask = cloudpickle.loads(cloudpickle.dumps(made.build(OpenTrial("trial", 0, SUPERNET))))
    assert task.search is not None
    assert (task.search.hard, task.search.parameters) == ((Constraint(**limit),), blueprint.space.parameters)
    assert task.search.options["soft_limits"] == [{**limit, "weight": 0.1}]
    rows = blueprint.space.sample(3, np.random.default_rng(0))
    assert task.search.costs is not None
    assert task.search.costs(rows)["flops"].tolist() == blueprint.cost_model(rows)["flops"].tolist()


def test_several_processes_train_a_supernet_and_one_a_candidate(tmp_path: Path) -> None:
    search = SharedSearch((), (), None, {"epochs": 16, "logs_per_epoch": 2})
    made = builder({}, tmp_path, search, workers=3)
    assert made.build(OpenTrial("trial", 0, SUPERNET)).workers == 3
    assert made.build(OpenTrial("trial", 1, PROPOSAL)).workers == 1

"""Jobs of the task detection, in this process: every algorithm proposes candidates, and these are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import Decision, JobSpec, Observation, TrialKind, TrialState, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from tests.support.detection import pets
from workers.trials.run_trial import run_trial

SEARCHING = [one.name for one in ALGORITHMS.values() if one.name != "given" and not one.shares_weights]
SMALLEST = {"backbone": "resnet", "base_width": 4, "neck": "fpn", "neck_channels": 16, "head_depth": 1, "finest": 8}
LIMIT = 3e7


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return pets(tmp_path_factory.mktemp("pets"))


def a_job(dataset: dict[str, Any], algorithm: str, **changes: Any) -> JobSpec:
    document = {
        "name": "pets",
        "task": "detection",
        "dataset": dataset,
        "space": {"name": "detector-small"},
        "objectives": [{"metric": "ap"}],
        "constraints": [{"metric": "flops", "max": LIMIT}],
        "algorithm": {"name": algorithm},
        "fidelity": {"epochs": 1},
        "budget": {"trials": 4},
    }
    return JobSpec.parse(document | changes)


@pytest.mark.parametrize("name", SEARCHING)
def test_every_algorithm_searches_detectors(dataset: dict[str, Any], settings: Settings, name: str) -> None:
    proposer = make_proposer(resolve(a_job(dataset, name), trusted=True, settings=settings))
    for number in range(3):
        [proposal] = proposer.propose(1)
        assert 0 < proposal.costs["flops"] <= LIMIT
        proposer.tell(number, Observation(proposal.candidate, {"ap": number / 10, **proposal.costs}, step=1))


@pytest.mark.parametrize("name", ["random", "evolution"])
def test_what_is_proposed_is_trained_and_measured(
    dataset: dict[str, Any], settings: Settings, tmp_path: Path, name: str
) -> None:
    spec = a_job(dataset, name, space={"name": "detector-small", "fix": SMALLEST})
    blueprint = resolve(spec, trusted=True, settings=settings)
    proposer = make_proposer(blueprint)
    for number in range(2):
        [proposal] = proposer.propose(1)
        measured: list[dict[str, float]] = []
        task = TrialTask.of(
            spec,
            trial_id=str(number),
            number=number,
            values={**blueprint.constants, **proposal.candidate.values},
            directory=str(tmp_path / str(number)),
        )
        outcome = run_trial(task, lambda one, to=measured: to.append(dict(one.metrics)) or Decision.CONTINUE)
        assert outcome.state is TrialState.SUCCEEDED, outcome.message
        assert 0.0 <= measured[0]["ap"] <= 1.0
        proposer.tell(number, Observation(proposal.candidate, {**measured[0], **proposal.costs}, step=1))


RATE = {"type": "float", "name": "lr", "low": 1e-4, "high": 1e-2, "log": True}
NETWORK = {"type": "categorical", "name": "network", "choices": ["detector-small"]}


def a_shared_job(**changes: Any) -> JobSpec:
    """Return a job with a supernet on generated scenes, which suffice to score candidates."""
    scenes = {"name": "digits-scenes", "size": 72, "train": 50, "validation": 20, "test": 20}
    settings = {"space": {"parameters": [NETWORK, RATE]}, "constraints": [], **changes}
    return a_job(settings.pop("dataset", scenes), "autohas", **settings)


def test_recipes_of_detectors_can_be_searched_by_shared_weights(settings: Settings) -> None:
    proposer = make_proposer(resolve(a_shared_job(), trusted=True, settings=settings))
    [proposal] = proposer.propose(1)
    assert proposal.kind is TrialKind.SUPERNET


def test_what_a_supernet_of_detectors_cannot_be_is_refused_with_its_place(
    dataset: dict[str, Any], settings: Settings
) -> None:
    neck = {"type": "categorical", "name": "neck", "choices": ["fpn", "rfp"]}
    for changes, pointer, said in (
        ({"space": {"parameters": [NETWORK, RATE, neck]}}, "/space/parameters/2", "fix it, or use an algorithm that"),
        ({"space": {"name": "detector-small"}}, "/space/fix/neck", "only if neck is the same in all"),
        ({"objectives": [{"metric": "ar100"}]}, "/objectives/0/metric", "not scored by ar100, but by ap or ap50 or"),
        ({"dataset": dataset}, "/dataset", "to score the candidates of a supernet, 16 are needed"),
    ):
        with pytest.raises(InvalidInput) as caught:
            resolve(a_shared_job(**changes), trusted=True, settings=settings)
        assert said in {one.pointer: one.message for one in caught.value.faults}[pointer]


@pytest.mark.parametrize("stopping", [{"name": "asha", "reduction": 2, "min_epochs": 1}, {"name": "median"}])
def test_stopping_rules_go_by_average_precision(dataset: dict[str, Any], settings: Settings, stopping: Any) -> None:
    spec = a_job(dataset, "random", stopping=stopping, fidelity={"epochs": 4})
    assert resolve(spec, trusted=True, settings=settings).spec.stopping.name == stopping["name"]


def test_what_was_counted_in_the_dataset_is_told(dataset: dict[str, Any], settings: Settings) -> None:
    info = resolve(a_job(dataset, "random"), trusted=True, settings=settings).dataset
    assert info.classes == ("cat", "dog")
    assert info.counts["boxes"] == 18

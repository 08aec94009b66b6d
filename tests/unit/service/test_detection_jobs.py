"""Jobs of the task detection, in this process: every algorithm proposes, and what it proposes is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import Decision, JobSpec, Observation, TrialState, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.service import make_proposer, resolve
from searchsvc.settings import Settings
from tests.support.detection import pets
from workers.run_trial import run_trial

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


def test_a_supernet_of_detectors_is_refused(dataset: dict[str, Any], settings: Settings) -> None:
    with pytest.raises(InvalidInput, match="detection trains no supernets, which autohas needs") as caught:
        resolve(a_job(dataset, "autohas", constraints=[]), trusted=True, settings=settings)
    assert [one.pointer for one in caught.value.faults] == ["/algorithm/name"]


@pytest.mark.parametrize("stopping", [{"name": "asha", "reduction": 2, "min_epochs": 1}, {"name": "median"}])
def test_stopping_rules_go_by_average_precision(dataset: dict[str, Any], settings: Settings, stopping: Any) -> None:
    spec = a_job(dataset, "random", stopping=stopping, fidelity={"epochs": 4})
    assert resolve(spec, trusted=True, settings=settings).spec.stopping.name == stopping["name"]


def test_what_was_counted_in_the_dataset_is_told(dataset: dict[str, Any], settings: Settings) -> None:
    info = resolve(a_job(dataset, "random"), trusted=True, settings=settings).dataset
    assert info.classes == ("cat", "dog")
    assert info.counts["boxes"] == 18

"""Initial weights as a gene: the requirements on the spec, the faults, and the values of trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Job, JobSpec, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.service.service import Service
from searchsvc.spaces import catalogue

INIT = {"type": "categorical", "name": "init", "choices": ["scratch", "pretrained"]}
FROZEN = {"type": "integer", "name": "frozen_stages", "low": 0, "high": 2}
WHEN = {"when": {"init": "pretrained"}}
RATE = {"type": "float", "name": "lr", "low": 0.01, "high": 0.1}


@pytest.fixture
def weights(service: Service) -> dict[str, str]:
    """The section of a spec; the content of the file is not read before training."""
    path = service.settings.data_roots[0] / "weights.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return {"file": path.name}


@pytest.fixture
def submit(service: Service, document: dict[str, Any]) -> Callable[..., Job]:
    def submit(*parameters: dict[str, Any], fix: dict[str, Any] | None = None, **changes: Any) -> Job:
        space = {"parameters": [*parameters], "fix": fix or {}}
        return service.jobs.submit({**document, "constraints": [], "space": space, **changes})[0]

    return submit


def values_of(service: Service, job: Job) -> list[dict[str, Any]]:
    plan = service.jobs.plan(job.spec.document(), trusted=True)
    return [dict(one.candidate.values) for one in plan.candidates]


def test_the_gene_takes_weights_and_frozen_stages_take_the_gene(
    service: Service, submit: Callable[..., Job], weights: dict[str, str]
) -> None:
    job = submit(RATE, INIT, FROZEN | WHEN, pretrained=weights, seed=3)
    values = values_of(service, job)
    assert {one["init"] for one in values} == {"scratch", "pretrained"}
    assert all(("frozen_stages" in one) == (one["init"] == "pretrained") for one in values)


@pytest.mark.parametrize(
    ("parameters", "fix", "pointer"),
    [
        ([RATE, INIT], {}, "/space/parameters/1"),
        ([RATE], {"init": "pretrained"}, "/space/fix/init"),
        ([RATE, FROZEN], {}, "/space/parameters/1"),
        ([RATE], {"frozen_stages": 1}, "/space/fix/frozen_stages"),
    ],
    ids=["gene", "constant", "frozen gene", "frozen constant"],
)
def test_without_weights_there_is_nothing_to_start_from_and_nothing_to_freeze(
    submit: Callable[..., Job], parameters: list[dict[str, Any]], fix: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(InvalidInput) as raised:
        submit(*parameters, fix=fix)
    assert [one.pointer for one in raised.value.faults] == [pointer]


def test_stages_are_not_frozen_where_some_trials_start_from_random_weights(
    submit: Callable[..., Job], weights: dict[str, str]
) -> None:
    with pytest.raises(InvalidInput, match="/space/parameters/2: random weights"):
        submit(RATE, INIT, FROZEN, pretrained=weights)
    submit(RATE, FROZEN, pretrained=weights)


def test_with_weights_and_no_gene_all_trials_start_from_them(
    service: Service, submit: Callable[..., Job], weights: dict[str, str]
) -> None:
    job = submit(RATE, pretrained=weights)
    service.store.claim_job(job.id, "test", 60.0)
    from searchsvc.service.lookup import checks

    assert checks.constants_of(job.spec)["init"] == "pretrained"
    unused = submit(RATE, pretrained=weights, fix={"init": "scratch"})
    assert any("no trial starts from the weights" in one for one in service.jobs.plan(unused.spec.document()).warnings)


def test_a_shipped_space_searches_first_weights_where_there_are_some(
    document: dict[str, Any], weights: dict[str, str], service: Service
) -> None:
    from searchsvc.service.lookup import checks

    detector = {**document, "task": "detection", "space": {"name": "detector"}}
    bare, with_weights = JobSpec.parse(detector), JobSpec.parse({**detector, "pretrained": weights})
    choices = [checks.space_of(spec, None)["init"].choices for spec in (bare, with_weights)]  # type: ignore[union-attr]
    assert choices == [("scratch",), ("scratch", "pretrained")]
    assert catalogue.find("detector").space["frozen_stages"].when == {"init": ("pretrained",)}
    assert checks.constants_of(with_weights).get("init") is None


def test_a_supernet_searches_nothing_that_is_decided_before_a_training(
    submit: Callable[..., Job], weights: dict[str, str]
) -> None:
    fraction = {"type": "categorical", "name": "data_fraction", "choices": [0.1, 1.0]}
    replicate = {"type": "integer", "name": "replicate", "low": 1, "high": 3}
    with pytest.raises(InvalidInput) as raised:
        submit(RATE, INIT, fraction, replicate, pretrained=weights, algorithm={"name": "autohas"})
    pointers = {one.pointer for one in raised.value.faults}
    assert {f"/space/parameters/{index}" for index in (1, 2, 3)} <= pointers


def test_a_replicate_decides_the_seed_and_a_grid_of_them_is_a_job(
    service: Service, submit: Callable[..., Job], tmp_path: Path
) -> None:
    replicate = {"type": "integer", "name": "replicate", "low": 1, "high": 3}
    level = {"type": "categorical", "name": "augmentation", "choices": ["none", "S1"]}
    job = submit(replicate, level, fix={"lr": 0.05}, budget={"trials": 6}, seed=5)
    plan = service.jobs.plan(job.spec.document(), trusted=True)
    assert plan.space_size == 6

    def seed(number: int, **values: Any) -> int:
        task = TrialTask.of(job.spec, trial_id="t", number=number, values=values, directory=str(tmp_path))
        return task.seed

    assert seed(4, replicate=2) == seed(9, replicate=2) == 7
    assert seed(4) == seed(4, replicate=0) == 9

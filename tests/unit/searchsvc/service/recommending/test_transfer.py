"""Recipes for other networks: the job that trains them, its faults, and the report."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from searchsvc.domain import Categorical, Float, Integer, Job
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.service.service import Service
from searchsvc.spaces import ShippedSpace, Space, catalogue, recipe
from searchsvc.spaces.halves import halves
from tests.unit.searchsvc.service.conftest import run_job

ZOO = ShippedSpace(
    "zoo",
    "networks by name",
    "classification",
    Space([Categorical("network", ("mbconv", "fbnetv3-small")), Integer("depth_2", 1, 3), Float("lr", 0.01, 0.1)]),
    {"lr_decay": 0.97},
)


@pytest.fixture(autouse=True)
def zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "SPACES", MappingProxyType({**catalogue.SPACES, "zoo": ZOO}))


def candidates(job: Job) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = job.spec.algorithm.options["candidates"]
    return listed


def test_each_network_gets_the_default_recipe_and_those_found(
    service: Service, finished_job: Callable[..., Job]
) -> None:
    source = finished_job(12)
    made = service.recommendations.transfer(source.id, "zoo", k=2)
    assert [one["network"] for one in candidates(made)] == ["mbconv"] * 3 + ["fbnetv3-small"] * 3
    default, first, second = (halves(one).recipe for one in candidates(made)[:3])
    # The constants of a space belong to its recipes.
    assert default == halves(recipe.CLASSIFICATION.defaults).recipe
    for values, trial in zip((first, second), service.results.best(source.id, 2), strict=True):
        assert values.keys() == default.keys()
        assert halves(trial.values).recipe.items() <= values.items()
    assert (made.name, made.spec.budget.trials, made.spec.constraints) == ("digits-transfer", 6, ())


def test_networks_are_chosen_by_name_and_repeated(service: Service, finished_job: Callable[..., Job]) -> None:
    made = service.recommendations.transfer(finished_job(12).id, "zoo", k=1, networks=["fbnetv3-small"], repeats=3)
    assert [one["network"] for one in candidates(made)] == ["fbnetv3-small"] * 6
    assert made.spec.repeats
    assert made.spec.budget.trials == 6


@pytest.mark.parametrize(
    ("wish", "pointer", "said"),
    [
        ({"space": "nowhere"}, "/space", "no space 'nowhere'; there are"),
        ({"space": "mbconv-small"}, "/space", "networks that have names: "),
        ({"space": "zoo", "networks": ["mbconv", "mbcnv"]}, "/networks/1", "did you mean mbconv"),
        ({"space": "zoo", "k": 0}, "/k", "must lie from 1 to 20"),
        ({"space": "zoo", "repeats": 21}, "/repeats", "must lie from 1 to 20"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    service: Service, finished_job: Callable[..., Job], wish: dict[str, Any], pointer: str, said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        service.recommendations.transfer(finished_job(5).id, **wish)
    [fault] = refused.value.faults
    assert fault.pointer == pointer
    assert said in fault.message


def test_without_a_result_there_is_nothing_to_transfer(service: Service, document: dict[str, Any]) -> None:
    with pytest.raises(Conflict, match="no finished trial"):
        service.recommendations.transfer(service.jobs.submit(document)[0].id, "zoo")


def test_a_job_that_searched_only_architectures_has_no_recipe(
    service: Service, finished_job: Callable[..., Job]
) -> None:
    parameters = [{"type": "integer", "name": "depth_2", "low": 1, "high": 3}]
    job = finished_job(2, space={"parameters": parameters}, constraints=[])
    with pytest.raises(Conflict, match="searches no recipe"):
        service.recommendations.transfer(job.id, "zoo")


def test_the_report_says_what_each_recipe_gains(service: Service, finished_job: Callable[..., Job]) -> None:
    made = service.recommendations.transfer(finished_job(12).id, "zoo", k=1, repeats=2)
    run_job(service, made, 8)  # accuracy 0.502 + 0.01 n; trials 4 failed and 6 was stopped early
    report = service.recommendations.transfer_report(made.id)
    assert list(report.networks) == ["mbconv", "fbnetv3-small"]
    default, best = report.networks["mbconv"]
    assert (default.mean, default.gain) == (pytest.approx(0.507), None)
    assert (best.mean, best.gain) == (pytest.approx(0.527), pytest.approx(0.02))
    assert best.deviation == pytest.approx(0.01 / 2**0.5)
    default, best = report.networks["fbnetv3-small"]
    assert (default.trials, best.trials) == (1, 1)
    assert best.deviation is None
    assert best.gain == pytest.approx(0.02)
    assert "lr" in report.differing
    assert "resolution" not in report.recipes[0]


def test_where_less_is_better_a_gain_is_what_it_is_less(service: Service, finished_job: Callable[..., Job]) -> None:
    source = finished_job(12, objectives=[{"metric": "loss", "goal": "minimize"}])
    made = service.recommendations.transfer(source.id, "zoo", k=1, networks=["mbconv"])
    run_job(service, made, 2)
    assert service.recommendations.transfer_report(made.id).networks["mbconv"][1].gain == pytest.approx(0.01)


def test_before_a_trial_has_ended_nothing_is_said_of_it(service: Service, finished_job: Callable[..., Job]) -> None:
    made = service.recommendations.transfer(finished_job(12).id, "zoo", k=1)
    rows = service.recommendations.transfer_report(made.id).networks["mbconv"]
    assert [(one.trials, one.mean, one.gain) for one in rows] == [(0, None, None)] * 2


def test_another_job_has_no_such_report(service: Service, finished_job: Callable[..., Job]) -> None:
    with pytest.raises(Conflict, match="transfers no recipes"):
        service.recommendations.transfer_report(finished_job(5).id)

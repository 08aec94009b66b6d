"""Resolving a spec: the network of a named space, its costs, and candidates that build the same network."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.domain import JobSpec
from searchsvc.errors import InvalidInput
from searchsvc.service.planning import machine
from searchsvc.service.planning.blueprint import Blueprint, make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings

Document = dict[str, Any]


@pytest.fixture
def resolved(document: Document, settings: Settings) -> Any:
    def make(space: Document, **changes: Any) -> Blueprint:
        return resolve(JobSpec.parse({**document, "space": space, **changes}), trusted=True, settings=settings)

    return make


def test_a_named_space_brings_its_network_along(resolved: Any) -> None:
    blueprint = resolved({"name": "fbnetv3-small"})
    assert blueprint.constants["network"] == "fbnetv3-small"
    assert not set(blueprint.constants) & set(blueprint.space.names)
    assert resolved({"name": "mbconv-small"}).constants == {}


def test_limits_on_costs_are_those_of_the_network_of_the_space(resolved: Any) -> None:
    blueprint = resolved({"name": "fbnetv3-small"}, constraints=[{"metric": "params", "max": 2e5}])
    proposals = make_proposer(blueprint).propose(5)
    assert len(proposals) == 5
    assert all(0 < proposal.costs["params"] <= 2e5 for proposal in proposals)


def test_what_no_space_has_is_fixed_for_every_trial(resolved: Any) -> None:
    blueprint = resolved({"name": "fbnetv3", "fix": {"batch_size": 32, "n1": 2}}, constraints=[])
    assert blueprint.constants["batch_size"] == 32
    assert "n1" not in blueprint.constants
    assert blueprint.space["n1"].choices == (2,)
    smaller = resolved({"name": "mbconv-small", "fix": {"resolution": 8, "depth_1": 2}}, constraints=[])
    assert smaller.constants == {"resolution": 8, "depth_1": 2}


@pytest.mark.parametrize(
    ("space", "fix", "said"),
    [
        ("fbnetv3", {"batch_size": 0}, "batch_size must lie from 2"),
        ("fbnetv3", {"width_1": 16}, "no parameter is called 'width_1'"),
        ("fbnetv3", {"network": "mbconv"}, "no such parameter"),
        ("mbconv-small", {"depth": 2}, "no such parameter"),
    ],
)
def test_what_cannot_be_fixed_is_named(resolved: Any, space: str, fix: Document, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"/space/fix/{next(iter(fix))}: {said}"):
        resolved({"name": space, "fix": fix}, constraints=[])


def test_an_inline_space_names_its_network(resolved: Any) -> None:
    network = {"type": "categorical", "name": "network", "choices": ["fbnetv3-small"]}
    width = {"type": "integer", "name": "c7", "low": 64, "high": 80, "step": 2}
    blueprint = resolved({"parameters": [network, width]}, constraints=[])
    proposer = make_proposer(blueprint)
    widths = sorted(proposal.candidate.values["c7"] for proposal in proposer.propose(50))
    assert len(widths) == 3  # 64, 72 and 80 after rounding
    assert proposer.exhausted


@pytest.mark.parametrize(
    ("algorithm", "resources", "said"),
    [
        ("random", {"workers": 2}, "/resources/workers: several processes train a supernet, and random has none: .*"),
        ("autohas", {"workers": 2, "gpu": 0.5}, "/resources/gpu: each of 2 workers needs a GPU of its own: .*"),
    ],
)
def test_several_workers_are_for_a_supernet_and_share_no_gpu(
    resolved: Any, algorithm: str, resources: Document, said: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{said}$"):
        resolved({"name": "fbnetv3-small"}, algorithm={"name": algorithm}, resources=resources)


def test_a_plan_warns_of_more_workers_than_the_machine_has_room_for(resolved: Any) -> None:
    spec = resolved({"name": "fbnetv3-small"}, algorithm={"name": "autohas"}, resources={"workers": 1000}).spec
    assert spec.resources.workers == 1000
    assert any(one.startswith("a supernet with 1000 workers needs 1000 CPUs, ") for one in machine.warnings(spec))

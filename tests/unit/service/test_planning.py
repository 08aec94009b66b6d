"""From a spec to what will run: the network of a named space, its costs, and which of its candidates are the same."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.domain import JobSpec
from searchsvc.service import make_proposer, resolve
from searchsvc.service.planning import Blueprint
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
    assert all(0 < one.costs["params"] <= 2e5 for one in proposals)


def test_an_inline_space_names_its_network(resolved: Any) -> None:
    network = {"type": "categorical", "name": "network", "choices": ["fbnetv3-small"]}
    width = {"type": "integer", "name": "c7", "low": 64, "high": 80, "step": 2}
    blueprint = resolved({"parameters": [network, width]}, constraints=[])
    proposer = make_proposer(blueprint)
    widths = sorted(proposal.candidate.values["c7"] for proposal in proposer.propose(50))
    assert len(widths) == 3  # 64, 72 and 80 after rounding
    assert proposer.exhausted

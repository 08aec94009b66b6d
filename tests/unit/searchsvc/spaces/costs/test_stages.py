"""Stages of networks: the same pieces that the cost models sum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from searchsvc.domain import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import cost_model_for, networks
from searchsvc.spaces.catalogue import SPACES
from searchsvc.spaces.costs.stages import aligned

CLASSIFIED = DatasetInfo("digits", tuple("0123456789"), (1, 28, 32), {"train": 8})
DETECTED = DatasetInfo("shapes", ("a", "b", "c"), (3, 128, 144), {"train": 8})


@pytest.mark.parametrize("name", SPACES)
def test_the_costs_of_stages_sum_to_the_cost_model_for_every_shipped_space(name: str) -> None:
    shipped = SPACES[name]
    info = DETECTED if shipped.task == "detection" else CLASSIFIED
    model = cost_model_for(shipped.task, shipped.space, info, shipped.constants)
    matrix = shipped.space.sample(40, np.random.default_rng(0))
    costs = model(matrix)
    for row, candidate in enumerate(shipped.space.from_matrix(matrix)):
        stages = networks.stages_of(shipped.task, {**shipped.constants, **candidate.values}, info)
        assert sum(stage.flops for stage in stages) == costs["flops"][row]
        assert sum(stage.params for stage in stages) == costs["params"][row]
        assert all(stage.flops >= 0 and stage.count > 0 and min(stage.height, stage.width) > 0 for stage in stages)


def test_the_stages_of_a_network_say_how_it_is_built() -> None:
    values = {"stem_width": 8, "depth_2": 3, "width_2": 24, "kernel": 5, "expansion": 4, "se": True}
    stages = networks.stages_of("classification", values, CLASSIFIED)
    assert [stage.name for stage in stages] == ["stem", "stage 1", "stage 2", "stage 2", "stage 3", "stage 3", "head"]
    first, others = stages[2:4]
    assert (first.stride, first.count, others.stride, others.count) == (2, 1, 1, 2)
    assert (first.channels, first.kernel, first.expansion, first.squeezes) == (24, 5, 4.0, True)
    assert (first.height, first.width) == (7, 8)
    assert (stages[-1].channels, stages[-1].params) == (10, 10 * (48 + 1))


def test_maps_never_grow_along_a_network() -> None:
    stages = networks.stages_of("classification", {"network": "fbnetv3"}, DatasetInfo("i", ("a",), (3, 224, 224), {}))
    sides = [stage.height for stage in stages]
    assert sides[0] == 112
    assert sides[-2:] == [7, 1]
    assert all(after <= before for before, after in pairwise(sides))


def test_a_network_that_cannot_be_built_has_no_stages() -> None:
    with pytest.raises(InvalidInput, match="width_2"):
        networks.stages_of("classification", {"width_2": 100_000}, CLASSIFIED)


def test_stages_of_networks_are_aligned_by_their_place() -> None:
    shallow, deep, other = (
        networks.stages_of("classification", values, CLASSIFIED)
        for values in ({"depth_2": 1, "depth_3": 2}, {"depth_2": 3, "depth_3": 1}, {"network": "fbnetv3-small"})
    )
    rows = aligned([shallow, deep])
    names = [next(stage.name for stage in row if stage) for row in rows]
    assert names == ["stem", "stage 1", "stage 2", "stage 2", "stage 3", "stage 3", "head"]
    assert [index for index, (stage, _) in enumerate(rows) if stage is None] == [3]
    assert [index for index, (_, stage) in enumerate(rows) if stage is None] == [5]
    assert rows[3][1] is deep[3]
    assert [row[2].name for row in aligned([shallow, deep, other]) if row[2]] == [stage.name for stage in other]


@pytest.mark.parametrize("name", SPACES)
def test_aligning_loses_no_stage_and_keeps_the_order_of_the_first(name: str) -> None:
    shipped = SPACES[name]
    info = DETECTED if shipped.task == "detection" else CLASSIFIED
    sampled = shipped.space.from_matrix(shipped.space.sample(6, np.random.default_rng(1)))
    built = [networks.stages_of(shipped.task, {**shipped.constants, **candidate.values}, info) for candidate in sampled]
    columns = list(zip(*aligned(built), strict=True))
    assert [stage for stage in columns[0] if stage] == built[0]
    for column, stages in zip(columns, built, strict=True):
        assert {id(stage) for stage in column if stage} == {id(stage) for stage in stages}

"""Network families: their choice by values, the values that a space may name, costs if the network is a gene."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import Candidate, DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.spaces import (
    NETWORKS,
    SPACES,
    Categorical,
    Float,
    Integer,
    Parameter,
    ShippedSpace,
    Space,
    cost_model_for,
    identity_for,
    networks,
)
from searchsvc.spaces.costs.model import NO_COSTS
from searchsvc.spaces.limits import check_values
from searchsvc.spaces.recipe import TABLES, RecipeTable

DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
LARGE = DatasetInfo("large", tuple("ab"), (3, 96, 96), {})


def costs(space: Space, info: DatasetInfo = DIGITS, **values: object) -> list[tuple[float, float]]:
    """Return (FLOPs, params) of candidates; each keyword has a list with a value per candidate."""
    model = cost_model_for("classification", space, info)
    rows = [Candidate(dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]  # type: ignore[call-overload]
    columns = model(space.to_matrix(rows))
    return list(zip(columns["flops"].tolist(), columns["params"].tolist(), strict=True))


def test_values_without_a_network_describe_the_first() -> None:
    assert networks.find({}).name == "mbconv"
    assert networks.complete({"lr": 0.3})["lr"] == 0.3
    assert networks.complete({"lr": 0.3})["width_1"] == 16


@pytest.mark.parametrize("name", ["vgg", 3])
def test_an_unknown_network_is_refused_and_all_names_are_listed(name: str | int) -> None:
    with pytest.raises(InvalidInput, match=r"/network: no network .*; there are mbconv, fbnetv3"):
        networks.find({"network": name})


def test_values_of_another_network_are_refused() -> None:
    with pytest.raises(InvalidInput, match="/width_1: no parameter is called 'width_1'"):
        networks.complete({"network": "fbnetv3", "width_1": 16})


@pytest.mark.parametrize("network", NETWORKS.values(), ids=lambda one: one.name)
def test_every_default_lies_within_the_limits_of_its_network(network: networks.NetworkFamily) -> None:
    assert set(network.limits) == set(network.defaults)
    assert networks.complete(network.parameters) == dict(network.parameters)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_default_of_a_recipe_lies_within_its_limits(table: RecipeTable) -> None:
    check_values(table.defaults, table.limits)


@pytest.mark.parametrize("shipped", SPACES.values(), ids=lambda one: one.name)
def test_every_shipped_space_and_its_constants_can_be_built(shipped: ShippedSpace) -> None:
    assert not set(shipped.constants) & set(shipped.space.names)
    for candidate in shipped.space.from_matrix(shipped.space.sample(5, np.random.default_rng(1))):
        networks.complete({**shipped.constants, **candidate.values})
    assert cost_model_for(shipped.task, shipped.space, LARGE, shipped.constants) is not NO_COSTS


def test_the_defaults_of_a_task_are_those_of_all_its_networks() -> None:
    classification = networks.defaults_of("classification")
    assert {"width_1", "c7", "base_width", "drop_path"} <= set(classification)
    assert classification["network"] == "mbconv"
    detection = networks.defaults_of("detection")
    assert detection["network"] == "detector"
    assert not {"width_1", "mixup"} & set(detection)
    assert networks.defaults_of("other") == {}


def test_the_network_may_be_a_gene_with_costs_of_each() -> None:
    space = Space([Categorical("network", ("resnet10t", "fbnetv3-small", "mbconv")), Integer("c3", 16, 32, 8)])
    mixed = costs(space, network=["mbconv", "fbnetv3-small", "resnet10t"], c3=[16, 16, 16])
    alone = [
        costs(Space([Categorical("network", (name,)), Float("lr", 0.1, 0.2)]), network=[name], lr=[0.1])[0]
        for name in ("mbconv", "resnet10t")
    ]
    assert [mixed[0], mixed[2]] == alone
    assert costs(space, network=["fbnetv3-small"] * 2, c3=[16, 32])[0][0] == mixed[1][0]
    assert costs(space, network=["mbconv"] * 2, c3=[16, 32])[0] == mixed[0]


def test_a_gene_that_no_named_network_has_leaves_costs_unknown() -> None:
    space = Space([Categorical("network", ("mbconv",)), Integer("c3", 16, 32, 8)])
    assert cost_model_for("classification", space, DIGITS) is NO_COSTS
    assert cost_model_for("classification", Space([Categorical("network", ("vgg",))]), DIGITS) is NO_COSTS


def test_the_resolution_decides_costs_if_it_is_given() -> None:
    space = Space([Integer("resolution", 0, 96, 8)])
    native, eight, larger = costs(space, resolution=[0, 8, 96])
    grey = DatasetInfo("grey", DIGITS.classes, (1, 96, 96), {})
    assert native == eight == costs(space, grey, resolution=[8])[0]
    assert larger == costs(space, grey, resolution=[0])[0]


def test_an_inactive_resolution_is_that_of_the_dataset() -> None:
    space = Space([Categorical("se", (False, True)), Categorical("resolution", (8, 16), when={"se": True})])
    model = cost_model_for("classification", space, DIGITS)
    plain, eight, sixteen = model(np.array([[0.0, np.nan], [1.0, 0.0], [1.0, 1.0]]))["flops"]
    assert plain < eight < sixteen


@pytest.mark.parametrize(
    "parameter",
    [
        Integer("c3", 2, 8),
        Integer("k3", 3, 6),
        Integer("k3b", 3, 5),
        Categorical("trim4", (0, 1)),
        Categorical("e6", (4, 4.5)),
        Integer("resolution", -8, 8, 8),
        Categorical("optimizer", ("sgd", "lion")),
    ],
    ids=str,
)
def test_a_range_beyond_the_limits_is_a_fault_at_its_place(parameter: Parameter) -> None:
    space = Space([Categorical("network", ("fbnetv3-small",)), parameter])
    with pytest.raises(InvalidInput) as caught:
        cost_model_for("classification", space, DIGITS)
    assert [fault.pointer for fault in caught.value.faults] == ["/1"]


def test_only_networks_that_several_values_describe_need_an_identity() -> None:
    space = Space([Integer("c3", 16, 32, 2)])
    assert identity_for("classification", space, {"network": "fbnetv3-small"}) is not None
    assert identity_for("classification", space, {"network": "mbconv"}) is None
    assert identity_for("other", space, {"network": "fbnetv3-small"}) is None


def test_complete_values_can_be_replaced_but_not_changed() -> None:
    values = networks.complete({"lr": 0.3})
    replaced = values.replaced({"lr": 0.1})
    assert (values["lr"], replaced["lr"], replaced["width_1"]) == (0.3, 0.1, values["width_1"])
    assert not isinstance(values, dict)

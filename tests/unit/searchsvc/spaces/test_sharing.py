"""Spaces that shared weights can search; other spaces are refused, parameter by parameter, with an alternative."""

from __future__ import annotations

import pytest

from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Basis, Categorical, Float, Integer, Parameter, Space, catalogue
from searchsvc.spaces.sharing import SCHEDULE, WeightSharing, check_sharable, kind_of, values_of

MBCONV = catalogue.find("mbconv-small").space
ARCHITECTURE: dict[str, Scalar] = {
    "stem_width": 8,
    "depth_2": 1,
    "depth_3": 1,
    "width_1": 8,
    "width_2": 16,
    "width_3": 32,
    "kernel": 3,
    "expansion": 1,
    "se": False,
}
RATE = Float("lr", 0.001, 0.1, log=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("fbnetv3", WeightSharing.FBNETV3),
        ("fbnetv3-released", WeightSharing.FBNETV3),
        ("fbnetv3-small", WeightSharing.FBNETV3),
        ("resnet-small", WeightSharing.RESNET),
    ],
)
def test_shipped_spaces_share_by_their_networks(name: str, kind: WeightSharing) -> None:
    shipped = catalogue.find(name)
    assert kind_of(shipped.space, shipped.constants) is kind


def test_a_fixed_architecture_of_any_network_shares_all_its_weights() -> None:
    assert kind_of(MBCONV.fix(ARCHITECTURE), {}) is WeightSharing.FIXED
    assert kind_of(Space([RATE]), {"width_3": 32}) is WeightSharing.FIXED
    assert kind_of(Space([RATE, Categorical("network", ("mbconv",))]), {}) is WeightSharing.FIXED


def faults_of(space: Space, constants: dict[str, Scalar]) -> dict[str, str]:
    """Return messages by pointer."""
    with pytest.raises(InvalidInput) as caught:
        check_sharable(space, constants)
    return {fault.pointer: fault.message for fault in caught.value.faults}


def test_every_free_parameter_of_an_architecture_that_must_be_fixed_is_named() -> None:
    faults = faults_of(MBCONV, {})
    assert tuple(faults) == tuple(f"/{name}" for name in ARCHITECTURE)
    assert all("fix it" in message for message in faults.values())


def test_a_condition_adds_the_default_to_a_single_value() -> None:
    only = {"when": {"optimizer": "sgd"}}
    optimizer = Categorical("optimizer", ("sgd", "adamw"))
    assert tuple(faults_of(Space([optimizer, Integer("width_3", 32, 32, **only)]), {})) == ("/width_3",)
    check_sharable(Space([optimizer, Integer("width_3", 32, 32, **only)]), {"width_3": 32})


def test_networks_without_common_weights_are_refused() -> None:
    for names in (("mbconv", "fbnetv3-small"), ("fbnetv3-small", "fbnetv3"), ("resnet10t", "mbconv")):
        faults = faults_of(Space([Categorical("network", names), RATE]), {})
        assert tuple(faults) == ("/network",)
        assert f"{names[0]}, {names[1]} have no weights in common" in faults["/network"]


def test_a_network_that_does_not_exist_is_named() -> None:
    assert "no network 'vgg'" in faults_of(Space([RATE]), {"network": "vgg"})["/network"]


def test_the_resolution_is_a_part_of_an_architecture_that_must_be_fixed() -> None:
    resolution = Integer("resolution", 16, 32, 8)
    assert tuple(faults_of(Space([resolution]), {})) == ("/resolution",)
    check_sharable(Space([resolution]), {"network": "resnet10t"})
    check_sharable(Space([resolution]), {"network": "fbnetv3-small"})


@pytest.mark.parametrize(
    "parameter",
    [Float("warmup_epochs", 0.0, 5.0), Basis("warmup_epochs", (0.0, 1.0)), Categorical("lr_decay", (0.9, 0.95))],
    ids=lambda one: f"{one.type} {one.name}",
)
def test_a_parameter_of_the_schedule_is_refused_unless_it_is_fixed(parameter: Parameter) -> None:
    shipped = catalogue.find("fbnetv3-small")
    faults = faults_of(Space([*shipped.space.parameters, parameter]), dict(shipped.constants))
    assert tuple(faults) == (f"/{parameter.name}",)
    assert "one step" in faults[f"/{parameter.name}"]
    fixed = Space([*shipped.space.parameters, *(Float(name, 0.5, 0.5) for name in SCHEDULE)])
    check_sharable(fixed, shipped.constants)


BESIDES = [("class_loss", "sigmoid"), ("clean_folds", 5), ("layer_decay", 0.7), ("init", "pretrained")]


@pytest.mark.parametrize(("name", "value"), BESIDES)
def test_parameters_of_labels_and_of_parts_are_refused_unless_they_have_their_defaults(
    name: str, value: str | float
) -> None:
    shipped = catalogue.find("fbnetv3-small")
    assert tuple(faults_of(shipped.space, {**shipped.constants, name: value})) == (f"/{name}",)
    assert tuple(faults_of(Space([*shipped.space.parameters, Categorical(name, (value,))]), shipped.constants)) == (
        f"/{name}",
    )


def test_the_alternative_names_existing_algorithms() -> None:
    message = faults_of(MBCONV, {})["/kernel"]
    named = message[message.index("(") + 1 : message.index(" or another)")].split(", ")
    assert set(named) <= ALGORITHMS.keys()


def test_values_are_in_the_order_of_the_options_of_a_search() -> None:
    space = Space([Categorical("a", (5, 3)), Integer("b", 2, 9, 3), Integer("c", 1, 2, when={"a": 3})])
    assert values_of(space, "a", 0) == (5, 3)
    assert values_of(space, "b", 0) == (2, 5, 8)
    assert values_of(space, "c", 7) == (1, 2, 7)
    assert values_of(space, "d", 7) == (7,)

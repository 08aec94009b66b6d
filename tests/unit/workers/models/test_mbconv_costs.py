"""The cost model of MBConv spaces agrees exactly with the built networks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from searchsvc.domain import Candidate, Categorical, DatasetInfo, Float, Integer
from searchsvc.domain.spec import NarrowedRange
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.spaces import Basis, Parameter, Space, catalogue, cost_model_for, mbconv, networks
from searchsvc.spaces.costs.model import NO_COSTS
from searchsvc.spaces.networks import complete
from tests.support.work import calls
from workers.models import build

DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
PHOTOS = DatasetInfo("photos", tuple("abc"), (3, 40, 57), {})


def counted_by_hooks(network: nn.Module, shape: tuple[int, int, int]) -> int:
    """Return the multiply-adds of all convolutions and linear layers in a forward pass."""
    total = 0

    def count(module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d | nn.Linear)
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        network(torch.zeros(1, *shape, device="meta"))
    for hook in hooks:
        hook.remove()
    return total


def assert_exact(space: Space, info: DatasetInfo, count: int, *, with_torch: bool) -> None:
    """Compare `count` random candidates with their networks, built and counted."""
    model = cost_model_for("classification", space, info)
    matrix = space.sample(count, np.random.default_rng(3))
    costs = model(matrix)
    for row, candidate in enumerate(space.from_matrix(matrix)):
        with torch.device("meta"):  # shapes without numbers
            network = build(complete(candidate.values), info.shape, len(info.classes)).eval()
        assert costs["params"][row] == sum(parameter.numel() for parameter in network.parameters())
        assert costs["flops"][row] == counted_by_hooks(network, info.shape), candidate.values
        if with_torch:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                network(torch.zeros(1, *info.shape, device="meta"))
            assert costs["flops"][row] == counter.get_total_flops() / 2


def test_costs_of_shipped_candidates_equal_what_hooks_and_numel_count() -> None:
    assert_exact(mbconv.mbconv_small(), DIGITS, 250, with_torch=False)


def test_costs_of_shipped_candidates_equal_what_torch_counts() -> None:
    assert_exact(mbconv.mbconv_small(), PHOTOS, 50, with_torch=True)


def test_costs_of_an_inline_space_with_odd_widths_fractions_and_conditions_are_exact() -> None:
    space = Space(
        [
            Integer("stem_width", 5, 30),
            Integer("width_1", 4, 40),
            Integer("width_3", 4, 60),
            Integer("depth_1", 1, 4),
            Integer("kernel", 1, 7, 2),
            Categorical("se", (True, False)),
            Float("expansion", 1.0, 6.0, when={"se": (True,)}),
            Integer("width_2", 7, 21, when={"kernel": (1, 3)}),
        ]
    )
    assert_exact(space, PHOTOS, 60, with_torch=True)


def test_costs_of_fixed_and_narrowed_spaces_are_exact() -> None:
    space = mbconv.mbconv_small().fix({"kernel": 5, "se": True})
    assert_exact(
        space.narrow({"expansion": NarrowedRange(low=2, high=3), "width_2": (16, 40)}), DIGITS, 30, with_torch=False
    )


def test_a_space_of_recipe_parameters_only_costs_what_the_default_network_does() -> None:
    space = Space([Float("lr", 1e-3, 0.1, log=True)])
    assert_exact(space, DIGITS, 3, with_torch=True)


def test_many_candidates_are_counted_in_few_operations() -> None:
    space = mbconv.mbconv_small()
    model, matrix = mbconv.cost_model(space, DIGITS), space.sample(100_000, np.random.default_rng(0))
    with calls() as made:
        costs = model(matrix)
    assert made.count < 5_000
    assert len(costs["flops"]) == 100_000


def test_an_empty_matrix_has_no_costs() -> None:
    space = mbconv.mbconv_small()
    assert len(mbconv.cost_model(space, DIGITS)(np.empty((0, len(space))))["params"]) == 0


def test_every_shipped_parameter_has_a_default_and_lies_within_what_can_be_built() -> None:
    space = mbconv.mbconv_small()
    assert set(space.names) <= set(networks.NETWORKS["mbconv"].parameters)
    assert cost_model_for("classification", space, DIGITS) is not NO_COSTS
    assert networks.complete({}) == networks.NETWORKS["mbconv"].parameters


def test_a_space_with_a_name_that_the_network_lacks_has_no_cost_model() -> None:
    assert cost_model_for("classification", Space([Integer("width_9", 8, 16)]), DIGITS) is NO_COSTS


def test_a_task_without_a_known_network_has_no_cost_model() -> None:
    assert cost_model_for("other", mbconv.mbconv_small(), DIGITS) is NO_COSTS


@pytest.mark.parametrize(
    "parameter",
    [
        Integer("depth_1", 0, 3),
        Integer("kernel", 3, 6),
        Categorical("kernel", (3, 4)),
        Categorical("se", (0, 1)),
        Categorical("optimizer", ("sgd", "lion")),
        Float("width_2", 8.0, 16.0),
        Basis("width_2", (8.0, 16.0)),
        Basis("lr", (-0.1, 0.1)),
        Float("expansion", 0.5, 2.0),
        Categorical("lr", (0.1, "high")),
        Integer("width_3", 8, 2**50),
    ],
    ids=str,
)
def test_a_range_beyond_what_can_be_built_is_a_fault_at_its_place(parameter: Parameter) -> None:
    space = Space([Integer("stem_width", 8, 16), parameter])
    with pytest.raises(InvalidInput) as caught:
        cost_model_for("classification", space, DIGITS)
    assert [fault.pointer for fault in caught.value.faults] == ["/1"]


def test_an_unknown_space_is_not_found_and_the_known_are_named() -> None:
    with pytest.raises(NotFound, match="mbconv-small"):
        catalogue.find("mbconv-huge")


@pytest.mark.parametrize("side", [8, 9, 16, 23, 24, 28, 32, 47, 48, 64])
def test_maps_of_images_from_8_to_64_px_end_as_2_to_4_px(side: int) -> None:
    network = build(complete({}), (1, side, side), 3).eval()
    maps = network.stages(network.stem(torch.zeros(2, 1, side, side)))
    assert maps.shape[:2] == (2, 48)
    assert 2 <= maps.shape[2] == maps.shape[3] <= 6


def test_an_image_of_one_row_does_not_vanish() -> None:
    assert build(complete({}), (1, 1, 30), 3).eval()(torch.zeros(2, 1, 1, 30)).shape == (2, 3)


def test_values_that_cannot_be_built_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="/kernel"):
        build(complete(Candidate({"kernel": 4}).values), (1, 8, 8), 10)

"""A path in shared weights equals the standalone network of its values, in training and after recalibration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from searchsvc.domain import Scalar
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.spaces import Categorical, Integer, Space, catalogue
from searchsvc.spaces.networks import complete
from searchsvc.spaces.resolution import shape_at
from workers.models import build
from workers.supernet import SharedNetwork, shared_network
from workers.supernet.fixed import FixedNetwork

SHAPE, CLASSES = (1, 8, 8), 10
SMALL, MBCONV = catalogue.find("fbnetv3-small"), catalogue.find("mbconv-small")


@dataclass(frozen=True)
class Case:
    """A space, with further values of its candidates."""

    name: str
    space: Space
    constants: dict[str, Scalar] = field(default_factory=dict)


SHIPPED = Case("small", SMALL.space, dict(SMALL.constants))
RELEASED = Space(
    [
        *(Categorical(f"k{stage}", (3, 5)) for stage in (2, 4, 6)),
        *(Categorical(f"k{stage}b", (0, 3, 5)) for stage in (2, 4, 6)),
        Integer("e6", 2, 5),
        Integer("e6b", 0, 3),
        Categorical("trim4", (False, True)),
        Integer("n6", 1, 3),
        Integer("c4", 28, 44, 4),
        Categorical("drop_path", (0.0, 0.2)),
    ]
)
"""Genes that the shipped space fixes, and channels that are rounded."""
CONDITIONAL = Space(
    [
        Categorical("network", ("resnet18d", "resnet34d", "resnet10t")),
        Integer("base_width", 8, 24, 8, when={"network": ("resnet10t", "resnet18d")}),
        Categorical("resolution", (8, 48)),
        Categorical("dropout", (0.0, 0.3)),
        Categorical("drop_path", (0.0, 0.2)),
    ]
)
"""A space of ResNets; the strides of stems depend on the resolution."""
ARCHITECTURE: dict[str, Scalar] = {
    "stem_width": 8,
    "depth_2": 2,
    "depth_3": 1,
    "width_1": 8,
    "width_2": 16,
    "width_3": 32,
    "kernel": 5,
    "expansion": 3,
    "se": True,
}
CASES = (
    SHIPPED,
    Case("released", RELEASED, dict(SMALL.constants)),
    Case("resolutions", Space([*SMALL.space.parameters, Integer("resolution", 8, 24, 8)]), dict(SMALL.constants)),
    Case("resnets", CONDITIONAL),
    Case("fixed", Space([*MBCONV.space.fix(ARCHITECTURE).parameters, Categorical("drop_path", (0.0, 0.2))])),
)
LARGEST: dict[str, Scalar] = {
    **{f"k{stage}": 5 for stage in range(1, 8)},
    **dict.fromkeys(("e2a", "e3a", "e45a", "e6"), 5),
    **dict.fromkeys(("e2b", "e3b", "e45b"), 4),
    **dict(zip((f"c{stage}" for stage in range(8)), (16, 16, 24, 32, 48, 64, 96, 112), strict=True)),
    **dict(zip((f"n{stage}" for stage in range(1, 7)), (2, 3, 3, 3, 3, 3), strict=True)),
}


def network_of(case: Case = SHIPPED, dtype: torch.dtype = torch.float32) -> SharedNetwork:
    """Return a network with scales as after some training: residual branches and normalisations have an effect."""
    torch.manual_seed(0)
    return trained(shared_network(case.space, SHAPE, CLASSES, case.constants).to(dtype))


def trained(shared: SharedNetwork) -> SharedNetwork:
    for parameter in shared.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return shared


def images(count: int, dtype: torch.dtype = torch.float32, resolution: Scalar = 0) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape_at(SHAPE, resolution), generator=random).to(dtype)


def drawn(space: Space, count: int = 8) -> list[dict[str, Scalar]]:
    return [dict(one.values) for one in space.from_matrix(space.sample(count, np.random.default_rng(5)))]


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
class TestPathsAreTheNetworks:
    def test_in_training_with_dropout_and_stochastic_depth(self, case: Case) -> None:
        shared = network_of(case)
        for values in drawn(case.space, 6):
            network, batch = shared.extract(values), images(16, resolution=values.get("resolution", 0))
            shared.activate(values)
            torch.manual_seed(2)
            expected = network(batch)
            torch.manual_seed(2)
            torch.testing.assert_close(shared(batch), expected, rtol=0, atol=1e-6)

    def test_in_evaluation_after_recalibration(self, case: Case) -> None:
        shared = network_of(case).eval()
        for values in drawn(case.space, 6):
            batches = images(32, resolution=values.get("resolution", 0)).split(8)
            shared.activate(values)
            shared.recalibrate(batches)
            torch.testing.assert_close(shared(batches[0]), shared.extract(values)(batches[0]), rtol=0, atol=1e-6)

    def test_recalibrated_statistics_are_those_that_the_network_measures_by_itself(self, case: Case) -> None:
        shared = network_of(case, torch.float64)
        for values in drawn(case.space, 3):
            values = {**values, "drop_path": 0.0, "dropout": 0.0}
            batches = images(32, torch.float64, values.get("resolution", 0)).split(8)
            shared.activate(values)
            network = shared.extract(values).train()
            for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
                norm.momentum = None  # the mean over all batches
            with torch.no_grad():
                for batch in batches:
                    network(batch)
            shared.recalibrate(batches)
            shared.eval()
            torch.testing.assert_close(shared(batches[0]), network.eval()(batches[0]))
            shared.train()

    def test_gradients_of_the_active_part_are_those_of_the_network(self, case: Case) -> None:
        shared = network_of(case, torch.float64)
        values = {**drawn(case.space, 1)[0], "drop_path": 0.0, "dropout": 0.0}
        batch = images(16, torch.float64, values.get("resolution", 0))
        network = shared.extract(values)
        shared.activate(values)
        network(batch).square().sum().backward()
        leaves = {
            name: view.detach().requires_grad_()
            for name, view in shared.active().items()
            if not name.endswith(("running_mean", "running_var"))
        }
        loss = shared.logits(batch, leaves, regularised=True).square().sum()
        gradients = dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))
        expected = {name: parameter.grad for name, parameter in network.named_parameters()}
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected[name])

    def test_running_with_other_tensors_leaves_the_shared_ones_alone(self, case: Case) -> None:
        shared, values = network_of(case), drawn(case.space, 1)[0]
        shared.activate(values)
        before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
        shared.logits(images(8, resolution=values.get("resolution", 0)), shared.active(), regularised=True)
        assert all(torch.equal(tensor, before[name]) for name, tensor in shared.state_dict().items())

    def test_switching_allocates_nothing_and_the_active_part_is_made_of_views(self, case: Case) -> None:
        shared = network_of(case)
        owned = {tensor.untyped_storage().data_ptr() for tensor in shared.state_dict().values()}
        with _Operations() as operations:
            for values in drawn(case.space):
                shared.activate(values)
        assert operations.names == []
        assert {view.untyped_storage().data_ptr() for view in shared.active().values()} <= owned


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("case", "largest"),
    [
        (SHIPPED, LARGEST),
        (Case("resnets", CONDITIONAL), {"network": "resnet34d", "base_width": 24}),
        (Case("narrow", Space([Categorical("base_width", (8, 16))]), {"network": "resnet10t"}), {"base_width": 16}),
    ],
    ids=["small", "resnets", "narrow stem"],
)
def test_it_holds_no_more_than_its_largest_architecture(case: Case, largest: dict[str, Scalar]) -> None:
    weights = sum(parameter.numel() for parameter in network_of(case).parameters())
    network = build(complete({**case.constants, **largest}), SHAPE, CLASSES)
    assert weights == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("network", ["mbconv", "fbnetv3-small", "resnet18d"])
def test_any_network_is_shared_as_a_whole_where_it_is_fixed(network: str) -> None:
    space = Space([Categorical("dropout", (0.0, 0.3)), Categorical("drop_path", (0.0, 0.1, 0.2))])
    shared, batch = trained(FixedNetwork(space, SHAPE, CLASSES, {"network": network})), images(16)
    for values in drawn(space):
        shared.activate(values)
        alone = shared.extract(values)
        torch.manual_seed(2)
        expected = alone(batch)
        torch.manual_seed(2)
        torch.testing.assert_close(shared(batch), expected, rtol=0, atol=1e-6)


def test_residual_branches_start_as_zero_where_all_architectures_have_the_shortcut() -> None:
    resnets = shared_network(CONDITIONAL, SHAPE, CLASSES).active()
    scales = [weight for name, weight in resnets.items() if name.endswith("bn2.weight")]
    assert len(scales) == 16
    assert not any(scale.any() for scale in scales)
    rows = shared_network(Space([Integer("n2", 1, 3)]), SHAPE, CLASSES, SMALL.constants).active()
    of_second_stage = [rows[f"blocks.{number}.bn3.weight"] for number in (1, 2, 3)]
    assert [bool(scale.all()) for scale in of_second_stage] == [True, False, False]
    assert not any(scale.any() for scale in of_second_stage[1:])


def test_a_path_has_gradients_in_its_own_part_alone() -> None:
    shared = network_of()
    values = {**LARGEST, **{f"k{stage}": 3 for stage in range(1, 8)}, "n2": 1, "c5": 32, "e45b": 1}
    own = sum(parameter.numel() for parameter in shared.extract(values).parameters())
    shared.activate(values)
    shared(images(16)).square().sum().backward()
    with torch.no_grad():
        for parameter in shared.parameters():
            parameter.zero_()
        for name, view in shared.active().items():
            if not name.endswith(("running_mean", "running_var")):
                view.fill_(1.0)
    for parameter in shared.parameters():
        outside = parameter.grad[parameter == 0] if parameter.grad is not None else parameter[:0]
        assert not outside.any()
    assert sum(int(parameter.sum()) for parameter in shared.parameters()) == own


def test_evaluation_without_the_statistics_of_the_path_is_refused() -> None:
    shared = network_of().eval()
    first, second = drawn(SMALL.space, 2)
    shared.activate(first)
    shared.recalibrate([images(16)])
    shared.activate(second)
    with pytest.raises(Conflict, match="recalibrate"):
        shared(images(4))


@pytest.mark.parametrize("change", [{"c5": 72}, {"n3": 4}, {"k2": 7}, {"e6": 6}, {"c0": 24}, {"width_1": 8}])
def test_what_the_space_does_not_hold_is_refused(change: dict[str, Scalar]) -> None:
    with pytest.raises(InvalidInput):
        network_of().activate({**LARGEST, **change})

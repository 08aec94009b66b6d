"""A path of the supernet is the network of the same values by itself, in training and after recalibration."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from searchsvc.domain import Scalar
from searchsvc.errors import Conflict, InvalidInput
from searchsvc.spaces import Categorical, Integer, Space, catalogue
from workers.models import build
from workers.supernet import Supernet

SHAPE, CLASSES = (1, 8, 8), 10
SMALL = catalogue.find("fbnetv3-small")
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
"""Genes that the shipped space does not have, and channels that are rounded."""
LARGEST: dict[str, Scalar] = {
    **{f"k{stage}": 5 for stage in range(1, 8)},
    **dict.fromkeys(("e2a", "e3a", "e45a", "e6"), 5),
    **dict.fromkeys(("e2b", "e3b", "e45b"), 4),
    **dict(zip((f"c{stage}" for stage in range(8)), (16, 16, 24, 32, 48, 64, 96, 112), strict=True)),
    **dict(zip((f"n{stage}" for stage in range(1, 7)), (2, 3, 3, 3, 3, 3), strict=True)),
}


def supernet(space: Space = SMALL.space, dtype: torch.dtype = torch.float32) -> Supernet:
    """With scales as after some training: residual branches and normalisations that do something."""
    torch.manual_seed(0)
    made = Supernet(space, SHAPE, CLASSES, SMALL.constants).to(dtype)
    for parameter in made.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return made


def images(count: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(count, *SHAPE, generator=torch.Generator().manual_seed(1)).to(dtype)


def drawn(space: Space, count: int = 8) -> list[dict[str, Scalar]]:
    return [dict(one.values) for one in space.from_matrix(space.sample(count, np.random.default_rng(5)))]


@pytest.mark.parametrize("space", [SMALL.space, RELEASED], ids=["small", "released"])
class TestPathsAreTheNetworks:
    def test_in_training_with_dropout_and_stochastic_depth(self, space: Space) -> None:
        shared, batch = supernet(space), images(16)
        for values in drawn(space):
            network = shared.extract(values)
            shared.activate(values)
            torch.manual_seed(2)
            expected = network(batch)
            torch.manual_seed(2)
            torch.testing.assert_close(shared(batch), expected, rtol=0, atol=1e-6)

    def test_in_evaluation_after_recalibration(self, space: Space) -> None:
        shared, batches = supernet(space).eval(), images(32).split(8)
        for values in drawn(space):
            shared.activate(values)
            shared.recalibrate(batches)
            torch.testing.assert_close(shared(batches[0]), shared.extract(values)(batches[0]), rtol=0, atol=1e-6)

    def test_recalibrated_statistics_are_those_that_the_network_measures_by_itself(self, space: Space) -> None:
        shared, batches = supernet(space, torch.float64), images(32, torch.float64).split(8)
        for values in drawn(space, 3):
            values = {**values, "drop_path": 0.0, "dropout": 0.0}
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

    def test_gradients_of_the_active_part_are_those_of_the_network(self, space: Space) -> None:
        shared, batch = supernet(space, torch.float64), images(16, torch.float64)
        values = {**drawn(space, 1)[0], "drop_path": 0.0, "dropout": 0.0}
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


def test_it_holds_no_more_than_its_largest_architecture() -> None:
    weights = sum(parameter.numel() for parameter in supernet().parameters())
    largest = build({**SMALL.constants, **LARGEST}, SHAPE, CLASSES)
    assert weights == sum(parameter.numel() for parameter in largest.parameters())


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


def test_switching_allocates_nothing_and_the_active_part_is_made_of_views() -> None:
    shared = supernet()
    owned = {tensor.untyped_storage().data_ptr() for tensor in shared.state_dict().values()}
    with _Operations() as operations:
        for values in drawn(SMALL.space):
            shared.activate(values)
    assert operations.names == []
    assert {view.untyped_storage().data_ptr() for view in shared.active().values()} <= owned


def test_a_path_has_gradients_in_its_own_part_alone() -> None:
    shared = supernet()
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
    shared = supernet().eval()
    first, second = drawn(SMALL.space, 2)
    shared.activate(first)
    shared.recalibrate([images(16)])
    shared.activate(second)
    with pytest.raises(Conflict, match="recalibrate"):
        shared(images(4))


@pytest.mark.parametrize("change", [{"c5": 72}, {"n3": 4}, {"k2": 7}, {"e6": 6}, {"c0": 24}, {"width_1": 8}])
def test_what_the_space_does_not_hold_is_refused(change: dict[str, Scalar]) -> None:
    with pytest.raises(InvalidInput):
        supernet().activate({**LARGEST, **change})

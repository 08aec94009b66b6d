"""Gradients to the architecture: numbers do not change, and the masks lead from one option to another."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain import Scalar
from searchsvc.spaces import Categorical, Integer, Space, catalogue
from searchsvc.spaces.resnet import LAYERS
from searchsvc.spaces.sharing import options_of
from workers.supernet import SharedNetwork, shared_network

SHAPE, CLASSES = (1, 8, 8), 10
ROWS = Space(
    [
        Categorical("k2", (5, 3)),
        Integer("e3a", 2, 4),
        Integer("c2", 8, 24, 8),
        Categorical("c5", (64, 44, 32)),
        Categorical("c7", (96, 80)),
        Integer("n3", 1, 3),
        Categorical("k3", (3, 5)),
        Categorical("k3b", (0, 3, 5)),
        Categorical("trim4", (False, True)),
        Categorical("resolution", (8, 16)),
        Categorical("optimizer", ("sgd", "adamw")),
    ]
)
CONSTANTS: dict[str, Scalar] = {**catalogue.find("fbnetv3-small").constants, "c3": 32, "c4": 24, "c6": 72}
"""Stages differ in width for every option, since shortcuts stay those of the chosen architecture."""
RESNETS = Space(
    [Categorical("network", ("resnet18d", "resnet10t", "resnet34d")), Categorical("base_width", (8, 16, 24))]
)
CHOSEN: dict[str, Scalar] = {
    "k2": 5,
    "e3a": 4,
    "c2": 24,
    "c5": 64,
    "c7": 96,
    "n3": 3,
    "k3": 5,
    "k3b": 0,
    "trim4": False,
    "resolution": 8,
    "optimizer": "sgd",
}
DEEPEST: dict[str, Scalar] = {"network": "resnet34d", "base_width": 24}


def rows() -> SharedNetwork:
    return active(shared_network(ROWS, SHAPE, CLASSES, CONSTANTS), CHOSEN)


def resnets() -> SharedNetwork:
    return active(shared_network(RESNETS, SHAPE, CLASSES), DEEPEST)


def active(shared: SharedNetwork, values: Mapping[str, Scalar]) -> SharedNetwork:
    """Return the active tensors, with scales as after some training."""
    torch.manual_seed(0)
    for parameter in shared.double().parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    shared.activate(values)
    return shared


def images() -> Tensor:
    return torch.randn(12, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def one_hot(space: Space, gene: str, option: Scalar) -> Tensor:
    options = options_of(space[gene])
    return F.one_hot(torch.tensor(options.index(option)), len(options)).double()


def weights_of(shared: SharedNetwork) -> dict[str, Tensor]:
    return {name: tensor.detach() for name, tensor in shared.active().items() if "running" not in name}


@pytest.mark.parametrize(
    ("gene", "option"),
    [
        ("k2", 3),
        ("e3a", 3),
        ("e3a", 2),
        ("c2", 16),
        ("c2", 8),
        ("c5", 44),
        ("c5", 32),
        ("c7", 80),
        ("n3", 2),
        ("n3", 1),
        ("k3", 3),
        ("k3b", 3),
        ("network", "resnet18d"),
        ("network", "resnet10t"),
        ("base_width", 16),
        ("base_width", 8),
    ],
)
def test_masks_of_a_smaller_option_make_its_network_of_the_chosen_one(gene: str, option: Scalar) -> None:
    space, chosen = (ROWS, CHOSEN) if gene in CHOSEN else (RESNETS, DEEPEST)
    shared = rows() if gene in CHOSEN else resnets()
    weights, start = weights_of(shared), one_hot(space, gene, chosen[gene])
    direction = one_hot(space, gene, option) - start

    def gated(coefficients: Tensor) -> tuple[Tensor, ...]:
        return tuple(shared.gated(weights, {gene: coefficients}).values())

    at_start, slopes = torch.autograd.functional.jvp(gated, start, direction)
    sums = (tensor + slope for tensor, slope in zip(at_start, slopes, strict=True))  # masks are linear
    cut = dict(zip(weights, sums, strict=True))
    actual = shared.logits(images(), cut, regularised=False)
    before = shared.logits(images(), weights, regularised=False)
    shared.activate({**chosen, gene: option})
    expected = shared.logits(images(), shared.active(), regularised=False)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-9)
    assert (actual - before).abs().max() > 1e-3


def soft(names: Mapping[str, list[int]], weights: Mapping[str, Tensor], coefficients: Tensor) -> dict[str, Tensor]:
    """Return weights times masks: parts between the sizes of two options carry the sum of all options that have them.

    `names`: the size of a tensor for each option: its channels, or its kernel.
    """
    result = dict(weights)
    for name, sizes in names.items():
        weight, kernel = weights[name], weights[name].ndim == 4
        mask = torch.zeros_like(weight)
        for size, coefficient in zip(sizes, coefficients, strict=True):
            inside, margin = torch.zeros_like(weight), (weight.shape[-1] - size) // 2
            place = (..., slice(margin, margin + size), slice(margin, margin + size)) if kernel else slice(size)
            inside[place] = 1.0
            mask = mask + coefficient * inside
        result[name] = weight * mask
    return result


def sizes_by_hand(gene: str, weights: Mapping[str, Tensor]) -> dict[str, list[int]]:
    norms = [name for name, weight in weights.items() if weight.ndim == 1 and not name.startswith("fc")]
    if gene == "k2":
        return {f"blocks.{number}.conv_dw.weight": [5, 3] for number in (1, 2)}
    if gene == "n3":
        last = {f"blocks.{3 + number}.bn3": [32 * (number < depth) for depth in (1, 2, 3)] for number in range(3)}
        return {f"{name}.{part}": sizes for name, sizes in last.items() for part in ("weight", "bias")}
    if gene == "base_width":
        return {name: [len(weights[name]) * width // 24 for width in (8, 16, 24)] for name in norms}
    stem = {f"conv1.1.{part}": [12, 9, 12] for part in ("weight", "bias")}
    branches = {}
    for name in (one for one in norms if ".bn2." in one):
        stage, number = int(name[5]), int(name[7])
        depths = [LAYERS[network][stage - 1] for network in options_of(RESNETS["network"])]  # type: ignore[index]
        branches[name] = [len(weights[name]) * (number < depth) for depth in depths]
    return stem | branches


@pytest.mark.parametrize("gene", ["k2", "n3", "base_width", "network"])
def test_gradients_are_the_finite_differences_of_soft_masks(gene: str) -> None:
    space, chosen = (ROWS, CHOSEN) if gene in CHOSEN else (RESNETS, DEEPEST)
    shared = rows() if gene in CHOSEN else resnets()
    weights, start = weights_of(shared), one_hot(space, gene, chosen[gene]).requires_grad_()
    sizes, labels = sizes_by_hand(gene, weights), torch.arange(12) % CLASSES

    def loss(tensors: Mapping[str, Tensor]) -> Tensor:
        return F.cross_entropy(shared.logits(images(), tensors, regularised=False), labels)

    (gradient,) = torch.autograd.grad(loss(shared.gated(weights, {gene: start})), start)
    for option in range(len(start)):
        direction = F.one_hot(torch.tensor(option), len(start)) - start.detach()  # coefficients sum to 1
        above, below = (float(loss(soft(sizes, weights, start.detach() + h * direction))) for h in (1e-6, -1e-6))
        assert float(gradient @ direction) == pytest.approx((above - below) / 2e-6, rel=1e-5, abs=1e-8)


def test_the_numbers_stay_exactly_what_they_are() -> None:
    for shared, space, chosen in ((rows(), ROWS, CHOSEN), (resnets(), RESNETS, DEEPEST)):
        shared.float()
        weights, coefficients = weights_of(shared), {}
        for gene, option in chosen.items():
            hard = one_hot(space, gene, option).float()
            relaxed = torch.randn(len(hard), requires_grad=True).softmax(0)
            coefficients[gene] = hard + relaxed - relaxed.detach()  # 1 but for rounding
        gated = shared.gated(weights, coefficients)
        assert gated.keys() == weights.keys()
        assert all(torch.equal(gated[name], weight) for name, weight in weights.items())


def test_what_has_no_size_has_no_gradient() -> None:
    shared = rows()
    genes = {gene: one_hot(ROWS, gene, CHOSEN[gene]).requires_grad_() for gene in ("trim4", "resolution", "optimizer")}
    assert not any(tensor.requires_grad for tensor in shared.gated(weights_of(shared), genes).values())


def test_a_fixed_architecture_has_nothing_to_gate() -> None:
    space = Space([Categorical("ema", (True, False)), Categorical("kernel", (3,))])
    shared = shared_network(space, SHAPE, CLASSES)
    weights = weights_of(shared)
    gated = shared.gated(weights, {"ema": torch.tensor([1.0, 0.0]), "kernel": torch.tensor([1.0])})
    assert all(gated[name] is weight for name, weight in weights.items())

"""Functional steps equal those of the optimisers, and are differentiable."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from searchsvc.spaces.recipe import CLASSIFICATION
from workers.autohas.updates import UPDATES, Hyperparameters, stepped
from workers.training import optimizers
from workers.training.recipe import Recipe


@pytest.mark.parametrize("name", UPDATES)
def test_steps_are_those_of_the_optimiser_of_the_same_name(name: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)).double()
    recipe = Recipe.of({**CLASSIFICATION.defaults, "optimizer": name, "lr": 0.03, "weight_decay": 0.1, "momentum": 0.8})
    optimizer = optimizers.create(model, recipe)
    weights = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    firsts = UPDATES[name].slots
    slots = {name: {one: {slot: torch.full_like(w, f) for slot, f in firsts.items()} for one, w in weights.items()}}
    hyper = Hyperparameters({name: 1.0}, {name: 0.03}, 0.1, 0.8)
    inputs = torch.randn(5, 8, 4, dtype=torch.float64)
    for batch in inputs:
        optimizer.zero_grad()
        model(batch).square().sum().backward()
        gradients = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
        optimizer.step()
        weights, slots = stepped(weights, gradients, slots, hyper)
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(weights[key], parameter.detach())


@pytest.mark.parametrize("name", UPDATES)
def test_gradients_to_hyperparameters_agree_with_finite_differences(name: str) -> None:
    random = torch.Generator().manual_seed(1)
    weight, gradient = (torch.randn(3, 2, generator=random, dtype=torch.float64) for _ in range(2))
    slots = {name: {"w": {slot: torch.full_like(weight, 0.5) for slot in UPDATES[name].slots}}}

    def after(share: torch.Tensor, rate: torch.Tensor, decay: torch.Tensor, momentum: torch.Tensor) -> torch.Tensor:
        hyper = Hyperparameters({name: share}, {name: rate}, decay, momentum)
        return stepped({"w": weight}, {"w": gradient}, slots, hyper)[0]["w"]

    values = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (1.0, 0.03, 0.1, 0.8)]
    assert torch.autograd.gradcheck(after, values, atol=1e-6, rtol=1e-4)
    moved = after(*values)
    used = torch.autograd.grad(moved.sum(), values, allow_unused=True)
    assert [one is not None for one in used] == [True, True, True, name != "adamw"]

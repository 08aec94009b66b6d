"""Classifiers of every kind of network, not trained, but with statistics of a trained network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from searchsvc.domain import Fidelity, Objective, TrialTask
from searchsvc.spaces.networks import complete
from workers.models import Classifier, ModelCard, build
from workers.models.inputs import Inputs
from workers.models.networks import input_shape

FAMILIES: dict[str, dict[str, Any]] = {
    "mbconv": {"se": True, "kernel": 5, "expansion": 2.5, "depth_2": 1, "depth_3": 1, "width_3": 32, "resolution": 16},
    "resnet10t": {"network": "resnet10t", "base_width": 8},
    "fbnetv3-small": {"network": "fbnetv3-small", **{f"n{stage}": 1 for stage in (3, 4, 5, 6)}},
}
"""Values of a small network by the name of the network."""


def made(values: dict[str, Any], shape: tuple[int, int, int]) -> Classifier:
    """Return the network of the values, for images of `shape` and ten classes."""
    card = ModelCard(
        task="classification",
        dataset="digits",
        values=values,
        classes=tuple(f'class "{index}"' for index in range(10)),
        shape=shape,
        mean=(120.0,) * shape[0],
        std=(60.0,) * shape[0],
        step=1,
        metrics={"accuracy": 0.5},
    )
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(complete(values), shape, 10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=random)
            nn.init.uniform_(module.bias, -0.5, 0.5, generator=random)
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.2, 0.2, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
    network.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return Classifier(card, network, Inputs.of(card.mean, card.std, shape, input_shape(values, shape)))


def task_of(classifier: Classifier, directory: str = "", **fields: Any) -> TrialTask:
    """Return the task that would have trained the network."""
    return TrialTask(
        trial_id="trial",
        attempt=1,
        task="classification",
        dataset={"name": "digits"},
        values=classifier.card.values,
        fidelity=Fidelity(epochs=2),
        objective=Objective(metric="accuracy"),
        seed=3,
        directory=directory,
        **fields,
    )

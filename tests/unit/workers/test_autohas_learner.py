"""Looking one step ahead on a supernet: the step that training would make, of the candidate's part alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain import Candidate, Scalar
from searchsvc.errors import TrialFailed
from searchsvc.spaces import Basis, Categorical, Integer, Parameter, Space, catalogue
from searchsvc.spaces.networks import completed
from workers.autohas import Differentiable, Distributions, Draw, Reinforce, SupernetLearner
from workers.supernet import Supernet
from workers.training import optimizers
from workers.training.recipe import Recipe

CONSTANTS: dict[str, Scalar] = {**catalogue.find("fbnetv3-small").constants, "momentum": 0.8}
SPACE = Space(
    [
        Categorical("k2", (3, 5)),
        Integer("n3", 1, 3),
        Integer("c5", 32, 64, 8),
        Categorical("optimizer", ("rmsprop", "sgd", "adamw")),
        Basis("lr", (0.001, 0.003, 0.01)),
        Basis("weight_decay", (0.0, 0.01)),
        Basis("label_smoothing", (0.0, 0.2)),
    ]
)


def learner(dtype: torch.dtype = torch.float64) -> SupernetLearner:
    torch.manual_seed(0)
    supernet = Supernet(SPACE, (1, 8, 8), 10, CONSTANTS).to(dtype)
    for parameter in supernet.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return SupernetLearner(supernet, SPACE, CONSTANTS)


def batch(seed: int, count: int = 16) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 8, 8, generator=random, dtype=torch.float64)
    return images, torch.randint(0, 10, (count,), generator=random)


def draw_of(**values: Scalar) -> Draw:
    base: dict[str, Scalar] = {"k2": 3, "n3": 1, "c5": 40, "optimizer": "sgd", "lr": 0.004}
    return Draw(Candidate({**base, "weight_decay": 0.005, "label_smoothing": 0.1, **values}), {})


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd", "adamw"])
def test_steps_on_the_shared_weights_are_those_of_training_the_network_by_itself(optimizer: str) -> None:
    shared, draw = learner(), draw_of(optimizer=optimizer)
    values = completed({**CONSTANTS, **draw.candidate.values})
    network = shared.supernet.extract(draw.candidate.values)
    trained = optimizers.create(network, Recipe.of(values))
    for seed in range(3):
        images, labels = batch(seed)
        trained.zero_grad()
        loss = F.cross_entropy(network(images), labels, label_smoothing=0.1)
        loss.backward()
        trained.step()
        assert shared.train(draw, (images, labels)) == pytest.approx(float(loss.detach()))
    expected, weights = dict(network.named_parameters()), shared.shared(draw)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name].detach())


def test_looking_ahead_is_the_step_of_training_and_leaves_weights_and_slots_alone() -> None:
    shared, draw = learner(), draw_of(optimizer="rmsprop")
    shared.train(draw, batch(0))
    before = {name: tensor.clone() for name, tensor in shared.supernet.state_dict().items()}
    first, again = (shared.ahead(draw, batch(1)) for _ in range(2))
    assert all(torch.equal(one, again[name]) for name, one in first.items())
    assert all(torch.equal(one, before[name]) for name, one in shared.supernet.state_dict().items())
    shared.train(draw, batch(1))
    assert all(torch.equal(one, first[name]) for name, one in shared.shared(draw).items())


def test_the_rate_of_the_schedule_scales_the_step() -> None:
    shared, draw = learner(), draw_of(optimizer="sgd", lr=0.002)
    expected = shared.ahead(draw_of(optimizer="sgd", lr=0.004), batch(0))
    shared.rate_scale = 2.0
    moved = shared.ahead(draw, batch(0))
    torch.testing.assert_close(moved["classifier.weight"], expected["classifier.weight"])


@pytest.mark.parametrize("name", ["lr", "weight_decay", "label_smoothing"])
def test_gradients_through_the_step_agree_with_finite_differences(name: str) -> None:
    shared, draw = learner(), draw_of(k2=5)
    value = torch.tensor(draw.candidate.values[name], dtype=torch.float64, requires_grad=True)

    def loss(value: Tensor) -> Tensor:
        return shared.loss(draw, shared.ahead(draw, batch(0), {name: value}), batch(1))

    (gradient,) = torch.autograd.grad(loss(value), value)
    above, below = (float(loss(value.detach() + step)) for step in (1e-6, -1e-6))
    assert float(gradient) == pytest.approx((above - below) / 2e-6, rel=1e-4)


@pytest.mark.parametrize(
    ("variant", "rates"),
    [(Reinforce, Categorical("lr", (0.003, 3.0))), (Differentiable, Basis("lr", (0.003, 3.0)))],
    ids=["reinforce", "differentiable"],
)
def test_a_search_on_the_supernet_learns_that_a_rate_ruins_what_was_learnt(
    variant: type[Reinforce] | type[Differentiable], rates: Parameter
) -> None:
    space = Space([Categorical("n3", (1, 2)), rates, Categorical("optimizer", ("rmsprop",))])
    torch.manual_seed(0)
    shared = SupernetLearner(Supernet(space, (1, 8, 8), 10, CONSTANTS), space, CONSTANTS)
    random, order = torch.Generator().manual_seed(1), np.random.default_rng(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images[:, None] / 8.0 - 0.6, dtype=torch.float32), torch.tensor(digits.target)

    def some() -> tuple[Tensor, Tensor]:
        chosen = torch.tensor(order.choice(len(labels), 48, replace=False))
        return images[chosen], labels[chosen]

    for _ in range(12):
        shared.train(draw_of(n3=1, optimizer="rmsprop", lr=0.003), some())
    controller = variant(Distributions(space), steps=6, samples=2, learning_rate=0.3, frozen_share=0.0)
    for _ in range(6):
        controller.step(shared, some(), some(), random)
    assert controller.distributions.by_name()["lr"].softmax(0)[0] > 0.7  # from 0.5


def test_a_step_that_ruins_the_shared_weights_is_a_failure() -> None:
    shared = learner()
    with torch.no_grad():
        shared.supernet.widest.classifier.bias.fill_(float("nan"))
    with pytest.raises(TrialFailed, match="shared weights became nan"):
        shared.train(draw_of(), batch(0))

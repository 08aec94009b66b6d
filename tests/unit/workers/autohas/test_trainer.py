"""Looking one step ahead on a supernet: the step equals that of training, for the candidate's part alone."""

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
from searchsvc.spaces.networks import complete
from workers.autohas import Differentiable, Draw, ParameterDistributions, Reinforce, SupernetTrainer
from workers.autohas.classification import ClassificationLosses, ImageBatch
from workers.data.dataset import Dataset, Split
from workers.supernet import shared_network
from workers.training import optimizers
from workers.training.classification.augment import Augmentation, mixup, smoothed
from workers.training.ema import WeightAverage
from workers.training.recipe import ClassifierRecipe, Recipe
from workers.training.seeds import generator, torch_seeded

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


def losses_of_noise() -> ClassificationLosses:
    """Losses on images that need no normalisation."""
    split = Split(np.zeros((10, 1, 8, 8), np.uint8), np.arange(10))
    return ClassificationLosses(
        Dataset("noise", tuple("0123456789"), split, split, split, (0.0,), (1.0,), 255), torch.device("cpu")
    )


def supernet_trainer(space: Space = SPACE, **constants: Scalar) -> SupernetTrainer:
    torch.manual_seed(0)
    values = {**CONSTANTS, **constants}
    supernet = shared_network(space, (1, 8, 8), 10, values).double()
    for parameter in supernet.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return SupernetTrainer(supernet, space, losses_of_noise(), values)


def batch(seed: int, count: int = 16) -> ImageBatch:
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 8, 8, generator=random, dtype=torch.float64)
    return ImageBatch(images, torch.randint(0, 10, (count,), generator=random), seed)


def draw_of(**values: Scalar) -> Draw:
    base: dict[str, Scalar] = {"k2": 3, "n3": 1, "c5": 40, "optimizer": "sgd", "lr": 0.004}
    return Draw(Candidate({**base, "weight_decay": 0.005, "label_smoothing": 0.1, **values}), {})


@pytest.mark.parametrize("optimizer", ["rmsprop", "sgd", "adamw"])
def test_steps_on_the_shared_weights_are_those_of_training_the_network_by_itself(optimizer: str) -> None:
    trainer, draw = supernet_trainer(), draw_of(optimizer=optimizer)
    values = complete({**CONSTANTS, **draw.candidate.values})
    network = trainer.network.extract(draw.candidate.values)
    trained = optimizers.create(network, Recipe.of(values))
    for seed in range(3):
        trained.zero_grad()
        loss = F.cross_entropy(network(batch(seed).images), batch(seed).labels, label_smoothing=0.1)
        loss.backward()
        trained.step()
        assert trainer.train(draw, batch(seed)) == pytest.approx(float(loss.detach()))
    expected, weights = dict(network.named_parameters()), trainer.shared_weights(draw)
    assert weights.keys() == expected.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name].detach())


def test_looking_ahead_is_the_step_of_training_and_leaves_weights_and_slots_alone() -> None:
    trainer, draw = supernet_trainer(), draw_of(optimizer="rmsprop")
    trainer.train(draw, batch(0))
    before = trainer.flat_state.clone()
    first, again = (trainer.look_ahead(draw, batch(1)) for _ in range(2))
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert torch.equal(trainer.flat_state, before)
    trainer.train(draw, batch(1))
    assert all(torch.equal(weight, first[name]) for name, weight in trainer.shared_weights(draw).items())


def test_the_rate_of_the_schedule_scales_the_step() -> None:
    trainer, draw = supernet_trainer(), draw_of(optimizer="sgd", lr=0.002)
    expected = trainer.look_ahead(draw_of(optimizer="sgd", lr=0.004), batch(0))
    trainer.rate_scale = 2.0
    moved = trainer.look_ahead(draw, batch(0))
    torch.testing.assert_close(moved["classifier.weight"], expected["classifier.weight"])


@pytest.mark.parametrize("name", ["lr", "weight_decay", "label_smoothing"])
def test_gradients_through_the_step_agree_with_finite_differences(name: str) -> None:
    trainer, draw = supernet_trainer(), draw_of(k2=5)
    value = torch.tensor(draw.candidate.values[name], dtype=torch.float64, requires_grad=True)

    def loss(value: Tensor) -> Tensor:
        return trainer.validation_loss(draw, trainer.look_ahead(draw, batch(0), {name: value}), batch(1))

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
    trainer = SupernetTrainer(shared_network(space, (1, 8, 8), 10, CONSTANTS), space, losses_of_noise(), CONSTANTS)
    random, order = torch.Generator().manual_seed(1), np.random.default_rng(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images[:, None] / 8.0 - 0.6, dtype=torch.float32), torch.tensor(digits.target)

    def some() -> ImageBatch:
        chosen = torch.tensor(order.choice(len(labels), 48, replace=False))
        return ImageBatch(images[chosen], labels[chosen])

    for _ in range(32):
        trainer.train(draw_of(n3=1, optimizer="rmsprop", lr=0.003), some())
    controller = variant(ParameterDistributions(space), steps=6, samples=3, learning_rate=0.3, frozen_share=0.0)
    for _ in range(6):
        controller.step(trainer, some(), some(), random)
    assert controller.distributions.by_name()["lr"].softmax(0)[0] > 0.7  # from 0.5


def test_a_step_that_is_not_finite_changes_nothing_and_many_in_a_row_are_a_failure() -> None:
    trainer = supernet_trainer()
    ruined = ImageBatch(torch.full((2, 1, 8, 8), float("nan"), dtype=torch.float64), batch(0, 2).labels)
    trainer.train(draw_of(optimizer="rmsprop"), batch(0))
    before = trainer.flat_state.clone()
    assert [trainer.train(draw_of(optimizer="rmsprop"), ruined) for _ in range(2)] == [None, None]
    assert torch.equal(trainer.flat_state, before)
    assert trainer.state()["counts"] == (1, 2, 2)
    trainer.train(draw_of(optimizer="rmsprop"), batch(0))
    assert trainer.state()["counts"] == (2, 2, 0)
    trainer.restore({"memory": before, "counts": (9, 120, 99)})
    with pytest.raises(TrialFailed, match="100 steps of the shared weights in a row"):
        trainer.train(draw_of(), ruined)


def test_a_rate_that_leads_beyond_all_numbers_changes_nothing_and_has_no_reward() -> None:
    trainer, ruinous = supernet_trainer(), draw_of(lr=100.0, optimizer="sgd")
    trainer.rate_scale = 1e306
    before = trainer.flat_state.clone()
    assert trainer.train(ruinous, batch(0)) is None
    assert torch.equal(trainer.flat_state, before)
    assert trainer.reward(ruinous, trainer.look_ahead(ruinous, batch(0)), batch(1)) == 0.0


def test_a_step_follows_the_whole_recipe() -> None:
    """Check mixup, smoothing, shift, flip, a smaller batch, dropout, stochastic depth and the weight average."""
    recipe: dict[str, Scalar] = {"mixup": 0.4, "shift": 0.2, "flip": True, "batch_size": 8, "dropout": 0.3}
    space = Space([*SPACE.parameters, Categorical("ema", (True, False)), Categorical("batch_size", (8, 16))])
    trainer = supernet_trainer(space, **recipe, drop_path=0.2, ema_decay=0.7)
    draw = draw_of(optimizer="sgd", ema=True, batch_size=8)
    values = complete({**CONSTANTS, **recipe, "drop_path": 0.2, "ema_decay": 0.7, **draw.candidate.values})
    network, parsed = trainer.network.extract(values), ClassifierRecipe.of(values)
    trained, average = optimizers.create(network, parsed), WeightAverage(network, 0.7)
    for seed in range(4):
        random, labels = generator(seed, 0), batch(seed).labels[:8]
        images = Augmentation.of(parsed, 255)(batch(seed).images[:8], random)
        weight = float(random.beta(0.4, 0.4))
        images, targets = mixup(images, smoothed(labels, 10, 0.1, torch.float64), weight)
        trained.zero_grad()
        with torch_seeded(seed, 0, torch.device("cpu")):
            F.cross_entropy(network(images), targets).backward()
        trained.step()
        average.update(seed + 1)
        ahead = trainer.look_ahead(draw, batch(seed))
        trainer.train(draw, batch(seed))
    expected = dict(average.module.named_parameters())
    for name, weight in trainer.shared_weights(draw).items():
        torch.testing.assert_close(weight, expected[name])
        torch.testing.assert_close(ahead[name], expected[name])
    raw = dict(network.named_parameters())
    torch.testing.assert_close(
        trainer.shared_weights(draw_of(optimizer="sgd", ema=False))["classifier.weight"],
        raw["classifier.weight"].detach(),
    )


def test_a_restored_learner_goes_on_as_if_it_had_not_been_stopped() -> None:
    draws = [draw_of(optimizer=optimizer) for optimizer in ("adamw", "sgd", "rmsprop", "adamw")]
    whole, resumed = supernet_trainer(), supernet_trainer()
    for seed, draw in enumerate(draws[:2]):
        whole.train(draw, batch(seed))
    resumed.restore(whole.state())
    for seed, draw in enumerate(draws[2:]):
        assert whole.train(draw, batch(seed)) == resumed.train(draw, batch(seed))
    assert torch.equal(whole.flat_state, resumed.flat_state)


def test_all_that_is_shared_is_part_of_one_tensor() -> None:
    trainer = supernet_trainer()
    count = sum(weight.numel() for weight in trainer.network.widest.parameters())
    assert trainer.flat_state.shape == (7 * count,)  # weights, and the slots of rmsprop, sgd and adamw
    trainer.flat_state.zero_()
    assert not any(weight.any() for weight in trainer.network.widest.parameters())


def test_candidates_see_images_at_their_own_resolution() -> None:
    space = Space([*SPACE.parameters, Categorical("resolution", (8, 16))])
    trainer = SupernetTrainer(
        shared_network(space, (1, 8, 8), 10, CONSTANTS).double(), space, losses_of_noise(), CONSTANTS
    )
    images = ImageBatch(torch.randint(0, 255, (16, 1, 8, 8), dtype=torch.uint8), batch(0).labels)
    seen = [losses_of_noise().validation(images, {"resolution": side}) for side in (8, 16, 8)]
    assert [one.shape[2] for one in seen] == [8, 16, 8]
    assert seen[2] is seen[0]
    weights = trainer.shared_weights(draw_of(resolution=16))
    assert trainer.network.logits(seen[1].double(), weights, regularised=False).shape == (16, 10)


def test_gradients_reach_the_architecture_and_the_recipe_but_not_what_a_step_cannot_be_differentiated_by() -> None:
    space = Space([*SPACE.parameters, Basis("mixup", (0.1, 0.4))])
    trainer, made = supernet_trainer(space), ParameterDistributions(space)
    controller = Differentiable(made, steps=1, samples=6, frozen_share=0.0)
    controller.step(trainer, batch(0), batch(1), torch.Generator().manual_seed(0))
    moved = {name: bool(logits.any()) for name, logits in made.by_name().items()}
    assert moved == {**dict.fromkeys(space.names, True), "mixup": False}

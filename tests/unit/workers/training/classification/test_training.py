"""The training loop: augmentation, averages, schedule, and the same bits every time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from timm.optim import RMSpropTF
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain import FailureKind, TrialState, TrialTask
from searchsvc.errors import TrialFailed
from searchsvc.spaces.networks import complete
from searchsvc.spaces.recipe import CLASSIFICATION
from workers.data import classification as data
from workers.models import load
from workers.models.blocks.dnl import OfficialDisentangledNonLocal
from workers.training import optimizers
from workers.training.checkpoint import Checkpoints
from workers.training.classification.augment import flip, mixup, shift, smoothed
from workers.training.classification.run import train as train_task
from workers.training.classification.splits import on_device
from workers.training.classification.trainer import Trainer, untrained
from workers.training.ema import WeightAverage, decay_at
from workers.training.recipe import Recipe
from workers.training.seeds import torch_seeded
from workers.trials.run_trial import TrialRun

CPU = torch.device("cpu")

RECIPES = [
    {"optimizer": "sgd", "momentum": 0.9, "mixup": 0.2, "label_smoothing": 0.1},
    {"optimizer": "sgd", "momentum": 0.0, "dropout": 0.3, "kernel": 5},
    {"optimizer": "rmsprop", "lr": 0.003, "ema": True, "ema_decay": 0.9, "se": True, "expansion": 2},
    {"optimizer": "adamw", "lr": 0.003, "ema": True, "mixup": 0.2, "shift": 0.125, "flip": True, "dropout": 0.1},
    {
        "optimizer": "rmsprop",
        "lr": 0.003,
        "randaugment": 5.0,
        "resolution": 12,
        "drop_path": 0.2,
        "label_smoothing": 0.1,
        "lr_decay": 0.9,
        "warmup_epochs": 0.5,
    },
]


def weights(task: TrialTask) -> dict[str, torch.Tensor]:
    return load_file(Path(task.directory) / "model.safetensors")


def assert_same_weights(task: TrialTask, other: TrialTask) -> None:
    first, second = weights(task), weights(other)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


# ---- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", RECIPES, ids=lambda v: v["optimizer"])
def test_two_runs_give_the_same_measurements_and_weights(make_task: Any, train: Any, values: dict[str, Any]) -> None:
    first, second = make_task("one", values), make_task("other", values)
    assert train(first).metrics == train(second).metrics
    assert_same_weights(first, second)


@pytest.mark.parametrize("values", RECIPES, ids=lambda v: v["optimizer"])
def test_a_trial_closed_after_any_epoch_goes_on_to_the_same_bits(
    make_task: Any, train: Any, values: dict[str, Any]
) -> None:
    whole = make_task("whole", values, epochs=4)
    expected = train(whole).metrics
    for done in (1, 2, 3):
        task = make_task(f"closed-{done}", values, epochs=4)
        run = TrialRun(task)
        before = [dict(next(run).metrics) for _ in range(done)]
        run.close()
        assert run.outcome().state is TrialState.CANCELLED
        after = train(replace(task, attempt=2, stored_step=done)).metrics
        assert before + after == expected
        assert_same_weights(whole, task)


def test_another_seed_gives_another_result(make_task: Any, train: Any) -> None:
    assert train(make_task("one", seed=1)).metrics != train(make_task("other", seed=2)).metrics


def test_random_numbers_drawn_by_others_change_nothing(make_task: Any, train: Any) -> None:
    values = {"dropout": 0.3, "mixup": 0.3}
    expected = train(make_task("one", values)).metrics
    got = []
    for measurement in TrialRun(make_task("other", values)):
        torch.manual_seed(len(got))
        np.random.seed(len(got))  # noqa: NPY002 - the global generator is what must not matter
        got.append(dict(measurement.metrics))
    assert got == expected


def test_training_leaves_the_global_generator_as_it_was(make_task: Any, train: Any) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(make_task(values={"dropout": 0.3}, epochs=1))
    assert torch.equal(torch.rand(3), expected)


# ---- what is trained on ----------------------------------------------------------------------------------------------


def test_a_trial_learns(make_task: Any, train: Any) -> None:
    trained = train(make_task(epochs=6, data_fraction=1.0))
    assert trained.metrics[-1]["accuracy"] > 0.9
    assert trained.metrics[-1]["train_loss"] < trained.metrics[0]["train_loss"]
    assert [one.step for one in trained.measurements] == [1, 2, 3, 4, 5, 6]


def test_a_trial_learns_mnist(make_task: Any, train: Any, shared: Path) -> None:
    section = {"name": "mnist", "format": "npz", "path": str(shared / "data/classification/mnist.npz")}
    task = make_task(dataset=section, data_fraction=0.1, epochs=3, values={"lr": 0.1})
    assert train(task).metrics[-1]["accuracy"] > 0.8


def test_a_trial_learns_photographs_in_class_folders(make_task: Any, train: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, color in (("red", (200, 40, 40)), ("blue", (40, 40, 200))):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(40):
            pixels = np.clip(np.array(color) + random.normal(0, 60, (20, 30, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    section = {"name": "colours", "format": "imagefolder", "path": str(tmp_path / "images"), "size": 24}
    task = make_task(dataset=section, data_fraction=1.0, epochs=5, values={"batch_size": 8, "flip": True, "shift": 0.1})
    assert train(task).metrics[-1]["accuracy"] == 1.0
    assert set(load(Path(task.directory) / "model.safetensors").predict(np.zeros((1, 24, 24, 3), np.uint8))) < {
        "red",
        "blue",
    }


def test_weights_do_not_depend_on_validation_or_test_images(make_task: Any, train: Any, tmp_path: Path) -> None:
    digits = data.load({"name": "digits"})
    parts = (digits.train, digits.validation, digits.test)
    held_out = {image.tobytes() for part in parts[1:] for image in part.images}
    images, labels = load_digits().images.astype(np.uint8), load_digits().target
    changed = images.copy()
    unseen = np.array([image.tobytes() in held_out for image in images])
    changed[unseen] = 16 - changed[unseen]
    tasks = []
    for name, content in (("as-is", images), ("changed", changed)):
        np.savez(tmp_path / f"{name}.npz", x_train=content, y_train=labels)
        section = {"name": "digits", "format": "npz", "path": str(tmp_path / f"{name}.npz")}
        tasks.append(make_task(name, dataset=section, epochs=1))
        train(tasks[-1])
    assert unseen.sum() == len(digits.validation) + len(digits.test)
    assert_same_weights(*tasks)


def test_measurements_are_those_of_the_validation_split_alone(make_task: Any, train: Any) -> None:
    task = make_task(epochs=1)
    measured = train(task).metrics[0]
    validation = data.load(task.dataset).validation
    right = load(Path(task.directory) / "model.safetensors").predict(validation.images[:, 0])
    assert measured["accuracy"] == pytest.approx(np.mean([int(name) for name in right] == validation.labels))


def test_the_data_fraction_is_what_is_trained_on() -> None:
    digits = data.load({"name": "digits"})
    part = on_device(digits.subset(0.1), CPU, 1)
    values = complete({"batch_size": 10})
    trainer = Trainer(untrained(values, digits, 0), values, part, digits, epochs=1, seed=0, device=CPU)
    trainer.train_epoch(1)
    assert trainer.state()["step"] == -(-len(part) // 10)


# ---- failures --------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_ends_the_trial_as_diverged(make_task: Any) -> None:
    training = train_task(make_task(values={"lr": 100.0, "momentum": 0.99, "expansion": 4}, epochs=8))
    with pytest.raises(TrialFailed) as caught:
        list(training)
    assert caught.value.kind is FailureKind.DIVERGED


def test_a_trial_over_its_time_ends_within_the_epoch(make_task: Any) -> None:
    seconds = iter(range(10_000))
    training = train_task(make_task(trial_seconds=3.0, values={"batch_size": 2}), clock=lambda: float(next(seconds)))
    with pytest.raises(TrialFailed) as caught:
        next(training)
    assert caught.value.kind is FailureKind.TIMED_OUT


# ---- augmentation ----------------------------------------------------------------------------------------------------


def test_mixup_equals_the_reference(shared: Path) -> None:
    golden = np.load(shared / "golden" / "mixup_timm.npz")
    images, labels, weight = (torch.from_numpy(golden[f"batch_mixup.{n}"]) for n in ("x", "target", "lam_drawn"))
    mixed, targets = mixup(images, smoothed(labels, 5, 0.1, torch.float64), float(weight))
    torch.testing.assert_close(mixed, torch.from_numpy(golden["batch_mixup.x_out"]), rtol=0, atol=1e-9)
    torch.testing.assert_close(targets, torch.from_numpy(golden["batch_mixup.target_out"]), rtol=0, atol=1e-9)


def test_a_mixup_weight_of_one_changes_nothing() -> None:
    images, targets = torch.rand(4, 1, 8, 8), torch.rand(4, 3)
    assert mixup(images, targets, 1.0)[0] is images


def test_each_image_is_shifted_by_whole_px_within_its_share() -> None:
    images = torch.arange(64.0).view(1, 1, 8, 8).repeat(50, 2, 1, 1)
    moved = shift(images, 0.125, np.random.default_rng(0))
    assert moved.shape == images.shape
    middles = {int(one[0, 4, 4]) for one in moved}  # pixel (row, column) holds 8 row + column
    assert middles == {8 * row + column for row in (3, 4, 5) for column in (3, 4, 5)}
    assert torch.equal(moved[:, 0], moved[:, 1])


def test_about_half_of_the_images_are_mirrored() -> None:
    images = torch.rand(1000, 1, 2, 2)
    mirrored = (flip(images, np.random.default_rng(0)) != images).flatten(1).any(1)
    assert 450 < int(mirrored.sum()) < 550
    assert torch.equal(flip(images, np.random.default_rng(0))[mirrored], images[mirrored].flip(3))


def test_smoothed_targets_sum_to_one() -> None:
    targets = smoothed(torch.tensor([1, 0]), 4, 0.2)
    torch.testing.assert_close(targets, torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.85, 0.05, 0.05, 0.05]]))


# ---- averages of weights ---------------------------------------------------------------------------------------------


def test_the_average_of_weights_equals_the_reference(shared: Path) -> None:
    golden = np.load(shared / "golden" / "ema.npz")
    model = nn.Linear(3, 2, bias=False, dtype=torch.float64)
    model.weight.data = torch.from_numpy(golden["traj_weights"][0])
    average = WeightAverage(model, 0.9)
    for step in range(1, 9):
        model.weight.data.copy_(torch.from_numpy(golden["traj_weights"][step]))
        average.update(step)
        expected = torch.from_numpy(golden["traj_warm"][step - 1])
        torch.testing.assert_close(average.module.weight.data, expected, rtol=0, atol=1e-9)


def test_the_decay_equals_the_reference(shared: Path) -> None:
    golden = np.load(shared / "golden" / "ema.npz")
    steps, expected = golden["steps"], golden["timm_v3_warm_p23_decay"]
    has_begun = steps >= 1
    assert [decay_at(int(step), 0.9998) for step in steps[has_begun]] == pytest.approx(expected[has_begun], abs=1e-9)


def test_the_average_follows_statistics_and_counts_of_normalisation() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.5)
    for step in (1, 2):
        model(torch.full((4, 2), 8.0 * step) + torch.randn(4, 2, generator=torch.Generator().manual_seed(step)))
        average.update(step)
    copy = average.module
    assert isinstance(copy, nn.BatchNorm1d)
    assert copy.running_mean is not None
    assert model.running_mean is not None
    assert 0 < copy.running_mean[0] < model.running_mean[0]
    assert copy.num_batches_tracked == 2


# ---- optimisers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_only_weights_decay(name: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    made = optimizers.create(model, Recipe.of({**CLASSIFICATION.defaults, "optimizer": name, "weight_decay": 0.1}))
    decays = {id(parameter): group["weight_decay"] for group in made.param_groups for parameter in group["params"]}
    assert [decays[id(parameter)] for parameter in model.parameters()] == [0.1, 0.0, 0.0, 0.0]


def test_weights_that_a_module_spares_do_not_decay() -> None:
    model = nn.Sequential(nn.Conv2d(1, 8, 3), OfficialDisentangledNonLocal(8))
    made = optimizers.create(model, Recipe.of({**CLASSIFICATION.defaults, "weight_decay": 0.1}))
    decaying = {id(one) for group in made.param_groups if group["weight_decay"] for one in group["params"]}
    named = [name for name, one in model.named_parameters() if id(one) in decaying]
    assert named == ["0.weight", "1.conv_value.weight", "1.conv_mask.weight"]
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(model.parameters()))


def _gradients(step: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(step)
    return [torch.randn(shape, generator=generator) for shape in ((4, 3), (4,))]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_is_that_of_tensorflow(momentum: float) -> None:
    """Compare with the formula in float64.

    Epsilon stands inside the root, the average starts at 1, the rate is in the buffer.
    """
    model = nn.Linear(3, 4)
    values = {"optimizer": "rmsprop", "lr": 0.02, "momentum": momentum, "weight_decay": 0.01}
    optimizer = optimizers.create(model, Recipe.of({**CLASSIFICATION.defaults, **values}))
    weights = [one.detach().double() for one in model.parameters()]
    averages, buffers = [torch.ones_like(one) for one in weights], [torch.zeros_like(one) for one in weights]
    for step in range(5):
        rate = 0.02 / (step + 1)
        optimizers.set_learning_rate(optimizer, rate)
        for index, (parameter, gradient) in enumerate(zip(model.parameters(), _gradients(step), strict=True)):
            parameter.grad = gradient.clone()
            g = gradient.double() + (0.01 * weights[index] if gradient.ndim > 1 else 0.0)
            averages[index] = 0.9 * averages[index] + 0.1 * g * g
            buffers[index] = momentum * buffers[index] + rate * g / (averages[index] + 1e-3).sqrt()
            weights[index] = weights[index] - buffers[index]
        optimizer.step()
    for parameter, expected in zip(model.parameters(), weights, strict=True):
        torch.testing.assert_close(parameter.detach().double(), expected, rtol=1e-6, atol=1e-6)


def test_the_optimiser_over_lists_of_tensors_steps_as_one_tensor_after_the_other() -> None:
    model, other = nn.Linear(3, 4), nn.Linear(3, 4)
    other.load_state_dict(model.state_dict())
    ours = optimizers.create(
        model, Recipe.of({**CLASSIFICATION.defaults, "optimizer": "rmsprop", "lr": 0.02, "weight_decay": 0.0})
    )
    reference = RMSpropTF(other.parameters(), 0.02, alpha=0.9, eps=1e-3, momentum=0.9, foreach=False)
    for step in range(5):
        for network in (model, other):
            for parameter, gradient in zip(network.parameters(), _gradients(step), strict=True):
                parameter.grad = gradient.clone()
        ours.step()
        reference.step()
    for parameter, expected in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-6, atol=1e-6)


def test_smoothing_in_the_kernel_of_the_loss_is_that_of_smoothed_targets() -> None:
    logits, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 4, 0])
    inside = F.cross_entropy(logits, labels, label_smoothing=0.1)
    torch.testing.assert_close(inside, F.cross_entropy(logits, smoothed(labels, 5, 0.1)))


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def save(directory: Path, state: dict[str, Any]) -> None:
    Checkpoints(directory).save(state, 1, {})


def load_state(directory: Path) -> dict[str, Any] | None:
    return Checkpoints(directory).load(torch.device("cpu"))


def test_a_checkpoint_reads_as_it_was_written(tmp_path: Path) -> None:
    save(tmp_path, {"a": torch.arange(3), "b": [1, "x", None]})
    loaded = load_state(tmp_path)
    assert loaded is not None
    assert torch.equal(loaded["a"], torch.arange(3))
    assert loaded["b"] == [1, "x", None]
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


@pytest.mark.parametrize("cut", [0, 10, 500, -1])
def test_a_checkpoint_that_ends_early_reads_as_none(tmp_path: Path, cut: int) -> None:
    save(tmp_path, {"a": torch.arange(300)})
    file = tmp_path / "last.pt"
    file.write_bytes(file.read_bytes()[:cut])
    assert load_state(tmp_path) is None


def test_a_checkpoint_whose_bytes_have_changed_reads_as_none(tmp_path: Path) -> None:
    save(tmp_path, {"a": torch.arange(300)})
    content = bytearray((tmp_path / "last.pt").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "last.pt").write_bytes(content)
    assert load_state(tmp_path) is None


def test_seeded_numbers_follow_from_seed_and_epoch() -> None:
    def draw(seed: int, epoch: int) -> torch.Tensor:
        with torch_seeded(seed, epoch, torch.device("cpu")):
            return torch.rand(4)

    assert torch.equal(draw(1, 2), draw(1, 2))
    assert not torch.equal(draw(1, 2), draw(2, 1))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("values", RECIPES, ids=lambda v: v["optimizer"])
def test_a_trial_learns_and_resumes_on_a_gpu(make_task: Any, train: Any, values: dict[str, Any]) -> None:
    task = make_task(values=values, device="cuda", epochs=8, data_fraction=1.0)
    run = TrialRun(task)
    next(run)
    run.close()
    trained = train(replace(task, attempt=2, stored_step=1))
    assert [one.step for one in trained.measurements] == [2, 3, 4, 5, 6, 7, 8]
    assert trained.metrics[-1]["accuracy"] > 0.6

"""Mixed precision: float32 on the CPU, a scaled loss trains like an unscaled loss, an overflowing step is skipped."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from searchsvc.domain import TrialTask
from searchsvc.spaces.networks import complete
from workers.training.optimisation import Optimisation
from workers.training.precision import Precision
from workers.training.recipe import Recipe
from workers.trials.run_trial import TrialRun

CPU = torch.device("cpu")


def trained(precision: Precision, factors: list[float], clip_norm: float = 0.0) -> torch.Tensor:
    """Return a weight of 1 after one step of SGD per factor; the loss is factor times weight."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.ones_(model.weight)
    optimizer = torch.optim.SGD(model.parameters(), 0.125)
    for factor in factors:
        precision.step(factor * model.weight.sum(), optimizer, clip_norm=clip_norm)
    return model.weight.detach().flatten()


def test_the_cpu_computes_in_float32() -> None:
    precision = Precision.of(CPU)
    with precision.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
    assert precision.state() == {}
    assert trained(precision, [2.0, 2.0]).tolist() == [0.5]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_products_are_computed_in_the_type(dtype: torch.dtype) -> None:
    with Precision(CPU, dtype).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is dtype


def test_a_scaled_loss_gives_the_same_step() -> None:
    precision = Precision(CPU, torch.float16)
    assert precision.state()["scale"] > 1.0
    assert trained(precision, [2.0, 2.0]).tolist() == [0.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_gradient_above_the_largest_norm_is_scaled_down_to_it(dtype: torch.dtype) -> None:
    assert trained(Precision(CPU, dtype), [4.0, 1.0], clip_norm=2.0).tolist() == pytest.approx([0.625], abs=1e-6)


@pytest.mark.parametrize("task", ["classification", "detection"])
def test_the_norm_is_a_part_of_the_recipe_of_every_task(task: str) -> None:
    recipe = Recipe.of(complete({"lr": 1.0, "momentum": 0.0, "weight_decay": 0.0, "clip_norm": 0.5}, task))
    model = nn.Linear(4, 4)
    before = [one.detach().clone() for one in model.parameters()]
    Optimisation(model, recipe, images=1, epochs=1, device=CPU).step(100.0 * model(torch.ones(1, 4)).sum())
    moved = [one.detach() - old for one, old in zip(model.parameters(), before, strict=True)]
    assert float(torch.cat([one.flatten() for one in moved]).norm()) == pytest.approx(0.5, rel=1e-4)


def test_a_step_whose_gradients_overflow_is_left_out_and_the_scale_halved() -> None:
    precision = Precision(CPU, torch.float16)
    before = precision.state()["scale"]
    assert trained(precision, [float("inf"), 2.0]).tolist() == [0.75]
    assert precision.state()["scale"] == before / 2


def test_the_scale_is_part_of_what_a_checkpoint_keeps() -> None:
    precision, other = Precision(CPU, torch.float16), Precision(CPU, torch.float16)
    trained(precision, [float("inf")])
    other.restore(precision.state())
    assert other.state() == precision.state()


def test_a_compiled_trial_on_a_cpu_is_the_same_as_any_other(make_task: Any, train: Any) -> None:
    assert train(make_task("one", epochs=1)).metrics == train(make_task("other", epochs=1, compile=True)).metrics


def on_a_gpu(task: TrialTask) -> list[dict[str, float]]:
    return [dict(one.metrics) for one in TrialRun(task)]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("compiled", [False, True])
def test_a_gpu_trains_in_mixed_precision_compiled_or_not(make_task: Any, compiled: bool) -> None:
    task = make_task(device="cuda", epochs=6, data_fraction=1.0, compile=compiled)
    assert on_a_gpu(task)[-1]["accuracy"] > 0.85


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_without_bfloat16_trains_with_a_scaled_loss(make_task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: False)
    assert Precision.of(torch.device("cuda")).dtype is torch.float16
    assert on_a_gpu(make_task(device="cuda", epochs=6, data_fraction=1.0))[-1]["accuracy"] > 0.85


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_inputs_and_weights_are_channels_last_on_a_gpu() -> None:
    from workers.data import classification as data
    from workers.training.classification.splits import on_device
    from workers.training.classification.trainer import Trainer, untrained

    digits, device = data.load({"name": "digits"}), torch.device("cuda")
    split = on_device(digits.train, device, 1)
    values = complete({"resolution": 16})
    trainer = Trainer(untrained(values, digits, 0), values, split, digits, epochs=1, seed=0, device=device)
    images, _ = next(split.batches(torch.arange(8).numpy(), 1))
    assert trainer.inputs(images).is_contiguous(memory_format=torch.channels_last)
    assert all(
        weight.is_contiguous(memory_format=torch.channels_last)
        for weight in trainer.model.parameters()
        if weight.ndim == 4
    )

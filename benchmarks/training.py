"""Seconds of our training step, compared with a plain PyTorch loop of the same batch, precision and optimiser.

Ours and the reference take turns, round after round, so that drift of the machine affects both. The plain loop has its
float images ready; ours gathers, augments and normalises bytes within the step. Uses a GPU if there is one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import timm
import torch
from timm.data import Mixup
from timm.optim import RMSpropTF
from timm.utils import ModelEmaV3
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import RandAugment

from benchmarks.report import Row
from searchsvc.spaces import catalogue, networks, recipe
from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.fbnetv3 import definitions
from searchsvc.spaces.networks import complete
from workers.data import classification as data
from workers.data.classification import Dataset, Split
from workers.models.networks import fbnetv3_net
from workers.training.classification.randaugment import randaugment
from workers.training.classification.splits import on_device
from workers.training.classification.trainer import Trainer, untrained
from workers.training.precision import Precision

ROUNDS = 5
SIDE, CLASSES = 248, 1000
RECIPE: dict[str, Any] = {"optimizer": "rmsprop", "lr": 0.02, "weight_decay": 1e-5}
DIGITS: dict[str, Any] = {**RECIPE, "mixup": 0.2, "label_smoothing": 0.1, "ema": True, "ema_decay": 0.99}
TO_REACH = ">= 1.0"

Side = Callable[[], object]


def run() -> list[Row]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return [*_large(device), _small(device), _augmentation(device)]


def _large(device: torch.device) -> Iterator[Row]:
    """Time timm's fbnetv3_b in both loops; then FBNetV3-B as it was published in ours."""
    batch = 128 if device.type == "cuda" else 8
    dataset = _noise(batch)
    published = fbnetv3_net(definitions.find("fbnetv3-b"), dataset.info.shape, CLASSES)
    values = complete({**RECIPE, "batch_size": batch})
    sides = [
        _ours(timm.create_model("fbnetv3_b", num_classes=CLASSES), values, dataset, device),
        _ours(published, values, dataset, device),
        _plain(timm.create_model("fbnetv3_b", num_classes=CLASSES), dataset, batch, device),
    ]
    same, rows, plain = seconds_per_step(sides, 1, device)
    where = f"batch {batch}, {SIDE} px, {device.type}"
    yield _row(f"timm's fbnetv3_b, {where}", same, plain, "plain loop, same network")
    yield _row(f"FBNetV3-B as published, {where}", rows, plain, "plain loop, timm's fbnetv3_b")


def _small(device: torch.device) -> Row:
    """Time an fbnetv3-small network of median cost on digits, with mixup, smoothing and EMA in both loops."""
    dataset = data.load({"name": "digits"})
    values = complete({**DIGITS, **median_member(dataset)})
    sides = [
        _ours(untrained(values, dataset, 0), values, dataset, device),
        _plain(untrained(values, dataset, 0), dataset, 64, device, with_recipe=True),
    ]
    ours, plain = seconds_per_step(sides, -(-len(dataset.train) // 64), device)
    return _row(f"fbnetv3-small on digits, batch 64, {device.type}", ours, plain, "plain loop, timm's mixup and EMA")


def _augmentation(device: torch.device) -> Row:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)).to(device)
    random, theirs = np.random.default_rng(0), RandAugment(2, 27, interpolation=InterpolationMode.BILINEAR)
    sides: list[Side] = [lambda: randaugment(images, 9.0, random), lambda: [theirs(image) for image in images]]
    ours, plain = seconds_per_step(sides, 1, device, rounds=20)
    return _row("RandAugment of 64 images of 32 px", ours, plain, "torchvision, image by image")


# ---- the two loops ---------------------------------------------------------------------------------------------------


def _ours(model: nn.Module, values: CompleteValues, dataset: Dataset, device: torch.device) -> Side:
    trainer = Trainer(model, values, on_device(dataset.train, device, 1), dataset, epochs=100, seed=0, device=device)
    epochs = iter(range(1, 1000))
    return lambda: trainer.train_epoch(next(epochs))


def _plain(model: nn.Module, dataset: Dataset, batch: int, device: torch.device, *, with_recipe: bool = False) -> Side:
    """Return the loop that a user would write without us; images are normalised beforehand."""
    model.to(device).train()
    optimizer = RMSpropTF(model.parameters(), 0.02, alpha=0.9, eps=1e-3, momentum=0.9, weight_decay=1e-5)
    mean, std = (torch.tensor(one).view(1, -1, 1, 1) for one in (dataset.mean, dataset.std))
    images = (torch.from_numpy(np.asarray(dataset.train.images)).float() - mean) / std
    loader = DataLoader(TensorDataset(images, torch.from_numpy(dataset.train.labels)), batch, shuffle=True)
    mix = Mixup(mixup_alpha=0.2, label_smoothing=0.1, num_classes=len(dataset.classes)) if with_recipe else None
    average = ModelEmaV3(model, decay=0.99, use_warmup=True) if with_recipe else None
    precision, steps = Precision.of(device), iter(range(1, 10_000))

    def epoch() -> None:
        for inputs, labels in loader:
            if mix and len(labels) % 2 == 0:  # timm mixes even batches only
                inputs, labels = mix(inputs, labels)
            with precision.autocast():
                loss = F.cross_entropy(model(inputs.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if average:
                average.update(model, step=next(steps))

    return epoch


# ---- what is trained, and how it is measured -------------------------------------------------------------------------


def _noise(count: int) -> Dataset:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8)
    split = Split(images, random.integers(0, CLASSES, count))
    names = tuple(map(str, range(CLASSES)))
    return Dataset("noise", names, split, split, split, (127.5,) * 3, (73.9,) * 3, 255)


def median_member(dataset: Dataset) -> dict[str, Any]:
    """Return the candidate of median FLOPs among 101, without its own recipe."""
    shipped = catalogue.find("fbnetv3-small")
    model = networks.cost_model_for("classification", shipped.space, dataset.info, shipped.constants)
    drawn = shipped.space.sample(101, np.random.default_rng(0))
    median = np.argsort(model(drawn)["flops"])[50]
    [member] = shipped.space.from_matrix(drawn[median : median + 1])
    genes = {name: value for name, value in member.values.items() if name not in recipe.CLASSIFICATION.defaults}
    return {"network": "fbnetv3-small", **genes}


def seconds_per_step(sides: list[Side], steps: int, device: torch.device, rounds: int = ROUNDS) -> list[float]:
    """Return the median of all rounds but the first, which warms up."""
    seconds: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds + 1):
        for side, measured in zip(sides, seconds, strict=True):
            started = time.perf_counter()
            side()
            if device.type == "cuda":
                torch.cuda.synchronize()
            measured.append((time.perf_counter() - started) / steps)
    return [statistics.median(measured[1:]) for measured in seconds]


def _row(what: str, ours: float, plain: float, reference: str) -> Row:
    ratio = plain / ours
    return Row(what, f"{1000 * ours:.1f} ms", f"{1000 * plain:.1f} ms  {reference}", ratio, TO_REACH, ratio >= 1.0)

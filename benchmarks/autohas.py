"""A search with shared weights: seconds of its steps and peak memory, compared with training one network."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import torch

from benchmarks.autohas_memory import peak_bytes
from benchmarks.report import Row
from benchmarks.training import DIGITS, Side, median_member, seconds_per_step
from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Scalar
from searchsvc.spaces import Space, catalogue
from searchsvc.spaces.bases import with_bases
from searchsvc.spaces.networks import complete
from workers.autohas import Draw, ParameterDistributions, Reinforce, SupernetTrainer
from workers.autohas.classification import ClassificationLosses, ImageBatch
from workers.autohas.run import keep_kernels
from workers.data import classification as data
from workers.data.classification import Dataset
from workers.supernet import shared_network
from workers.training.classification.splits import Batches, on_device
from workers.training.classification.trainer import Trainer, untrained

STEPS, BATCH, REWARD_IMAGES = 18, 64, 256
MOST_MEMORY = 1.5
CPU = torch.device("cpu")


def run() -> list[Row]:
    keep_kernels()
    return [*_steps(), *_memory()]


def _steps() -> list[Row]:
    """Time steps on digits: the controller's with one sample, the median candidate's alone and with shared weights."""
    dataset, shipped = data.load({"name": "digits"}), catalogue.find("fbnetv3-small")
    space, values = with_bases(shipped.space, 5), complete({**shipped.constants, **DIGITS, **median_member(dataset)})
    train, random = on_device(dataset.train, CPU, 1), torch.Generator().manual_seed(0)
    trainer = Trainer(untrained(values, dataset, 0), values, train, dataset, epochs=100, seed=0, device=CPU)
    epochs = itertools.count(1)
    supernet = _supernet(dataset, space, shipped.constants)
    controller = Reinforce(ParameterDistributions(space), steps=1000, samples=1, frozen_share=0.0)
    median = Draw(Candidate({name: value for name, value in values.items() if name in space}), {})
    batches, scored = _batches(train, BATCH), _batches(on_device(dataset.validation, CPU, 1), REWARD_IMAGES)

    def weights(draw: Draw | None) -> Side:
        return lambda: [
            supernet.train(draw or controller.distributions.draw(random), next(batches)) for _ in range(STEPS)
        ]

    sides: list[Side] = [
        lambda: trainer.train_epoch(next(epochs)),
        weights(median),
        weights(None),
        lambda: [controller.step(supernet, next(batches), next(scored), random) for _ in range(STEPS)],
    ]
    training, *others = seconds_per_step(sides, STEPS, CPU, rounds=3)
    names = ("of the same candidate on shared weights", "of a draw on shared weights", "of the controller, one sample")
    reference = f"{1000 * training:.1f} ms  training the median candidate"
    return [
        Row(f"step {name}, digits", f"{1000 * one:.1f} ms", reference, one / training)
        for name, one in zip(names, others, strict=True)
    ]


def _supernet(dataset: Dataset, space: Space, constants: Mapping[str, Scalar]) -> SupernetTrainer:
    network = shared_network(space, dataset.info.shape, len(dataset.classes), constants)
    return SupernetTrainer(network, space, ClassificationLosses(dataset, CPU), constants)


def _batches(split: Batches, count: int) -> Iterator[ImageBatch]:
    random = np.random.default_rng(0)
    for seed in itertools.count():
        images, labels = next(split.batches(random.choice(len(split), count, replace=False), 1))
        yield ImageBatch(images, labels, seed)


def _memory() -> list[Row]:
    """Measure peak memory with fbnetv3-small, 64 px, batches of 128."""
    training, reinforce, differentiable = map(peak_bytes, ("training", "reinforce", "differentiable"))
    reference = f"{training / 2**20:.0f} MiB  training the largest network"
    ratio, ours = reinforce / training, f"{reinforce / 2**20:.0f} MiB"
    return [
        Row("peak of reinforce", ours, reference, ratio, f"<= {MOST_MEMORY}", ratio <= MOST_MEMORY),
        Row("peak of differentiable", f"{differentiable / 2**20:.0f} MiB", reference, differentiable / training),
    ]

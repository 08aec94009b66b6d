"""Peak memory of a search with shared weights, and of training the largest of its networks, each in its own process.

`python -m benchmarks.autohas_memory WHAT` prints the bytes by which the peak exceeds the memory after the imports.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Scalar
from searchsvc.spaces import Space, catalogue
from searchsvc.spaces.bases import with_bases
from searchsvc.spaces.networks import complete
from workers.autohas import Differentiable, ParameterDistributions, Reinforce, SupernetTrainer
from workers.autohas.classification import ClassificationLosses, ImageBatch
from workers.data.dataset import Dataset, Split
from workers.supernet import shared_network
from workers.training.classification.splits import on_device
from workers.training.classification.trainer import Trainer, untrained

SIDE, BATCH, CLASSES, STEPS = 64, 128, 10, 3
SHIPPED = catalogue.find("fbnetv3-small")
CONSTANTS: Mapping[str, Scalar] = {**SHIPPED.constants, "batch_size": BATCH}
CPU = torch.device("cpu")


def peak_bytes(what: str) -> int:
    """Return the peak bytes of an entry of `MEASURED`, in its own process."""
    command = [sys.executable, "-m", "benchmarks.autohas_memory", what]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def largest(space: Space) -> Candidate:
    """Return the candidate with the last option of every parameter, with a moving average and rmsprop."""
    highest = [len(one.choices) - 1 if one.type == "categorical" else one.high for one in space.parameters]
    values = space.from_matrix(np.array([highest], np.float64))[0].values
    return Candidate({**values, "optimizer": "rmsprop", "ema": True, "lr": 0.001})


def _training() -> None:
    dataset, values = _dataset(), complete({**CONSTANTS, **largest(SHIPPED.space).values})
    model = untrained(values, dataset, 0)
    trainer = Trainer(model, values, on_device(dataset.train, CPU, 1), dataset, epochs=STEPS, seed=0, device=CPU)
    for epoch in range(1, STEPS + 1):
        trainer.train_epoch(epoch)


def _search(variant: type[Reinforce] | type[Differentiable]) -> None:
    """Run steps of controller and weights with random draws, and with the largest candidate."""
    dataset, space = _dataset(), with_bases(SHIPPED.space, 5)
    network = shared_network(space, dataset.info.shape, CLASSES, CONSTANTS)
    supernet = SupernetTrainer(network, space, ClassificationLosses(dataset, CPU), CONSTANTS)
    controller = variant(_Largest(space), steps=STEPS, samples=2, frozen_share=0.0)
    images, labels = next(on_device(dataset.train, CPU, 1).batches(np.arange(BATCH), 1))
    random = torch.Generator().manual_seed(0)
    for step in range(STEPS):
        batch = ImageBatch(images, labels, step)
        controller.step(supernet, batch, ImageBatch(images, labels), random)
        supernet.train(controller.distributions.draw(random), batch)


class _Largest(ParameterDistributions):
    """Distributions whose draws are close to the largest architecture, so that the peak is the worst case."""

    def __init__(self, space: Space) -> None:
        super().__init__(space)
        wanted = largest(space).values
        for name, logits in self.by_name().items():
            if name in wanted and wanted[name] in self.labels(name):
                logits.data[self.labels(name).index(wanted[name])] = 20.0


def _dataset() -> Dataset:
    random = np.random.default_rng(0)
    split = Split(random.integers(0, 256, (BATCH, 3, SIDE, SIDE), dtype=np.uint8), random.integers(0, CLASSES, BATCH))
    names = tuple(map(str, range(CLASSES)))
    return Dataset("noise", names, split, split, split, (127.5,) * 3, (73.9,) * 3, 255)


MEASURED: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "training": _training,
        "reinforce": lambda: _search(Reinforce),
        "differentiable": lambda: _search(Differentiable),
    }
)


def main() -> None:
    torch.set_num_threads(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    MEASURED[sys.argv[1]]()
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


if __name__ == "__main__":
    main()

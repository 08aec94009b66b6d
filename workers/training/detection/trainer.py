"""How a detector is trained: one network, one recipe, epoch by epoch.

On the CPU the same (values, seed, data, threads) give the same bits, with or without interruptions: random numbers come
from (seed, epoch), everything else is in `state()`. A Sample Weighting Network takes a step of its own optimiser beside
each step of the detector, and is part of that state, but of nothing that is measured or kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from workers.data.detection import DetectionDataset
from workers.losses import sample_weighting
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.models.detector import Detector
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape
from workers.training import optimizers
from workers.training.detection.augment import DetectionAugmentation
from workers.training.detection.batches import Batch, SceneBatches
from workers.training.optimisation import Losses, Optimisation, mean_losses
from workers.training.recipe import DetectorRecipe
from workers.training.seeds import INITIAL, generator, torch_seeded

Values = Mapping[str, Any]
"""Complete ones (`searchsvc.spaces.networks.completed`)."""


def untrained(values: Values, dataset: DetectionDataset, seed: int) -> Detector:
    """The detector of a trial with its first weights, which follow from the seed: on every device the same."""
    with torch_seeded(seed, INITIAL, torch.device("cpu")):
        detector = build(values, dataset.info.shape, len(dataset.classes))
    assert isinstance(detector, Detector)
    return detector


def inputs_of(values: Values, dataset: DetectionDataset, device: torch.device) -> Inputs:
    """Squares are made by `SceneBatches`, and only normalised here."""
    seen = input_shape(values, dataset.info.shape)
    return Inputs.of(dataset.mean, dataset.std, seen, seen, device)


class DetectorTrainer:
    """Owns the weights of a trial while it is trained."""

    def __init__(
        self,
        model: Detector,
        values: Values,
        train: SceneBatches,
        inputs: Inputs,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        compiled: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`compiled`: on a GPU, up to the outputs of the head, by torch.compile; it pays for long trainings.

        `check` is called every few steps; what it raises ends the epoch.
        """
        self._train, self._seed, self._device, self._check = train, seed, device, check
        self._inputs = inputs
        recipe = DetectorRecipe.of(values)
        self._augmentation = DetectionAugmentation(recipe.augmentation, recipe.flip, recipe.color)
        self.optimisation = Optimisation(model, recipe, images=len(train), epochs=epochs, device=device)
        self._model = self.optimisation.model
        on_gpu = compiled and device.type == "cuda"
        self._network = torch.compile(self._model, dynamic=False) if on_gpu else self._model
        self._weighting = _Weighting.of(values, seed, device)
        self._loss = OneStageLoss.of(values, self._weighting.net if self._weighting else None)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train epoch 1, 2, ...: its mean loss, and each term of it. Raises TrialFailed (DIVERGED)."""
        order = generator(self._seed, epoch).permutation(len(self._train))
        batches = self._train.augmented(order, self.optimisation.batches, self._augmentation, self._seed, epoch)
        self._model.train()

        def steps() -> Iterator[tuple[Losses, int]]:
            for batch in batches:
                yield self._train_step(batch), len(batch)

        with torch_seeded(self._seed, epoch, self._device):
            return mean_losses(steps(), epoch, self._check)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on."""
        return {**self.optimisation.state(), "weighting": self._weighting.state() if self._weighting else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of a trainer that was made with the same arguments."""
        self.optimisation.restore(state)
        if self._weighting:
            self._weighting.restore(state["weighting"])

    def _train_step(self, batch: Batch) -> Losses:
        terms = self._terms(batch)
        loss = torch.stack(list(terms.values())).sum()
        self.optimisation.step(loss, *([self._weighting.optimizer] if self._weighting else []))
        return {"train_loss": loss.detach(), **{f"train_loss/{name}": one.detach() for name, one in terms.items()}}

    def _terms(self, batch: Batch) -> dict[str, Tensor]:
        with self.optimisation.precision.autocast():
            outputs = self._network(self._inputs(batch.images))
        return self._loss(outputs, self._model.anchors(outputs.classes), Targets.of(batch.objects()))


class _Weighting:
    """A Sample Weighting Network and its optimiser."""

    def __init__(self, net: sample_weighting.SampleWeightingNet) -> None:
        self.net, self.optimizer = net, sample_weighting.optimizer(net)

    @classmethod
    def of(cls, values: Values, seed: int, device: torch.device) -> _Weighting | None:
        """None where the recipe has none; first weights follow from the seed."""
        with torch_seeded(seed, INITIAL, torch.device("cpu")):
            net = sample_weighting.net_of(values)
        return cls(net.to(device)) if net else None

    def state(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        optimizers.restore(self.optimizer, state["optimizer"])

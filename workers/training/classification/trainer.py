"""Training of a classifier, epoch by epoch.

On the CPU the same (values, seed, data, threads) give the same bits, with or without interruptions: random numbers
follow from (seed, epoch), all other state is in `state()`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import repeat
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from searchsvc.spaces.complete import CompleteValues
from searchsvc.spaces.recipe import has_independent_classes
from workers.data.dataset import Dataset
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape
from workers.training.classification.augment import Augmentation, mixup, smoothed
from workers.training.classification.class_loss import class_loss, start_rare
from workers.training.classification.splits import Batches
from workers.training.optimisation import Losses, Optimisation, mean_losses
from workers.training.precision import Precision
from workers.training.pseudo_labelled import PSEUDO_LOSS, PseudoLabelled
from workers.training.recipe import ClassifierRecipe
from workers.training.seeds import INITIAL, generator, passes, torch_seeded

TRAIN_LOSS = "train_loss"


def untrained(values: CompleteValues, dataset: Dataset, seed: int) -> nn.Module:
    """Return the network of a trial with its initial weights, which depend on the seed, but not on the device."""
    with torch_seeded(seed, INITIAL, torch.device("cpu")):
        network = build(values, dataset.info.shape, len(dataset.classes))
    if has_independent_classes(values):
        start_rare(network, len(dataset.classes))
    return network


class Trainer:
    """Owns the weights of a trial while it is trained."""

    def __init__(
        self,
        model: nn.Module,
        values: CompleteValues,
        train: Batches,
        dataset: Dataset,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        images: int | None = None,
        pseudo_labelled: PseudoLabelled[Batches] | None = None,
        compiled: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a training of `model` by the recipe in `values`.

        `train`: the part of `dataset` to train on; `pseudo_labelled`: further images. `images`: images per epoch, some
        of them repeated; None: each of `train` once. `compiled`: on a GPU, use torch.compile, which takes a minute per
        network and pays off in long trainings. `check` is called every few steps; an exception that it raises ends the
        epoch.
        """
        self._train, self._pseudo_labelled = train, pseudo_labelled
        self._seed, self._device, self._check = seed, device, check
        self._classes, self._images = len(dataset.classes), images or len(train)
        self._recipe = ClassifierRecipe.of(values)
        self._is_independent = has_independent_classes(values)
        self._optimisation = Optimisation(model, self._recipe, images=self._images, epochs=epochs, device=device)
        self.model = self._optimisation.model
        self._network = torch.compile(self.model, dynamic=False) if compiled and device.type == "cuda" else self.model
        shape = dataset.info.shape
        self.inputs = Inputs.of(dataset.mean, dataset.std, shape, input_shape(values, shape), device)
        self._augmentation = Augmentation.of(self._recipe, dataset.peak)

    @property
    def evaluated(self) -> nn.Module:
        """The model that is measured and stored."""
        return self._optimisation.evaluated

    @property
    def independent(self) -> bool:
        """True if the network predicts the probability of each class independently."""
        return self._is_independent

    @property
    def precision(self) -> Precision:
        return self._optimisation.precision

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train epoch 1, 2, ... and return its mean losses, also of pseudo-labelled images.

        Raises TrialFailed (DIVERGED).
        """
        random = generator(self._seed, epoch)
        order = passes(random, len(self._train), self._images) % len(self._train)
        self._optimisation.begin_epoch()

        def steps() -> Iterator[tuple[Losses, int]]:
            batches = self._train.batches(order, self._optimisation.batches)
            for (images, labels), pseudo in zip(batches, self._pseudo_losses(epoch, len(order)), strict=False):
                yield self._train_step(self._loss_of(images, labels, random), pseudo), len(labels)

        with torch_seeded(self._seed, epoch, self._device):
            return mean_losses(steps(), epoch, self._check)

    def state(self) -> dict[str, Any]:
        """Return all state that the next epoch depends on."""
        joint = self._pseudo_labelled.loss.state() if self._pseudo_labelled else None
        return {**self._optimisation.state(), "joint_loss": joint}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of a trainer that was created with the same arguments."""
        self._optimisation.restore(state)
        if self._pseudo_labelled:
            self._pseudo_labelled.loss.restore(state["joint_loss"])

    def _pseudo_losses(self, epoch: int, count: int) -> Iterator[Tensor | None]:
        """Yield the losses of pseudo-labelled batches with the current weights, or None forever without such images."""
        if (pseudo_labelled := self._pseudo_labelled) is None:
            yield from repeat(None)
            return
        random = generator(pseudo_labelled.seed, epoch)
        order = pseudo_labelled.draws(epoch, count) % pseudo_labelled.count
        for images, targets in pseudo_labelled.split.batches(order, self._optimisation.batches):
            yield self._loss_of(images, targets, random)

    def _train_step(self, labelled: Tensor, pseudo: Tensor | None) -> Losses:
        """Take a step down the loss of the labelled images and of the pseudo-labelled images."""
        losses = {TRAIN_LOSS: labelled.detach()}
        if pseudo is None or self._pseudo_labelled is None:
            self._optimisation.step(labelled)
            return losses
        self._optimisation.step(self._pseudo_labelled.loss(labelled, pseudo))
        return {**losses, PSEUDO_LOSS: pseudo.detach()}

    def _loss_of(self, images: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
        """Return the loss of uint8 images (m, c, h, w), which are augmented, and labels (m,) or targets (m, K)."""
        return self._loss(self.inputs(self._augmentation(images, random)), labels, random)

    def _loss(self, inputs: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
        """Return the mean loss with mixup and label smoothing; without mixup, the loss itself applies the smoothing."""
        recipe, targets, smoothing = self._recipe, labels, self._recipe.label_smoothing
        if recipe.mixup:
            weight = float(random.beta(recipe.mixup, recipe.mixup))
            inputs, targets = mixup(inputs, smoothed(labels, self._classes, smoothing), weight)
            smoothing = 0.0
        with self.precision.autocast():
            logits = self._network(inputs)
        return class_loss(recipe.class_loss, logits.float(), targets, smoothing)

"""Training of a detector, epoch by epoch.

On the CPU the same (values, seed, data, threads) give the same bits, with or without interruptions: random numbers
follow from (seed, epoch), all other state is in `state()`. A Sample Weighting Network takes a step of its own optimiser
with each step of the detector. It is part of that state, but neither measured nor stored with the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import repeat
from typing import Any

import torch
from torch import Tensor

from searchsvc.spaces.complete import CompleteValues
from workers.data.detection import DetectionDataset
from workers.losses import sample_weighting
from workers.losses.atss import Targets
from workers.losses.one_stage import REGULARIZER, OneStageLoss
from workers.losses.self_training import JointLoss
from workers.models.detector import Detector
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape
from workers.training import optimizers
from workers.training.detection.augment import DetectionAugmentation
from workers.training.detection.batches import DetectionBatch, SceneBatches
from workers.training.optimisation import Losses, Optimisation, mean_losses
from workers.training.pseudo_labelled import PSEUDO_LOSS, PseudoLabelled
from workers.training.recipe import DetectorRecipe
from workers.training.seeds import INITIAL, generator, passes, torch_seeded


def untrained(values: CompleteValues, dataset: DetectionDataset, seed: int) -> Detector:
    """Return the detector of a trial with its initial weights, which depend on the seed, but not on the device."""
    with torch_seeded(seed, INITIAL, torch.device("cpu")):
        detector = build(values, dataset.info.shape, len(dataset.classes))
    assert isinstance(detector, Detector)
    return detector


def inputs_of(values: CompleteValues, dataset: DetectionDataset, device: torch.device) -> Inputs:
    """Return the normalisation of squares, which `SceneBatches` prepares."""
    shape = input_shape(values, dataset.info.shape)
    return Inputs.of(dataset.mean, dataset.std, shape, shape, device)


class DetectorTrainer:
    """Owns the weights of a trial while it is trained."""

    def __init__(
        self,
        model: Detector,
        values: CompleteValues,
        train: SceneBatches,
        inputs: Inputs,
        *,
        epochs: int,
        seed: int,
        device: torch.device,
        images: int | None = None,
        pseudo_labelled: PseudoLabelled[SceneBatches] | None = None,
        compiled: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a training of `model` by the recipe in `values`.

        `images`: images per epoch, some of them repeated; None: each of `train` once. `pseudo_labelled`: the second
        half of every step. `compiled`: on a GPU, compile the detector up to the outputs of the head; it pays off in
        long trainings. `check` is called every few steps; an exception that it raises ends the epoch.
        """
        self._train, self._pseudo_labelled = train, pseudo_labelled
        self._seed, self._device, self._check = seed, device, check
        self._inputs, self._images = inputs, images or len(train)
        recipe = DetectorRecipe.of(values)
        self._augmentation = DetectionAugmentation(recipe.augmentation, recipe.flip, recipe.color)
        self.optimisation = Optimisation(model, recipe, images=self._images, epochs=epochs, device=device)
        self._model = self.optimisation.model
        on_gpu = compiled and device.type == "cuda"
        self._network = torch.compile(self._model, dynamic=False) if on_gpu else self._model
        self._weighting = _Weighting.of(values, seed, device)
        self._loss = OneStageLoss.of(values, self._weighting.net if self._weighting else None)

    def train_epoch(self, epoch: int) -> dict[str, float]:
        """Train epoch 1, 2, ... and return its mean loss, each term of it, and the loss of pseudo-labelled images.

        Raises TrialFailed (DIVERGED).
        """
        order = passes(generator(self._seed, epoch), len(self._train), self._images)
        count = self.optimisation.batches
        batches = self._train.augmented(order, count, self._augmentation, self._seed, epoch)
        pseudo: Iterable[DetectionBatch | None] = repeat(None)
        if pseudo_labelled := self._pseudo_labelled:
            draws = pseudo_labelled.draws(epoch, len(order))
            pseudo = pseudo_labelled.split.augmented(draws, count, self._augmentation, pseudo_labelled.seed, epoch)
        self.optimisation.begin_epoch()

        def steps() -> Iterator[tuple[Losses, int]]:
            for both in zip(batches, pseudo, strict=False):
                yield self._train_step(*both), len(both[0])

        with torch_seeded(self._seed, epoch, self._device):
            return mean_losses(steps(), epoch, self._check)

    def state(self) -> dict[str, Any]:
        """Return all state that the next epoch depends on."""
        return {
            **self.optimisation.state(),
            "weighting": self._weighting.state() if self._weighting else None,
            "joint_loss": self._pseudo_labelled.loss.state() if self._pseudo_labelled else None,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of a trainer that was created with the same arguments."""
        self.optimisation.restore(state)
        if self._weighting:
            self._weighting.restore(state["weighting"])
        if self._pseudo_labelled:
            self._pseudo_labelled.loss.restore(state["joint_loss"])

    def _train_step(self, labelled: DetectionBatch, pseudo: DetectionBatch | None) -> Losses:
        terms = self._terms(labelled)
        loss = total = _sum(terms)
        losses = {"train_loss": total.detach()} | {f"train_loss/{name}": term.detach() for name, term in terms.items()}
        if pseudo is not None and self._pseudo_labelled:
            pseudo_terms = self._terms(pseudo)
            losses[PSEUDO_LOSS] = _sum(pseudo_terms).detach()
            loss = _joint(self._pseudo_labelled.loss, terms, pseudo_terms)
        self.optimisation.step(loss, *([self._weighting.optimizer] if self._weighting else []))
        return losses

    def _terms(self, batch: DetectionBatch) -> dict[str, Tensor]:
        with self.optimisation.precision.autocast():
            outputs = self._network(self._inputs(batch.images))
        return self._loss(outputs, self._model.anchors(outputs.classes), Targets.of(batch.objects()))


def _sum(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def _joint(loss: JointLoss, labelled: Mapping[str, Tensor], pseudo: Mapping[str, Tensor]) -> Tensor:
    """Return the loss of both halves.

    A regulariser, which may be negative and has no scale in common with the losses, is added as the mean of the halves.
    """
    halves = [{name: term for name, term in terms.items() if name != REGULARIZER} for terms in (labelled, pseudo)]
    total = loss(*map(_sum, halves))
    regularizers = [terms[REGULARIZER] for terms in (labelled, pseudo) if REGULARIZER in terms]
    return total + torch.stack(regularizers).mean() if regularizers else total


class _Weighting:
    """A Sample Weighting Network and its optimiser."""

    def __init__(self, net: sample_weighting.SampleWeightingNet) -> None:
        self.net, self.optimizer = net, sample_weighting.optimizer(net)

    @classmethod
    def of(cls, values: CompleteValues, seed: int, device: torch.device) -> _Weighting | None:
        """Return the network with initial weights that follow from the seed, or None if the recipe does not use it."""
        with torch_seeded(seed, INITIAL, torch.device("cpu")):
            net = sample_weighting.net_of(values)
        return cls(net.to(device)) if net else None

    def state(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        optimizers.restore(self.optimizer, state["optimizer"])

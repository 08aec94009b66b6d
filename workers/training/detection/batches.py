"""The scenes of a split, batch by batch: what a detector is trained and measured on.

An image is decoded (where it stays in its file), augmented and padded in worker processes, or in this one. Either way
it is the same image: its random numbers follow from the seed, the epoch and its place in the split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from searchsvc.errors import InvalidInput
from workers.data.detection import DetectionDataset, Scenes
from workers.data.detection.dataset import Decoded
from workers.data.detection.picturefiles import fitted
from workers.models.boxes import Boxes
from workers.training.detection.augment import DetectionAugmentation, plain
from workers.training.detection.sample import Fill, Scene
from workers.training.seeds import image_generator

Order = NDArray[np.intp]
_PREFETCHED = 2
"""Batches that each worker process has ready."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionBatch:
    """m images of one square size."""

    images: Tensor
    """(m, 3, side, side) uint8."""
    boxes: tuple[Tensor, ...]
    """Of each image, (k, 4) float32: x0, y0, x1, y1 in px of the square; k may be 0."""
    labels: tuple[Tensor, ...]
    """Of each image, (k,) int64."""
    positions: tuple[int, ...]
    """Of the images in their split."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of the upper left part of the square that is the image, where it is not augmented."""

    def __len__(self) -> int:
        return len(self.images)

    def objects(self) -> Iterator[tuple[Boxes, Tensor]]:
        """Of each image, boxes (k, 4) and labels (k,)."""
        return ((Boxes(boxes), labels) for boxes, labels in zip(self.boxes, self.labels, strict=True))

    def on(self, device: torch.device) -> DetectionBatch:
        """The same on a device, images channels last."""
        images = self.images.to(device, memory_format=torch.channels_last)
        boxes, labels = (tuple(one.to(device) for one in row) for row in (self.boxes, self.labels))
        return DetectionBatch(images, boxes, labels, self.positions, self.sizes)


@dataclass(frozen=True, slots=True)
class SceneBatches:
    """A split as squares of `side` px on `device`."""

    scenes: Scenes
    side: int
    fill: Fill
    """Of each channel: what surrounds an image."""
    device: torch.device
    processes: int
    """That decode and augment; 0: this one."""

    @classmethod
    def of(
        cls, scenes: Scenes, dataset: DetectionDataset, *, side: int, device: torch.device, processes: int
    ) -> SceneBatches:
        """A split of the dataset, padded with its mean colour.

        `processes` of their own prepare images that stay in files, or that a GPU would wait for.
        """
        apart = device.type == "cuda" or not isinstance(scenes.pictures, Decoded)
        return cls(scenes, side, dataset.mean, device, processes if apart else 0)

    def __len__(self) -> int:
        return len(self.scenes)

    def augmented(
        self, order: Order, count: int, augmentation: DetectionAugmentation, seed: int, epoch: int
    ) -> Iterator[DetectionBatch]:
        """`count` batches of almost equal size, in this order (`workers.training.seeds.passes`).

        Raises InvalidInput that names a file which cannot be decoded.
        """
        return self._batches(order, count, _Augmented(augmentation, seed, epoch))

    def plain(self, count: int, order: Order | None = None) -> Iterator[DetectionBatch]:
        """Images as they are, all or those of an order, in `count` batches. Raises InvalidInput as `augmented` does."""
        return self._batches(np.arange(len(self)) if order is None else order, count, None)

    def _batches(self, order: Order, count: int, augmented: _Augmented | None) -> Iterator[DetectionBatch]:
        loader = DataLoader(
            _Prepared(self.scenes, self.side, self.fill, augmented),
            batch_size=None,
            sampler=[part for part in np.array_split(order, count) if len(part)],
            num_workers=self.processes,
            prefetch_factor=_PREFETCHED if self.processes else None,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # else it draws a seed from the global one, which dropout goes by
        )
        for batch in loader:
            if isinstance(batch, str):
                raise InvalidInput.at("/path", batch)
            yield batch.on(self.device)


@dataclass(frozen=True, slots=True)
class _Augmented:
    """What the images of one epoch meet."""

    augmentation: DetectionAugmentation
    seed: int
    epoch: int


class _Prepared(TorchDataset[DetectionBatch | str]):
    """Item: the batch of an index (m,); a text where one of its files cannot be decoded."""

    def __init__(self, scenes: Scenes, side: int, fill: Fill, augmented: _Augmented | None) -> None:
        self._scenes, self._side, self._fill, self._augmented = scenes, side, fill, augmented

    def __getitem__(self, index: Order) -> DetectionBatch | str:
        try:
            samples = [self._sample(draw) for draw in index.tolist()]
        except InvalidInput as error:  # its arguments do not travel between processes
            return "; ".join(fault.message for fault in error.faults)
        positions = index % len(self._scenes)
        return DetectionBatch(
            torch.stack([one.image.as_subclass(Tensor) for one in samples]),
            tuple(one.boxes.as_subclass(Tensor) for one in samples),
            tuple(one.labels for one in samples),
            tuple(positions.tolist()),
            tuple(fitted(height, width, self._side) for height, width in self._scenes.sizes[positions].tolist()),
        )

    def _sample(self, draw: int) -> Scene:
        sample = sample_of(self._scenes, draw % len(self._scenes))
        if self._augmented is None:
            return plain(sample, self._side, self._fill)
        random = image_generator(self._augmented.seed, self._augmented.epoch, draw)
        return self._augmented.augmentation(sample, self._side, random, self._fill)


def sample_of(scenes: Scenes, position: int) -> Scene:
    """One image as it was decoded, with what a detector is to find in it: crowds are none of it."""
    image, truth = scenes.pictures[position], scenes.truths[position]
    height, width = scenes.size_of(position)
    ratios = np.tile(np.array([image.shape[2] / width, image.shape[1] / height]), 2)
    objects = ~truth.crowd
    return Scene.of(image, truth.boxes[objects] * ratios, truth.labels[objects])


def _as_it_is(batch: DetectionBatch | str | Sequence[object]) -> DetectionBatch | str | Sequence[object]:
    return batch

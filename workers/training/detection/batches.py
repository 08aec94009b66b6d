"""The scenes of a split in batches, for training and measuring of detectors.

Images are decoded (if they stay in their files), augmented and padded in worker processes, or in this process. The
result is the same, since an image's random numbers follow from the seed, the epoch and its position in the split.
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
"""Batches that each worker process prepares in advance."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectionBatch:
    """A batch of m images of the same square size."""

    images: Tensor
    """(m, 3, side, side) uint8."""
    boxes: tuple[Tensor, ...]
    """Boxes (k, 4) float32 of each image: x0, y0, x1, y1 in px of the square; k may be 0."""
    labels: tuple[Tensor, ...]
    """Labels (k,) int64 of each image."""
    positions: tuple[int, ...]
    """Positions of the images in their split."""
    sizes: tuple[tuple[int, int], ...]
    """Height and width of the image in the upper left of the square, if it is not augmented."""

    def __len__(self) -> int:
        return len(self.images)

    def objects(self) -> Iterator[tuple[Boxes, Tensor]]:
        """Yield boxes (k, 4) and labels (k,) of each image."""
        return ((Boxes(boxes), labels) for boxes, labels in zip(self.boxes, self.labels, strict=True))

    def on(self, device: torch.device) -> DetectionBatch:
        """Return the batch on a device, images channels last."""
        images = self.images.to(device, memory_format=torch.channels_last)
        boxes, labels = (tuple(each.to(device) for each in row) for row in (self.boxes, self.labels))
        return DetectionBatch(images, boxes, labels, self.positions, self.sizes)


@dataclass(frozen=True, slots=True)
class SceneBatches:
    """A split as squares of `side` px on `device`."""

    scenes: Scenes
    side: int
    fill: Fill
    """Colour around an image, by channel."""
    device: torch.device
    processes: int
    """Processes that decode and augment; 0: this process."""

    @classmethod
    def of(
        cls, scenes: Scenes, dataset: DetectionDataset, *, side: int, device: torch.device, processes: int
    ) -> SceneBatches:
        """Return a split of the dataset, padded with its mean colour.

        Separate `processes` prepare images that stay in files, or that a GPU would wait for.
        """
        apart = device.type == "cuda" or not isinstance(scenes.pictures, Decoded)
        return cls(scenes, side, dataset.mean, device, processes if apart else 0)

    def __len__(self) -> int:
        return len(self.scenes)

    def augmented(
        self, order: Order, count: int, augmentation: DetectionAugmentation, seed: int, epoch: int
    ) -> Iterator[DetectionBatch]:
        """Yield `count` batches of almost equal size, in this order (`workers.training.seeds.passes`).

        Raises InvalidInput with the name of a file that cannot be decoded.
        """
        return self._batches(order, count, _Augmented(augmentation, seed, epoch))

    def plain(self, count: int, order: Order | None = None) -> Iterator[DetectionBatch]:
        """Yield images without augmentation, all or those of an order, in `count` batches.

        Raises InvalidInput as `augmented` does.
        """
        return self._batches(np.arange(len(self)) if order is None else order, count, None)

    def _batches(self, order: Order, count: int, augmented: _Augmented | None) -> Iterator[DetectionBatch]:
        loader = DataLoader(
            _Prepared(self.scenes, self.side, self.fill, augmented),
            batch_size=None,
            sampler=[part for part in np.array_split(order, count) if len(part)],
            num_workers=self.processes,
            prefetch_factor=_PREFETCHED if self.processes else None,
            collate_fn=_as_it_is,
            generator=torch.Generator(),  # otherwise it would draw a seed from the global generator, which dropout uses
        )
        for batch in loader:
            if isinstance(batch, str):
                raise InvalidInput.at("/path", batch)
            yield batch.on(self.device)


@dataclass(frozen=True, slots=True)
class _Augmented:
    """The augmentation of an epoch."""

    augmentation: DetectionAugmentation
    seed: int
    epoch: int


class _Prepared(TorchDataset[DetectionBatch | str]):
    """Item: the batch of an index (m,); an error message if a file cannot be decoded."""

    def __init__(self, scenes: Scenes, side: int, fill: Fill, augmented: _Augmented | None) -> None:
        self._scenes, self._side, self._fill, self._augmented = scenes, side, fill, augmented

    def __getitem__(self, index: Order) -> DetectionBatch | str:
        try:
            samples = [self._sample(draw) for draw in index.tolist()]
        except InvalidInput as error:  # the exception does not survive pickling
            return "; ".join(fault.message for fault in error.faults)
        positions = index % len(self._scenes)
        return DetectionBatch(
            torch.stack([sample.image.as_subclass(Tensor) for sample in samples]),
            tuple(sample.boxes.as_subclass(Tensor) for sample in samples),
            tuple(sample.labels for sample in samples),
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
    """Return an image as it was decoded, with the objects that a detector should find in it, without crowds."""
    image, truth = scenes.pictures[position], scenes.truths[position]
    height, width = scenes.size_of(position)
    # Images may be decoded at a reduced size; boxes are in px of the file.
    ratios = np.tile(np.array([image.shape[2] / width, image.shape[1] / height]), 2)  # (4,)
    objects = ~truth.crowd
    return Scene.of(image, truth.boxes[objects] * ratios, truth.labels[objects])


def _as_it_is(batch: DetectionBatch | str | Sequence[object]) -> DetectionBatch | str | Sequence[object]:
    return batch

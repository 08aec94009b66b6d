"""The images of a split in batches on the device: stored there, or decoded from files on demand.

Both kinds yield the same batches for the same order, so that training does not depend on the place of the images.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from searchsvc.errors import InvalidInput
from workers.data.dataset import Images, Split, Targets
from workers.data.imagefiles import ImageFiles

Order = NDArray[np.intp]
_PREFETCHED = 2
"""Batches that each worker process prepares in advance."""


class Batches(Protocol):
    """A split in batches, for training and measuring."""

    def __len__(self) -> int: ...

    def batches(self, order: Order, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (m, c, h, w) uint8, channels last, and labels (m,), in `count` parts of almost equal size.

        The parts follow the order. Instead of labels there may be targets (m, K): soft pseudo labels.
        Raises InvalidInput with the name of a file that cannot be decoded.
        """


def in_order(split: Batches, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all of a split, in batches of at most `size` images."""
    return split.batches(np.arange(len(split)), math.ceil(len(split) / size))


def on_device(split: Split, device: torch.device, processes: int) -> Batches:
    """Return the split on `device`; `processes` decode image files."""
    return with_targets(split.images, split.labels, device, processes)


def with_targets(images: Images, targets: Targets, device: torch.device, processes: int) -> Batches:
    """Return images on `device` with their labels or class probabilities; `processes` decode image files."""
    labels = torch.from_numpy(targets).to(device)
    if isinstance(images, ImageFiles):
        return StreamedSplit(images, labels, processes)
    return ResidentSplit(torch.from_numpy(images).to(device, memory_format=torch.channels_last), labels)


@dataclass(frozen=True, slots=True)
class ResidentSplit:
    """All images on the device, as uint8; a batch costs a single gather."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: Order, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.from_numpy(order).to(self.labels.device).tensor_split(count):
            yield self.images[index], self.labels[index]


@dataclass(frozen=True, slots=True)
class StreamedSplit:
    """Images in files: worker processes decode the next batches while the device trains on the current batch."""

    files: ImageFiles
    labels: Tensor
    processes: int

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: Order, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        device = self.labels.device
        loader = DataLoader(
            _Decoded(self.files),
            batch_size=None,
            sampler=np.array_split(order, count),
            num_workers=self.processes,
            prefetch_factor=_PREFETCHED,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # otherwise it would draw a seed from the global generator, which dropout uses
        )
        indices = torch.from_numpy(order).to(device).tensor_split(count)
        for decoded, index in zip(loader, indices, strict=True):
            if isinstance(decoded, str):
                raise InvalidInput.at("/path", decoded)
            images = decoded.to(device, non_blocking=True)
            yield images.contiguous(memory_format=torch.channels_last), self.labels[index]


class _Decoded(TorchDataset[Tensor | str]):
    """Item: the images of an index (m,), decoded in a worker process; or an error message."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    def __getitem__(self, index: Order) -> Tensor | str:
        try:
            return torch.from_numpy(self._files[index])
        except InvalidInput as error:  # the exception does not survive pickling
            return "; ".join(fault.message for fault in error.faults)

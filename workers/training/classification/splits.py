"""The images of a split, batch by batch, on the device that trains: kept there, or decoded on the way there.

Both kinds give the same batches for the same order, so that training does not depend on where the images are.
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
"""Batches that each worker process has ready."""


class Batches(Protocol):
    """A split, as training and measuring see it."""

    def __len__(self) -> int: ...

    def batches(self, order: Order, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """`count` parts of almost equal size, in this order: images (m, c, h, w) uint8, channels last, labels (m,).

        In the place of labels there may be targets (m, K): soft pseudo labels.

        Raises InvalidInput that names a file which cannot be decoded.
        """


def in_order(split: Batches, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """All of a split, in batches of at most so many images."""
    return split.batches(np.arange(len(split)), math.ceil(len(split) / size))


def on_device(split: Split, device: torch.device, processes: int) -> Batches:
    """The split for `device`; images in files are decoded by `processes` of their own."""
    return with_targets(split.images, split.labels, device, processes)


def with_targets(images: Images, targets: Targets, device: torch.device, processes: int) -> Batches:
    """The same of images and their labels, or shares of classes."""
    wanted = torch.from_numpy(targets).to(device)
    if isinstance(images, ImageFiles):
        return StreamedSplit(images, wanted, processes)
    return ResidentSplit(torch.from_numpy(images).to(device, memory_format=torch.channels_last), wanted)


@dataclass(frozen=True, slots=True)
class ResidentSplit:
    """All images on the device, as uint8: what a batch costs is one gather."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, order: Order, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        for index in torch.from_numpy(order).to(self.labels.device).tensor_split(count):
            yield self.images[index], self.labels[index]


@dataclass(frozen=True, slots=True)
class StreamedSplit:
    """Images in files: worker processes decode the next batches while the device trains on this one."""

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
            generator=torch.Generator(),  # else it draws a seed from the global one, which dropout goes by
        )
        indices = torch.from_numpy(order).to(device).tensor_split(count)
        for decoded, index in zip(loader, indices, strict=True):
            if isinstance(decoded, str):
                raise InvalidInput.at("/path", decoded)
            images = decoded.to(device, non_blocking=True)
            yield images.contiguous(memory_format=torch.channels_last), self.labels[index]


class _Decoded(TorchDataset[Tensor | str]):
    """Item: the images of an index (m,), decoded in a worker process; a text where one of them cannot be."""

    def __init__(self, files: ImageFiles) -> None:
        self._files = files

    def __getitem__(self, index: Order) -> Tensor | str:
        try:
            return torch.from_numpy(self._files[index])
        except InvalidInput as error:  # its arguments do not travel between processes
            return "; ".join(fault.message for fault in error.faults)

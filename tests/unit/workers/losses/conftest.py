"""Vectors of the reference implementations, and small batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor

from workers.losses.atss import Targets
from workers.models.anchors import Anchors
from workers.models.boxes import Boxes
from workers.models.heads.one_stage import HeadOutputs

Golden: TypeAlias = Callable[[str], Mapping[str, Tensor]]


@pytest.fixture
def golden(shared: Path) -> Golden:
    """The tensors of a file of vectors, by name."""

    def load(name: str) -> Mapping[str, Tensor]:
        with np.load(shared / "golden" / f"{name}.npz") as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}

    return load


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture
def anchors() -> Anchors:
    """Anchors of images of 96 x 128 px on three levels: 192 + 48 + 12."""
    return Anchors.of([(12, 16), (6, 8), (3, 4)], (8, 16, 32), torch.zeros((), dtype=torch.float64))


@pytest.fixture
def make_targets(random: torch.Generator) -> Callable[..., Targets]:
    """Return random objects of five classes; `counts` are the numbers of objects per image."""

    def make(*counts: int) -> Targets:
        objects = []
        for count in counts:
            corners = torch.rand(count, 2, generator=random, dtype=torch.float64) * torch.tensor([80.0, 50.0])
            sides = 14 + 34 * torch.rand(count, 2, generator=random, dtype=torch.float64)
            labels = torch.randint(0, 5, (count,), generator=random)
            objects.append((Boxes(torch.cat((corners, corners + sides), 1)), labels))
        return Targets.of(objects)

    return make


@pytest.fixture
def targets(make_targets: Callable[..., Targets]) -> Targets:
    """Objects of three images, of which the second has none."""
    return make_targets(4, 0, 7)


@pytest.fixture
def make_outputs(random: torch.Generator, anchors: Anchors) -> Callable[..., HeadOutputs]:
    """Random outputs for three images and five classes."""

    def make(bins: int = 17, centerness: bool = False) -> HeadOutputs:
        def draw(*shape: int) -> Tensor:
            values = torch.randn(3, len(anchors.boxes), *shape, generator=random, dtype=torch.float64)
            return values.requires_grad_()

        return HeadOutputs(draw(5), draw(4 * max(1, bins)), draw() if centerness else None)

    return make

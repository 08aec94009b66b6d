"""A trained detector in a single file, ready for use in three lines::

    from workers.models.trained_detector import load

    model = load("model.safetensors")
    model.detect(images)  # uint8 (n, 3, side, side), fitted into the upper left -> Detections of each

The file has the form of a classifier's file (`workers.models.trained`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from searchsvc.errors import InvalidInput
from workers.models.detector import Detector
from workers.models.heads.detections import Detections
from workers.models.inputs import Inputs
from workers.models.trained import ModelCard, read

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class TrainedDetector:
    """A trained network with its card."""

    card: ModelCard
    network: Detector
    inputs: Inputs

    @property
    def side(self) -> int:
        """Side in px of the squares that the network sees."""
        return self.network.size[0]

    @torch.inference_mode()
    def detect(self, images: Tensor, sizes: Sequence[tuple[int, int]] | None = None) -> list[Detections]:
        """Return the detections in squares (n, 3, side, side) uint8, in their px.

        `sizes`: the (height, width) of each square that is not padding. Raises InvalidInput for any other tensor, as
        boxes would not be in its px.
        """
        wanted = (3, self.side, self.side)
        if images.dtype != torch.uint8 or tuple(images.shape[1:]) != wanted:
            given = f"{str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
            raise InvalidInput.at("", f"the model takes uint8 images (n, 3, {self.side}, {self.side}), not {given}")
        return self.network.detections(self.network(self.inputs(images)), sizes)


def load(path: str | Path, device: torch.device = _CPU) -> TrainedDetector:
    """Load the trained detector that a trial has stored. Raises InvalidInput if the file is not such a model."""
    card, network, inputs = read(path, "detection", device)
    if not isinstance(network, Detector):
        raise InvalidInput.at("", f"{path} describes a network that is no detector")
    return TrainedDetector(card, network, inputs)

"""A trained classifier as one file that says all about itself, and its use in three lines::

    from workers.models import load

    model = load("model.safetensors")
    model.predict(images)  # uint8 (n, h, w) or (n, h, w, c) -> names of classes

The file holds weights and a JSON text; loading it runs none of its content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from searchsvc.domain.parameters import Scalar
from searchsvc.errors import InvalidInput
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape

FORMAT: Literal["searchsvc-classifier/1"] = "searchsvc-classifier/1"
_KEY = "searchsvc"
_Side = Annotated[int, Field(ge=1, le=4096)]


class ModelCard(BaseModel):
    """What is known of a trained model besides its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["searchsvc-classifier/1"] = FORMAT
    task: str
    dataset: str
    values: dict[str, Scalar]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    shape: tuple[_Side, _Side, _Side]
    """(channels, height, width) of one image."""
    mean: tuple[float, ...]
    """Of each channel of the training images, 0 to 255."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    step: int
    metrics: dict[str, float]
    """Measured on the validation split at `step`."""

    @model_validator(mode="after")
    def _one_number_per_channel(self) -> Self:
        if not len(self.mean) == len(self.std) == self.shape[0]:
            raise ValueError(f"mean and std need one number for each of {self.shape[0]} channels")
        return self


@dataclass(frozen=True, slots=True)
class Classifier:
    """A trained network with its card."""

    card: ModelCard
    network: nn.Module
    inputs: Inputs

    def predict(self, images: NDArray[np.uint8]) -> list[str]:
        """The most likely class of each image; images as in `probabilities`."""
        return [self.card.classes[index] for index in self.probabilities(images).argmax(1)]

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, K) from uint8 images (n, h, w) or (n, h, w, c) of the size that the model was trained on.

        Raises InvalidInput for any other array.
        """
        return torch.softmax(self.logits(self._tensor(images)), 1).numpy()

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """(n, K) from uint8 images (n, c, h, w)."""
        parts = [self.network(self.inputs(part)) for part in torch.split(images, self.inputs.batch)]
        return torch.cat(parts) if parts else torch.zeros(0, len(self.card.classes))

    def _tensor(self, images: NDArray[np.uint8]) -> Tensor:
        array = np.asarray(images)
        if array.ndim == 3:
            array = array[..., None]
        channels, height, width = self.card.shape
        if array.dtype != np.uint8 or array.shape[1:] != (height, width, channels):
            wanted = f"(n, {height}, {width}, {channels})" if channels > 1 else f"(n, {height}, {width})"
            raise InvalidInput.at("", f"the model takes uint8 images {wanted}, not {images.dtype} {np.shape(images)}")
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def serialise(network: torch.nn.Module, card: ModelCard) -> bytes:
    """The content of a model file: the same bytes for the same model (one key of metadata has one order)."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return save(tensors, {_KEY: card.model_dump_json()})


def load(path: str | Path) -> Classifier:
    """The trained model in a file that a trial has left.

    Raises InvalidInput where the file is no such model.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise InvalidInput.at("", f"{path} cannot be read as a safetensors file: {error}") from None
    if _KEY not in metadata:
        raise InvalidInput.at("", f"{path} holds weights, but not the metadata of a trained searchsvc model")
    return _classifier(path, metadata[_KEY], tensors)


def _classifier(path: str | Path, text: str, tensors: Mapping[str, Tensor]) -> Classifier:
    try:
        card = ModelCard.model_validate_json(text)
        network = build(card.values, card.shape, len(card.classes))
        network.load_state_dict(dict(tensors))
    except ValidationError as error:
        raise InvalidInput.at("", f"the metadata of {path} is not that of {FORMAT}: {_first(error.errors())}") from None
    except RuntimeError as error:
        raise InvalidInput.at("", f"the weights in {path} do not fit the network that it describes: {error}") from None
    network.to(memory_format=torch.channels_last).eval().requires_grad_(False)
    inputs = Inputs.of(card.mean, card.std, card.shape, input_shape(card.values, card.shape))
    return Classifier(card, network, inputs)


def _first(errors: Iterable[Any]) -> str:
    return json.dumps(next(iter(errors))["msg"])

"""A trained classifier in a single file with its own description, ready for use in three lines::

    from workers.models import load

    model = load("model.safetensors")
    model.predict(images)  # uint8 (n, h, w) or (n, h, w, c) -> names of classes

The file holds weights and a JSON text; loading it runs none of its content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal, Protocol, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from searchsvc.domain.faults import faults_of_json
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import DatasetInfo, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.spaces import networks
from searchsvc.spaces.recipe import has_independent_classes
from workers.models.inputs import Inputs
from workers.models.networks import build, input_shape

Format: TypeAlias = Literal["searchsvc-classifier/1", "searchsvc-detector/1"]
FORMATS: Mapping[str, Format] = MappingProxyType(
    {"classification": "searchsvc-classifier/1", "detection": "searchsvc-detector/1"}
)
"""Formats of model files by task."""
_KEY = "searchsvc"
_CPU = torch.device("cpu")
_Side = Annotated[int, Field(ge=1, le=4096)]


class DescribedDataset(Protocol):
    """The fields of a card that describe the dataset."""

    @property
    def name(self) -> str: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...

    @property
    def info(self) -> DatasetInfo: ...


class ModelCard(BaseModel):
    """The metadata of a trained model, stored with its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Format = FORMATS["classification"]
    task: str
    dataset: str
    values: dict[str, Scalar]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    shape: tuple[_Side, _Side, _Side]
    """(channels, height, width) of an image."""
    mean: tuple[float, ...]
    """Mean of each channel of the training images, 0 to 255."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    step: int
    metrics: dict[str, float]
    """Measured on the validation split at `step`."""

    @classmethod
    def of(cls, task: TrialTask, dataset: DescribedDataset, last: Measurement) -> Self:
        """Describe the weights that gave the measurement `last`."""
        return cls(
            format=FORMATS[task.task],
            task=task.task,
            dataset=dataset.name,
            values=dict(task.values),
            classes=dataset.classes,
            shape=dataset.info.shape,
            mean=dataset.mean,
            std=dataset.std,
            step=last.step,
            metrics=dict(last.metrics),
        )

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
        """Return the most likely class of each image; images as in `probabilities`."""
        return [self.card.classes[index] for index in self.probabilities(images).argmax(1)]

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities (n, K) of uint8 images (n, h, w) or (n, h, w, c), as many channels as in training.

        Images of any size are resized to the size that the network sees, as in the model's ONNX file. The probabilities
        of an image sum to 1, unless the model was trained to decide on each class separately (`class_loss: sigmoid`).
        Raises InvalidInput for any other array.
        """
        return self.shares(self.logits(self._tensor(images))).numpy()

    def shares(self, logits: Tensor) -> Tensor:
        """Return the probabilities (n, K) of logits (n, K): sigmoid if classes are independent, otherwise softmax."""
        return torch.sigmoid(logits) if self.independent else torch.softmax(logits, 1)

    @property
    def independent(self) -> bool:
        """True if each class has its own probability (sigmoid)."""
        return has_independent_classes(self.card.values)

    @torch.inference_mode()
    def logits(self, images: Tensor) -> Tensor:
        """Return logits (n, K) of uint8 images (n, c, h, w)."""
        parts = [self.network(self.inputs(part)) for part in self.inputs.parts(images)]
        return torch.cat(parts) if parts else torch.zeros(0, len(self.card.classes))

    def _tensor(self, images: NDArray[np.uint8]) -> Tensor:
        array = np.asarray(images)
        if array.ndim == 3:
            array = array[..., None]
        channels, *_ = self.card.shape
        fits = array.ndim == 4 and array.shape[3] == channels and min(array.shape[1:3]) > 0
        if array.dtype != np.uint8 or not fits:
            wanted = f"(n, h, w, {channels})" if channels > 1 else "(n, h, w)"
            raise InvalidInput.at("", f"the model takes uint8 images {wanted}, not {images.dtype} {np.shape(images)}")
        return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))


def serialise(network: torch.nn.Module, card: ModelCard) -> bytes:
    """Return the content of a model file; equal models give equal bytes, as a single metadata key has a single order.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    return save(tensors, {_KEY: card.model_dump_json()})


def load(path: str | Path, device: torch.device = _CPU) -> Classifier:
    """Load the trained classifier that a trial has stored.

    Raises InvalidInput if the file is not such a model.
    """
    return Classifier(*read(path, "classification", device))


def read(path: str | Path, task: str, device: torch.device = _CPU) -> tuple[ModelCard, nn.Module, Inputs]:
    """Load a trained model of a task, ready to predict. Raises InvalidInput if the file is not such a model."""
    try:
        with safe_open(path, "pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise InvalidInput.at("", f"{path} cannot be read as a safetensors file: {error}") from error
    if _KEY not in metadata:
        raise InvalidInput.at("", f"{path} holds weights, but not the metadata of a trained searchsvc model")
    card = _card(path, metadata[_KEY], task)
    values = networks.complete(card.values, task)
    network = build(values, card.shape, len(card.classes))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise InvalidInput.at("", f"the weights in {path} do not fit the network that it describes: {error}") from None
    network.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    return card, network, Inputs.of(card.mean, card.std, card.shape, input_shape(values, card.shape), device)


def _card(path: str | Path, text: str, task: str) -> ModelCard:
    wanted = FORMATS[task]
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = faults_of_json(error, text, ModelCard)[0]
        raise InvalidInput.at("", f"the metadata of {path} is not that of {wanted}: {first}") from None
    if card.format != wanted:
        raise InvalidInput.at("", f"the metadata of {path} is that of {card.format}, not of {wanted}")
    return card



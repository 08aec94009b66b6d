"""A training step of a detector and its parts, compared with torchvision's RetinaNet and FCOS on the same backbone.

All three have our backbone and pyramid, heads of four convolutions of its width, the same images, objects and
optimiser, and take turns. The shares: assignment in a training step, and decoding with suppression in an inference in
which a fifth of all scores exceed the limit, more than a trained detector leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet

from benchmarks.report import Row
from benchmarks.training import Side, seconds_per_step
from searchsvc.spaces import networks
from searchsvc.spaces.complete import CompleteValues
from workers.losses.atss import Targets, assign
from workers.losses.one_stage import OneStageLoss
from workers.models import build
from workers.models.boxes import Boxes
from workers.models.detector import Detector
from workers.models.heads.one_stage import HeadOutputs
from workers.training.optimisation import Optimisation
from workers.training.recipe import Recipe

CLASSES, OBJECTS = 10, 6
ON_CPU: Mapping[str, Any] = {
    "network": "detector-small", "base_width": 16, "neck_channels": 64, "head_width": 64,
    "head_depth": 4, "coarser": 2, "batch_size": 8, "resolution": 160,
}  # fmt: skip
ON_GPU: Mapping[str, Any] = {"network": "detector", "batch_size": 16, "resolution": 640}
"""Values for a GPU: ResNet-50."""
_RECIPE: Mapping[str, Any] = {"optimizer": "adamw", "lr": 1e-4}
_LOGITS = (-4.0, 1.2)
"""Mean and deviation of class logits in the inference."""
MOST_ASSIGNMENT, MOST_SUPPRESSION = 0.1, 0.5


def rows() -> list[Row]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    values = networks.complete({**(ON_GPU if device.type == "cuda" else ON_CPU), **_RECIPE})
    return [*_compared(values, device), *_shares(values, device)]


def _compared(values: CompleteValues, device: torch.device) -> list[Row]:
    kinds = (RetinaNet, FCOS)
    sides = [_ours(values, device), *(_torchvisions(kind, values, device) for kind in kinds)]
    ours, *theirs = seconds_per_step(sides, 1, device)
    what = f"training step, {values['resolution']} px, batch {values['batch_size']}, {device.type}"
    return [
        Row(what, _ms(ours), f"{_ms(one)}  torchvision's {kind.__name__}", one / ours, ">= 1.0", one >= ours)
        for kind, one in zip(kinds, theirs, strict=True)
    ]


def _shares(values: CompleteValues, device: torch.device) -> list[Row]:
    detector = _detector(values).to(device).eval()
    images, objects = _scenes(values, device)
    targets = Targets.of((Boxes(boxes), labels) for boxes, labels in objects)
    with torch.inference_mode():
        outputs = detector(images)
    outputs = outputs._replace(classes=_LOGITS[0] + _LOGITS[1] * torch.randn_like(outputs.classes))
    anchors = detector.anchors(outputs.classes)

    @torch.inference_mode()
    def forward() -> HeadOutputs:
        return detector(images)

    sides: list[Side] = [
        _ours(values, device),
        lambda: assign(anchors, targets, len(images)),
        forward,
        lambda: detector.detections(outputs),
    ]
    step, assignment, network, suppression = seconds_per_step(sides, 1, device)
    whole = network + suppression
    return [
        _share("assignment", assignment, step, "the training step", MOST_ASSIGNMENT),
        _share("decoding and suppression", suppression, whole, "the inference", MOST_SUPPRESSION),
    ]


def _share(what: str, part: float, whole: float, name: str, most: float) -> Row:
    share = part / whole
    return Row(f"{what} of a batch", _ms(part), f"{_ms(whole)}  {name}", share, f"<= {most}", share <= most)


# ---- the sides -------------------------------------------------------------------------------------------------------


def _ours(values: CompleteValues, device: torch.device) -> Side:
    images, objects = _scenes(values, device)
    loss_of = OneStageLoss.of(values)

    def losses(model: Detector) -> Mapping[str, Tensor]:
        outputs = model(images)
        targets = Targets.of((Boxes(boxes), labels) for boxes, labels in objects)
        return loss_of(outputs, model.anchors(outputs.classes), targets)

    return _trained(_detector(values), values, device, losses)


def _torchvisions(kind: type[RetinaNet | FCOS], values: CompleteValues, device: torch.device) -> Side:
    images, objects = _scenes(values, device)
    pyramid = _Pyramid(_detector(values).neck, values["neck_channels"])
    plain = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3, "_skip_resize": True}

    def losses(model: nn.Module) -> Mapping[str, Tensor]:
        targets = [{"boxes": boxes, "labels": labels} for boxes, labels in objects]
        return model(list(images), targets)

    return _trained(kind(pyramid, CLASSES, **plain), values, device, losses)


def _trained(
    model: Any, values: CompleteValues, device: torch.device, losses: Callable[[Any], Mapping[str, Tensor]]
) -> Side:
    """Run a step of the optimiser on the sum of losses, in the precision of the device."""
    optimisation = Optimisation(model, Recipe.of(values), images=values["batch_size"], epochs=1000, device=device)
    optimisation.model.train()

    def step() -> None:
        with optimisation.precision.autocast():
            terms = losses(optimisation.model)
        optimisation.step(torch.stack([*terms.values()]).sum())

    return step


class _Pyramid(nn.Module):
    """Our backbone and neck, with the interface that torchvision's detectors expect."""

    def __init__(self, neck: nn.Module, channels: int) -> None:
        super().__init__()
        self.neck, self.out_channels = neck, channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {str(level): maps for level, maps in enumerate(self.neck(images))}


def _detector(values: CompleteValues) -> Detector:
    torch.manual_seed(0)
    side = values["resolution"]
    detector = build(values, (3, side, side), CLASSES)
    assert isinstance(detector, Detector)
    return detector


def _scenes(values: CompleteValues, device: torch.device) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Return images (n, 3, side, side) of noise, and the boxes and labels of some objects for each image."""
    random, side, count = torch.Generator().manual_seed(0), values["resolution"], values["batch_size"]
    images = torch.randn(count, 3, side, side, generator=random)
    corners = torch.rand(count, OBJECTS, 2, generator=random) * side / 2
    sides = side / 10 + torch.rand(count, OBJECTS, 2, generator=random) * side / 3
    boxes = torch.cat((corners, corners + sides), 2).to(device)
    labels = torch.randint(CLASSES, (count, OBJECTS), generator=random).to(device)
    return images.to(device, memory_format=torch.channels_last), list(zip(boxes, labels, strict=True))


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"

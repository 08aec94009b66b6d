"""Detectors of the spaces, built and counted; synthetic scenes to train them on."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from searchsvc.domain import Scalar
from searchsvc.spaces.networks import complete
from workers.losses.atss import Targets
from workers.models import build
from workers.models.blocks.sac import SwitchableAtrousConv
from workers.models.boxes import Boxes
from workers.models.detector import Detector

Shape = tuple[int, int, int]
ELEMENTWISE = (nn.BatchNorm2d, nn.GroupNorm, nn.ReLU, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.Sigmoid)


def detector(values: Mapping[str, Scalar], shape: Shape = (3, 96, 96), classes: int = 3) -> Detector:
    """Return a detector; the family is detector-small, unless the values name another."""
    torch.manual_seed(0)
    made = build(complete({"network": "detector-small", **values}), shape, classes)
    assert isinstance(made, Detector)
    return made


def counted(values: Mapping[str, Scalar], shape: Shape, classes: int) -> tuple[int, int]:
    """Return (FLOPs, parameters) counted by torch, with hooks for deformable convolutions.

    Normalisation and activations count as none and take half of the time: they are skipped.
    """
    with torch.device("meta"):
        made = detector(values, shape, classes).eval()
    deformed = [0]

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(layer, SwitchableAtrousConv)
        deformed[0] += 2 * layer.weight[0].numel() * output.numel()

    for layer in made.modules():
        if isinstance(layer, ELEMENTWISE):
            layer.forward = nn.Identity().forward
        if isinstance(layer, SwitchableAtrousConv) and layer.offset_s is not None:
            layer.register_forward_hook(count)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        made(torch.empty(1, shape[0], *made.size, device="meta"))
    return counter.get_total_flops() // 2 + deformed[0], sum(one.numel() for one in made.parameters())


def scenes(count: int, side: int, classes: int = 3) -> tuple[Tensor, Targets]:
    """Return images of noise with two squares each, whose class is their colour; at most 6 classes."""
    generator = torch.Generator().manual_seed(4)
    images = 0.3 * torch.randn(count, 3, side, side, generator=generator)
    objects = []
    for image in images:
        labels = torch.randint(classes, (2,), generator=generator)
        half, sizes = side // 2, torch.randint(side // 5, side // 2, (2,), generator=generator)
        boxes = torch.tensor([[half * i, half * i, half * i + size, half * i + size] for i, size in enumerate(sizes)])
        for box, label in zip(boxes.tolist(), labels.tolist(), strict=True):
            x0, y0, x1, y1 = box
            image[label % 3, y0:y1, x0:x1] += 3.0 if label < 3 else -3.0
        objects.append((Boxes(boxes.float()), labels))
    return images, Targets.of(objects)

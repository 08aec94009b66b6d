"""timm's ResNets as `searchsvc.spaces.resnet` describes them: narrow, and for small images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.models.resnet import ResNet
from torch import nn

from searchsvc.spaces.resnet import stem_stride


def parts_of_resnet(model: ResNet) -> list[list[nn.Module]]:
    """Stem, stages, and what follows."""
    return [[model.conv1, model.bn1], *([model.get_submodule(f"layer{stage}")] for stage in range(1, 5)), [model.fc]]


def resnet(values: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Normalised images (n, c, h, w) -> logits (n, K); `values` has every parameter."""
    width: int = values["base_width"]
    model = timm.create_model(
        values["network"],
        in_chans=shape[0],
        num_classes=classes,
        channels=tuple(width * 2**stage for stage in range(4)),
        stem_width=width // 2,
        drop_rate=values["dropout"],
        drop_path_rate=values["drop_path"],
    )
    model.conv1[0].stride = (stem_stride(*shape[1:]),) * 2
    model.maxpool = nn.Identity()
    return model  # type: ignore[no-any-return]

"""timm's ResNets in the form of `searchsvc.spaces.resnet`: narrow, and for small images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import timm
from timm.models.resnet import ResNet
from torch import nn

from searchsvc.spaces.resnet import stem_stride


def parts_of_resnet(model: ResNet) -> list[list[nn.Module]]:
    """Return the modules of the stem, of each stage, and the classifier."""
    return [[model.conv1, model.bn1], *([model.get_submodule(f"layer{stage}")] for stage in range(1, 5)), [model.fc]]


def resnet(values: Mapping[str, Any], shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build a network from normalised images (n, c, h, w) to logits (n, K); `values` contains every parameter."""
    width: int = values["base_width"]
    model = timm.create_model(
        values["network"],
        in_chans=shape[0],
        num_classes=classes,
        channels=tuple(width * 2**stage for stage in range(4)),  # of the 3 x 3 convolutions
        stem_width=width // 2,
        drop_rate=values["dropout"],
        drop_path_rate=values["drop_path"],
    )
    # timm's stem halves the map twice, which is too much for small images.
    model.conv1[0].stride = (stem_stride(*shape[1:]),) * 2
    model.maxpool = nn.Identity()
    return model  # type: ignore[no-any-return]

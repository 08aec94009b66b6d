"""The space `resnet-small`: timm's ResNets for small images, which show whether a recipe transfers between networks.

A network is timm's network with the same name, with `base_width` channels in its first stage and twice as many in each
of the next three. For small images its stem does not pool, and has a stride of 1 below 48 px. Blocks are basic blocks
(arXiv 1512.03385), and the stem has three convolutions. Shortcuts that change the shape are a mean over 2x2 pixels and
a pointwise convolution (arXiv 1812.01187). FLOPs and parameters are counted as in `searchsvc.spaces.mbconv`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from searchsvc.domain.parameters import Categorical, Integer, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces import recipe
from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.costs.model import COUNTED, FLOPS, PARAMS, CostModel
from searchsvc.spaces.costs.stages import CLASSIFIER, CONVOLUTION, Stage
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.network_family import NetworkFamily
from searchsvc.spaces.resolution import RESOLUTION, at_resolutions, shape_at
from searchsvc.spaces.space import Matrix, Space

LAYERS: Mapping[str, tuple[int, int, int, int]] = MappingProxyType(
    {"resnet10t": (1, 1, 1, 1), "resnet18d": (2, 2, 2, 2), "resnet34d": (3, 4, 6, 3)}
)
"""Number of blocks of the four stages, by network name."""

DEFAULTS: Mapping[str, Scalar] = MappingProxyType({"base_width": 16})
LIMITS: Limits = MappingProxyType({"base_width": Integer("base_width", 8, 256, 8)})


def resnet_small() -> Space:
    """Return the shipped space: the network, its width, and the recipe genes of `fbnetv3-small`."""
    networks = Categorical("network", ("resnet10t", "resnet18d"))
    return Space([networks, Categorical("base_width", (8, 16, 32)), *recipe.FBNETV3_SHORT])


def stem_stride(height: int, width: int) -> int:
    """Return the stride of the first convolution."""
    return 2 if min(height, width) >= 48 else 1


def stem_widths(name: str, width: int) -> tuple[int, int, int]:
    """Return the output channels of the three stem convolutions; narrow networks (t) have fewer in the first."""
    half = width // 2
    return (3 * (half // 4) if name.endswith("t") else half), half, width


def cost_model(name: str) -> Callable[[Space, DatasetInfo, Mapping[str, Scalar]], CostModel]:
    """Return the factory of the cost model of a network: exact FLOPs and parameters.

    The factory takes a space, a dataset, and defaults for parameters outside the space.
    """

    def bound(space: Space, info: DatasetInfo, defaults: Mapping[str, Scalar]) -> CostModel:
        axis = Axis.of(space, "base_width", defaults["base_width"])
        table = np.array([_costs(name, int(width), info) for width in axis.values], float)  # (k, 2)

        def costs(matrix: Matrix) -> Mapping[str, Matrix]:
            chosen = np.broadcast_to(axis.codes(matrix), len(matrix))  # (n,)
            return {FLOPS: table[chosen, 0], PARAMS: table[chosen, 1]}

        return CostModel(COUNTED, costs)

    return bound


def _costs(name: str, width: int, info: DatasetInfo) -> tuple[float, float]:
    """Return (FLOPs, parameters) of a network."""
    stages = _stages(name, width, info.shape, len(info.classes))
    return sum(stage.flops for stage in stages), sum(stage.params for stage in stages)


def stages_of(name: str) -> Callable[[Mapping[str, Any], DatasetInfo], list[Stage]]:
    """Return a function that lists the stages of a network, from the image on, for complete values."""

    def listed(values: Mapping[str, Any], info: DatasetInfo) -> list[Stage]:
        return _stages(name, int(values["base_width"]), shape_at(info.shape, values[RESOLUTION]), len(info.classes))

    return listed


def _stages(name: str, width: int, shape: tuple[int, int, int], classes: int) -> list[Stage]:
    inputs, height, side = shape
    stages: list[Stage] = []

    def add(stage: str, block: str, convolutions: list[tuple[int, int, int]], *, stride: int, count: int = 1) -> None:
        """Append a stage. `convolutions`: (inputs, outputs, kernel), all on maps of the output's size."""
        weights = sum(kernel**2 * i * o for i, o, kernel in convolutions)
        norms = sum(2 * o for _, o, _ in convolutions)
        stages.append(
            Stage(
                stage,
                block,
                count=count,
                kernel=max(kernel for _, _, kernel in convolutions),
                stride=stride,
                channels=convolutions[-1][1],
                height=height,
                width=side,
                flops=weights * height * side,
                params=weights + norms,
            )
        )

    stride = stem_stride(height, side)
    height, side = -(-height // stride), -(-side // stride)
    for index, outputs in enumerate(stem_widths(name, width)):
        add("stem", CONVOLUTION, [(inputs, outputs, 3)], stride=1 if index else stride)
        inputs = outputs
    for stage, blocks in enumerate(LAYERS[name]):
        outputs, stride = width * 2**stage, 2 if stage else 1
        height, side = -(-height // stride), -(-side // stride)
        shortcut = [(inputs, outputs, 1)] * bool(stage)
        first = [*shortcut, (inputs, outputs, 3), (outputs, outputs, 3)]
        add(f"stage {stage + 1}", "basic block", first, stride=stride)
        if blocks > 1:
            others = [(outputs, outputs, 3)] * 2 * (blocks - 1)
            add(f"stage {stage + 1}", "basic block", others, stride=1, count=blocks - 1)
        inputs = outputs
    head = Stage(
        "head",
        CLASSIFIER,
        channels=classes,
        height=1,
        width=1,
        flops=inputs * classes,
        params=(inputs + 1) * classes,
    )
    return [*stages, head]


NETWORKS = tuple(
    NetworkFamily(
        name,
        "classification",
        DEFAULTS,
        LIMITS,
        cost_model=at_resolutions(cost_model(name)),
        stages=stages_of(name),
    )
    for name in LAYERS
)

"""The space `mbconv-small`: small MBConv networks for images of 8 to 64 px, together with the recipe that trains them.

A network has these stages (`workers.models.mbconv` builds it from the same values)::

    image (c, h, w) -> stem 3x3 conv -> stage 1 -> stage 2 -> stage 3 -> global mean -> dropout -> linear (classes)

Stage i consists of `depth_i` blocks with `width_i` channels; its first block has the stride. A block is an inverted
residual (MobileNetV2, arXiv 1801.04381) with `expansion` times its input channels, rounded to a multiple of 8. With an
expansion of 1 it is depthwise separable, without the first pointwise convolution. Convolutions have no bias, and batch
normalisation follows each of them. Squeeze-and-excitation (`se`) has a quarter of the expanded channels.

FLOPs are the multiply-adds of convolutions and the linear layer in the forward pass of an image, as in the papers of
EfficientNet and FBNet (half of the number that `torch.utils.flop_counter` returns). Parameters are the trained weights,
biases, and scales and shifts of batch normalisation.

| symbol | meaning |
|---|---|
| i, m, o | input, expanded (mid) and output channels of a block |
| k, r | kernel of the depthwise convolution, channels inside squeeze-and-excitation |
| P, Q | pixels of a block's input and output |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Float, Integer, Parameter, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.model import COUNTED, FLOPS, PARAMS, CostModel
from searchsvc.spaces.costs.stages import CLASSIFIER, CONVOLUTION, INVERTED_RESIDUAL, Stage
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.network_family import NetworkFamily
from searchsvc.spaces.recipe import OPTIMIZERS, WITH_MOMENTUM
from searchsvc.spaces.resolution import RESOLUTION, at_resolutions, shape_at
from searchsvc.spaces.space import Matrix, Space

STAGES = (1, 2, 3)

DEFAULTS: Mapping[str, Scalar] = MappingProxyType(
    {
        "stem_width": 16,
        "depth_1": 1,
        "depth_2": 2,
        "depth_3": 2,
        "width_1": 16,
        "width_2": 24,
        "width_3": 48,
        "kernel": 3,
        "expansion": 3,
        "se": False,
    }
)
"""The value of every architecture parameter that a space does not contain."""

_SHIPPED = Space(
    [
        Integer("stem_width", 8, 24, 8),
        Integer("depth_2", 1, 3),
        Integer("depth_3", 1, 3),
        Integer("width_1", 8, 24, 8),
        Integer("width_2", 16, 48, 8),
        Integer("width_3", 32, 96, 16),
        Categorical("kernel", (3, 5)),
        Integer("expansion", 1, 4),
        Categorical("se", (False, True)),
        Categorical("optimizer", OPTIMIZERS),
        Float("lr", 1e-3, 0.3, log=True),
        Float("momentum", 0.8, 0.98, when={"optimizer": WITH_MOMENTUM}),
        Float("weight_decay", 1e-5, 0.1, log=True),
        Float("mixup", 0.0, 0.4),
        Float("label_smoothing", 0.0, 0.2),
        Float("dropout", 0.0, 0.4),
        Categorical("ema", (False, True)),
        Float("ema_decay", 0.9, 0.999, when={"ema": (True,)}),
    ]
)

_WIDEST: tuple[Parameter, ...] = (
    Integer("stem_width", 4, 512),
    *(Integer(f"depth_{stage}", 1, 16) for stage in STAGES),
    *(Integer(f"width_{stage}", 4, 1024) for stage in STAGES),
    Integer("kernel", 1, 11, 2),
    Float("expansion", 1.0, 16.0),
    Categorical("se", (False, True)),
)

LIMITS: Limits = MappingProxyType({parameter.name: parameter for parameter in _WIDEST})
"""The widest ranges with which the network can be built, far beyond the shipped space."""

_ROWS = 8192
"""Candidates per chunk, so that intermediate results fit into the cache of a core."""

_Column: TypeAlias = NDArray[Any]
"""(n,), or () if all candidates have the same value."""

_ONE, _STEM_KERNEL = np.ones(()), np.array(3.0)


def mbconv_small() -> Space:
    """Return the shipped space: 18 parameters, two of them with conditions."""
    return _SHIPPED


def strides(height: int, width: int) -> tuple[int, int, int, int]:
    """Return the strides of stem and stages: images of 8 to 64 px end as 2 to 4 px, and no map vanishes."""
    side = min(height, width)
    return 2 if side >= 24 else 1, 2 if side >= 48 else 1, 2, 2


def cost_model(space: Space, info: DatasetInfo, defaults: Mapping[str, Scalar] = DEFAULTS) -> CostModel:
    """Return the exact FLOPs and parameters of matrices of `space`, for images and classes as in `info`.

    `defaults` replace parameters outside the space and inactive values.
    """

    def costs(matrix: Matrix) -> Mapping[str, Matrix]:
        flops, params = np.empty(len(matrix)), np.empty(len(matrix))
        for start in range(0, len(matrix), _ROWS):
            rows = slice(start, start + _ROWS)
            flops[rows], params[rows] = _network(_columns(space, matrix[rows], defaults), info.shape, len(info.classes))
        return {FLOPS: flops, PARAMS: params}

    return CostModel(COUNTED, costs)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Equal consecutive blocks of a stage; the fields describe a single network, or many networks as arrays."""

    stage: str
    block: str
    count: _Column
    kernel: _Column
    stride: int
    channels: _Column
    side: tuple[int, int]
    """(height, width) of the output, in pixels."""
    flops: _Column
    """Sum over all blocks."""
    params: _Column


def _network(columns: Mapping[str, _Column], shape: tuple[int, int, int], classes: int) -> tuple[_Column, _Column]:
    """Return (FLOPs, parameters) of networks; both (n,) or ()."""
    pieces = list(_pieces(columns, shape, classes))
    flops: _Column = sum((piece.flops for piece in pieces), np.zeros(()))
    params: _Column = sum((piece.params for piece in pieces), np.zeros(()))
    return flops, params


def _pieces(columns: Mapping[str, _Column], shape: tuple[int, int, int], classes: int) -> Iterator[_Piece]:
    """Yield stem, stages and classifier for images of `shape` (channels, height, width)."""
    channels, height, width = shape
    stem, *stage_strides = strides(height, width)
    expansion, kernel, se = columns["expansion"], columns["kernel"], columns["se"]
    height, width = _halved(height, stem), _halved(width, stem)
    inputs = columns["stem_width"]
    yield _Piece(
        "stem",
        CONVOLUTION,
        _ONE,
        _STEM_KERNEL,
        stem,
        inputs,
        (height, width),
        inputs * (9.0 * channels * height * width),
        inputs * (9.0 * channels + 2.0),
    )
    for stage, stride in zip(STAGES, stage_strides, strict=True):
        before = float(height * width)
        height, width = _halved(height, stride), _halved(width, stride)
        after, outputs, repeats = float(height * width), columns[f"width_{stage}"], columns[f"depth_{stage}"] - 1.0
        name, side = f"stage {stage}", (height, width)
        first = _block(inputs, outputs, kernel, expansion, se, before, after)
        yield _Piece(name, INVERTED_RESIDUAL, _ONE, kernel, stride, outputs, side, *first)
        flops, params = _block(outputs, outputs, kernel, expansion, se, after, after)
        yield _Piece(name, INVERTED_RESIDUAL, repeats, kernel, 1, outputs, side, repeats * flops, repeats * params)
        inputs = outputs
    flops, params = inputs * float(classes), (inputs + 1.0) * float(classes)
    yield _Piece("head", CLASSIFIER, _ONE, _ONE, 1, np.array(float(classes)), (1, 1), flops, params)


def stages(values: Mapping[str, Scalar], info: DatasetInfo) -> list[Stage]:
    """Return the stages of the network that complete values describe, from the image on."""
    columns = {name: np.array(values[name], float) for name in DEFAULTS}
    pieces = _pieces(columns, shape_at(info.shape, values[RESOLUTION]), len(info.classes))
    return [
        Stage(
            piece.stage,
            piece.block,
            count=int(piece.count),
            kernel=int(piece.kernel) if piece.block != CLASSIFIER else None,
            stride=piece.stride,
            channels=int(piece.channels),
            expansion=float(columns["expansion"]) if piece.block == INVERTED_RESIDUAL else None,
            squeezes=piece.block == INVERTED_RESIDUAL and bool(values["se"]),
            height=piece.side[0],
            width=piece.side[1],
            flops=float(piece.flops),
            params=float(piece.params),
        )
        for piece in pieces
        if piece.count > 0
    ]


def _block(
    i: _Column, o: _Column, k: _Column, expansion: _Column, se: _Column, P: float, Q: float
) -> tuple[_Column, _Column]:
    """Return (FLOPs, parameters) of a block; both (n,) or ()."""
    expands = expansion != 1.0
    m = np.where(expands, _divisible(i * expansion), i)
    im, mo, mk = expands * (i * m), m * o, m * (k * k)
    r = se * np.rint(m * 0.25)
    mr = 2.0 * m * r
    flops = im * P + (mk + mo) * Q + mr
    params = im + mk + mo + mr + r + se * m + 2.0 * (m * (1.0 + expands) + o)
    return flops, params


def _divisible(channels: _Column) -> _Column:
    """Return the nearest multiple of 8, at least 0.9 times the channels (timm.layers.make_divisible)."""
    rounded: _Column = np.maximum(8.0, np.floor(np.trunc(channels + 4.0) * 0.125) * 8.0)
    result: _Column = rounded + 8.0 * (rounded < 0.9 * channels)
    return result


def _halved(side: int, stride: int) -> int:
    return (side - 1) // stride + 1


def _columns(space: Space, matrix: Matrix, defaults: Mapping[str, Scalar]) -> dict[str, _Column]:
    """Return the values of the network's parameters as floats, (n,) or () each."""
    return {name: _column(space, matrix, name, defaults[name]) for name in DEFAULTS}


def _column(space: Space, matrix: Matrix, name: str, value: Scalar) -> _Column:
    default = np.array(value, float)
    if name not in space:
        return default
    parameter, column = space[name], np.ascontiguousarray(matrix[:, space.names.index(name)])
    if parameter.when:
        inactive = np.isnan(column)
        values = _decoded(parameter, np.where(inactive, 0.0, column))
        return np.where(inactive, default, values)
    return _decoded(parameter, column)


def _decoded(parameter: Parameter, column: _Column) -> _Column:
    if not isinstance(parameter, Categorical):
        return column
    choices = np.array(parameter.choices, float)
    return choices[column.astype(np.intp)] if len(choices) > 1 else choices[0]


NETWORKS = (
    NetworkFamily(
        "mbconv",
        "classification",
        DEFAULTS,
        LIMITS,
        cost_model=at_resolutions(cost_model),
        stages=stages,
    ),
)

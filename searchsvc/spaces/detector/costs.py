"""FLOPs and parameters of whole matrices of detectors, exact, without building one.

A recursive pyramid of T steps on B backbones (B = 1 where the steps share one, else T; T = B = 1: a plain FPN)::

    flops  = T (backbone + pyramid) + (T - 1) (feedback + recursion) + head
    params = B backbone + pyramid + F feedback + [T > 1] recursion + head,   F = max(B - 1, 1) where T > 1, else 0

Each of the five is a sum over parts that depend on few genes (`gathers`); a complex number holds both costs, FLOPs +
params * 1j. They are counted as those of blocks are (`detector_blocks`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces import recipe
from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.costs.gathers import Array, Gather, Part, Values
from searchsvc.spaces.costs.model import COUNTED, FLOPS, PARAMS, CostModel
from searchsvc.spaces.costs.operators import Layer
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.blocks import NOTHING, Cost, Size
from searchsvc.spaces.detector.space import (
    BACKBONES,
    LAST_STAGES,
    LIMITS,
    NECKS,
    RESNET,
    ROWS,
    SAC,
    STAGES,
    STRIDES,
    check_side,
)
from searchsvc.spaces.fbnetv3 import costs as fbnetv3_costs
from searchsvc.spaces.fbnetv3 import parts as fbnetv3_parts
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import Matrix, Space

_LIMITS: Limits = MappingProxyType({**recipe.DETECTION.limits, **LIMITS, **fbnetv3.LIMITS})
_GENES = (*LIMITS, *(f"trim{stage}" for stage in fbnetv3.TRIMMED), RESOLUTION, "class_loss", "boxes", "dfl_bins")
"""What decides costs."""
_SAC_OF_PARTS = (None, None, "sac_c3", "sac_c4", "sac_c4", "sac_c5", "sac_c5")
"""Of a network of FBNetV3's make: stem with stage 1, stages 2 to 6, stage 7."""
_UNTRIMMED: Mapping[str, Scalar] = MappingProxyType({f"trim{stage}": False for stage in fbnetv3.TRIMMED})
_COARSER = tuple(STRIDES[-1] * 2**number for number in (1, 2, 3))
_PLAIN, _SWITCHED, _DEFORMED = range(len(SAC))

Shape = tuple[int, int, int]
"""(channels, height, width) of an image, the last two replaced by a resolution."""
Axes = Mapping[str, Axis]


def cost_model(space: Space, info: DatasetInfo, defaults: Mapping[str, Scalar]) -> CostModel:
    """Of the candidates of a space. Raises InvalidInput where images are too small for some."""
    axes, shape = _axes(space, defaults), info.shape
    _check_sides(axes[RESOLUTION], shape)
    named = {int(code): BACKBONES[int(code)] for code in np.unique(axes["backbone"].values)}
    gather = partial(Gather, space, axes, dtype=complex)
    parts = (_backbone, _pyramid, _feedback)
    by_backbone = {code: [gather(one(name, shape)) for one in parts] for code, name in named.items()}
    recursion, head = gather([_recursion(shape)]), gather([_head(shape, len(info.classes))])

    def costs(matrix: Matrix) -> Mapping[str, Matrix]:
        chosen = np.broadcast_to(axes["backbone"].decoded(matrix), len(matrix))
        backbone, pyramid, feedback = _of_each(by_backbone, chosen, matrix)
        sums = (backbone, pyramid, feedback, recursion(matrix), head(matrix))
        pairs = list(zip(counts(*_steps(axes, matrix)), sums, strict=True))
        flops = sum((count.flops * cost.real for count, cost in pairs), np.zeros(()))
        params = sum((count.params * cost.imag for count, cost in pairs), np.zeros(()))
        return {FLOPS: flops, PARAMS: params}

    return CostModel(COUNTED, costs)


def counts(steps: Array, copies: Array) -> tuple[Cost, Cost, Cost, Cost, Cost]:
    """How often backbone, pyramid, feedback, recursion and head count, with so many steps and backbones."""
    fed = np.where(steps > 1, np.maximum(copies - 1, 1), 0)
    return Cost(steps, copies), Cost(steps, 1), Cost(steps - 1, fed), Cost(steps - 1, steps > 1), Cost(1, 1)


def parts_of(backbone: str, shape: Shape, classes: int) -> tuple[list[Part], list[Part], list[Part], Part, Part]:
    """Of backbone (stem, stages, attention at C3 to C5), pyramid (C2 to C5, coarser levels), feedback, recursion, head.

    The stem of a backbone of FBNetV3's make is in one part with its first stage.
    """
    three = _backbone(backbone, shape), _pyramid(backbone, shape), _feedback(backbone, shape)
    return (*three, _recursion(shape), _head(shape, classes))


def genes_of(values: Mapping[str, Scalar]) -> Values:
    """What the parts take, () each, from the complete values of one detector."""
    complete = {**values, **_UNTRIMMED}
    numbers = {name: (_words(name), complete[name]) for name in _GENES}
    return {name: np.array(words.index(one) if words else one, float) for name, (words, one) in numbers.items()}


def _axes(space: Space, defaults: Mapping[str, Scalar]) -> dict[str, Axis]:
    return {name: _axis(space, name, {**defaults, **_UNTRIMMED}[name]) for name in _GENES}


def _axis(space: Space, name: str, default: Scalar) -> Axis:
    """Of numbers; words count as their places among those that can be built."""
    return Axis.of(space, name, default, _words(name))


def _words(name: str) -> tuple[Scalar, ...]:
    """The words that a gene can be; none where it is a number."""
    limit = _LIMITS[name]
    return limit.choices if isinstance(limit, Categorical) and isinstance(limit.choices[0], str) else ()


def _check_sides(resolutions: Axis, shape: Shape) -> None:
    for side in resolutions.values:
        check_side(side or min(shape[1:]), "")


def _steps(axes: Axes, matrix: Matrix) -> tuple[Array, Array]:
    """Steps of the pyramid, and backbones."""
    recursive = axes["neck"].decoded(matrix) == NECKS.index("rfp")
    steps = np.where(recursive, axes["rfp_steps"].decoded(matrix), 1.0)
    return steps, np.where(axes["rfp_shared"].decoded(matrix), 1.0, steps)


def _of_each(gathers: Mapping[int, Sequence[Gather]], chosen: Array, matrix: Matrix) -> Array:
    """(3, n): of every row by the three gathers of its code."""
    result: Array = np.empty((3, len(matrix)), complex)
    for code, three in gathers.items():
        rows = np.flatnonzero(chosen == code)
        those = matrix[rows]
        for sums, gather in zip(result, three, strict=True):
            sums[rows] = gather(those)
    return result


# ---- backbones -------------------------------------------------------------------------------------------------------


def _backbone(name: str, shape: Shape) -> list[Part]:
    parts = _resnet(shape) if name == RESNET else _rows(name, shape)
    return parts + [
        Part((_gene(name, stage), "attention", "attention_at", RESOLUTION), partial(_attention, name, shape, stage))
        for stage in range(1, len(STRIDES))
    ]


def _resnet(shape: Shape) -> list[Part]:
    stages = [
        Part(
            ("base_width", f"depth_{stage + 1}", RESOLUTION, *([f"sac_{STAGES[stage - 1]}"] if stage else [])),
            partial(_resnet_stage, shape, stage),
        )
        for stage in range(len(STRIDES))
    ]
    return [Part(("base_width", RESOLUTION), partial(_resnet_stem, shape)), *stages]


def _resnet_stem(shape: Shape, values: Values) -> Array:
    width = values["base_width"]
    stem = blocks.convolution(shape[0], width, 7, _pixels(shape, values, 2), bias=False)
    return _complex(stem + blocks.normalisation(width))


def _resnet_stage(shape: Shape, stage: int, values: Values) -> Array:
    planes = values["base_width"] * 2**stage
    before, px = (_pixels(shape, values, STRIDES[one]) for one in (max(stage - 1, 0), stage))

    def block(inputs: Size, px_in: Size, shortcut: int) -> Cost:
        kinds = [
            blocks.convolution(planes, planes, 3, px, bias=False),
            *(blocks.switchable(planes, planes, 3, px_in, px, deform=deform) for deform in (False, True)),
        ]
        spatial = _chosen(values[f"sac_{STAGES[stage - 1]}"], kinds) if stage else kinds[_PLAIN]
        return blocks.bottleneck(inputs, planes, px_in, px, spatial=spatial, shortcut=shortcut)

    first = block(2 * planes if stage else planes, before, 1)
    return _complex(first + (values[f"depth_{stage + 1}"] - 1) * block(4 * planes, px, 0))


def _rows(name: str, shape: Shape) -> list[Part]:
    """Parts of the network without its head, by the kind of the depthwise convolutions in them."""
    kinds = [fbnetv3_parts.parts(ROWS[name], shape, partial(_price, kind)) for kind in range(len(SAC))]
    parts = []
    for gene, same in zip(_SAC_OF_PARTS, zip(*kinds, strict=True), strict=True):
        names = same[_PLAIN].names
        parts.append(Part((*names, gene), partial(_switched, gene, same)) if gene else same[_PLAIN])
    return parts


def _switched(gene: str, kinds: Sequence[Part], values: Values) -> Array:
    result: Array = sum((values[gene] == kind) * part.costs(values) for kind, part in enumerate(kinds))
    return result


def _price(kind: int, layer: Layer) -> Array:
    """Of a layer whose depthwise convolution is of that kind; the head is left out."""
    if layer.kind == "head":
        return np.zeros(())
    price = fbnetv3_costs.work(0)(layer)
    if layer.kind == "stem" or kind == _PLAIN:
        return price
    m, k, before, after = layer.mid, layer.kernel, layer.before, layer.after
    switchable = blocks.switchable(m, m, k, before, after, groups=m, deform=kind == _DEFORMED)
    return price + _complex(switchable) - _complex(blocks.convolution(m, m, k, after, groups=m, bias=False))


def _attention(name: str, shape: Shape, stage: int, values: Values) -> Array:
    c, px = _channels(name, stage, values[_gene(name, stage)]), _pixels(shape, values, STRIDES[stage])
    kinds = (NOTHING, blocks.non_local(c, c // 2, px, norm=True), blocks.disentangled(c, c // 2, px, norm=True))
    return _complex((values["attention_at"] == stage - 1) * _chosen(values["attention"], kinds))


# ---- neck and head ---------------------------------------------------------------------------------------------------


def _pyramid(name: str, shape: Shape) -> list[Part]:
    """The FPN, once through."""
    stages = [
        Part((_gene(name, stage), "neck_channels", "finest", RESOLUTION), partial(_level, name, shape, stage))
        for stage in range(len(STRIDES))
    ]
    return [*stages, Part(("neck_channels", "coarser", RESOLUTION), partial(_coarser, shape))]


def _level(name: str, shape: Shape, stage: int, values: Values) -> Array:
    there, inputs = values["finest"] <= STRIDES[stage], _channels(name, stage, values[_gene(name, stage)])
    return _complex(there * blocks.fpn([inputs], values["neck_channels"], [_pixels(shape, values, STRIDES[stage])]))


def _coarser(shape: Shape, values: Values) -> Array:
    c = values["neck_channels"]
    levels = (
        (values["coarser"] > number) * blocks.convolution(c, c, 3, _pixels(shape, values, stride))
        for number, stride in enumerate(_COARSER)
    )
    return _complex(sum(levels, NOTHING))


def _feedback(name: str, shape: Shape) -> list[Part]:
    """What a backbone adds that is fed back to, at the first blocks of its stages but the first."""
    firsts = [f"c{last + 1}" for last in LAST_STAGES[:-1]]
    genes = ["base_width"] * len(firsts) if name == RESNET else firsts
    return [
        Part((gene, "neck_channels", RESOLUTION), partial(_feedback_conv, name, shape, stage, gene))
        for stage, gene in enumerate(genes, start=1)
    ]


def _feedback_conv(name: str, shape: Shape, stage: int, gene: str, values: Values) -> Array:
    o, px = _channels(name, stage, values[gene]), _pixels(shape, values, STRIDES[stage])
    return _complex(blocks.feedback([o], values["neck_channels"], [px]))


def _recursion(shape: Shape) -> Part:
    """ASPP and fusion, once."""

    def costs(values: Values) -> Array:
        fed = [_pixels(shape, values, stride) for stride in STRIDES[1:]]
        _, px = _levels(shape, values)
        return _complex(blocks.recursion(values["neck_channels"], fed, [px], steps=2))

    return Part(("neck_channels", "finest", "coarser", RESOLUTION), costs)


def _head(shape: Shape, classes: int) -> Part:
    def costs(values: Values) -> Array:
        c, width, (levels, px) = values["neck_channels"], values["head_width"], _levels(shape, values)
        bins = np.where(values["boxes"] == recipe.BOXES.index("dfl"), values["dfl_bins"], 1)
        centerness = values["class_loss"] == recipe.CLASS_LOSSES.index("focal")
        norm = blocks.normalisation(width)
        first = blocks.convolution(c, width, 3, px, bias=False) + norm
        others = (values["head_depth"] - 1) * (blocks.convolution(width, width, 3, px, bias=False) + norm)
        outputs = blocks.convolution(width, classes + 4 * bins + centerness, 3, px)
        return _complex(2 * (first + others) + outputs + Cost(0, levels))

    genes = ("neck_channels", "head_width", "head_depth", "class_loss", "boxes", "dfl_bins", "finest", "coarser")
    return Part((*genes, RESOLUTION), costs)


# ---- sizes -----------------------------------------------------------------------------------------------------------


def _gene(name: str, stage: int) -> str:
    """What decides the channels of a stage of a backbone."""
    return "base_width" if name == RESNET else f"c{LAST_STAGES[stage]}"


def _channels(name: str, stage: int, width: Array) -> Array:
    """Of a block in a stage of a backbone, from the gene that decides them."""
    return width * 4 * 2**stage if name == RESNET else fbnetv3_parts.round8(width)


def _levels(shape: Shape, values: Values) -> tuple[Array, Array]:
    """Levels of the neck, and pixels of all of them."""
    strides = (*STRIDES, *_COARSER)
    there = [
        *(values["finest"] <= stride for stride in STRIDES),
        *(values["coarser"] > number for number in range(len(_COARSER))),
    ]
    pixels = (one * _pixels(shape, values, stride) for one, stride in zip(there, strides, strict=True))
    return sum(there, np.zeros(())), sum(pixels, np.zeros(()))


def _pixels(shape: Shape, values: Values, stride: int) -> Array:
    """Of a map at that stride."""
    height, width = fbnetv3_parts.seen(shape, values)
    result: Array = np.ceil(height / stride) * np.ceil(width / stride)
    return result


def _chosen(codes: Array, kinds: Sequence[Cost]) -> Cost:
    """The cost of the kind that each code says."""
    return sum(((codes == code) * one for code, one in enumerate(kinds)), NOTHING)


def _complex(cost: Cost) -> Array:
    result: Array = cost.flops + 1j * cost.params
    return result

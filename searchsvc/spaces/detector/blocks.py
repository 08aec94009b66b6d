"""FLOPs and parameters of the blocks of detectors (`workers.models.blocks`), exact, for a block or an array of blocks.

FLOPs are multiply-adds of convolutions and of the matrix products in attention, per image, as in
`searchsvc.spaces.mbconv`; normalisation, interpolation, means and activations count as none. Deformable convolutions
count as plain convolutions.

Sizes are whole numbers or arrays of them: i inputs, o outputs, c channels, k x k kernel, px pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from searchsvc.spaces.costs.gathers import Array

Size: TypeAlias = Any
"""A whole number, or an array of them."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Costs of a block, or of each block in an array."""

    flops: Size
    params: Size
    __array_ufunc__: ClassVar[None] = None
    """Makes arrays leave products with costs to `__rmul__`."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.params + other.params)

    def __rmul__(self, times: Size) -> Cost:
        return Cost(times * self.flops, times * self.params)

    @property
    def packed(self) -> Array:
        """A complex number for both: FLOPs + params * 1j."""
        result: Array = self.flops + 1j * self.params
        return result


NOTHING = Cost(0, 0)


def chosen(codes: Size, kinds: Sequence[Cost]) -> Cost:
    """Return for each code the cost of the kind with that index."""
    return sum(((codes == code) * kind for code, kind in enumerate(kinds)), NOTHING)


def convolution(i: Size, o: Size, k: Size, px: Size, *, groups: Size = 1, bias: bool = True) -> Cost:
    """Return the cost of a convolution whose output has `px` pixels."""
    weights = k * k * i * o // groups  # each multiplies once per output pixel
    return Cost(weights * px, weights + o * bias)


def normalisation(c: Size) -> Cost:
    """Return the cost of batch normalisation."""
    return Cost(0, 2 * c)  # scale and offset


def switchable(i: Size, o: Size, k: Size, px_in: Size, px: Size, *, groups: Size = 1, deform: bool = False) -> Cost:
    """Return the cost of SAC: the switch acts on the input's pixels, contexts on a single pixel, offsets on outputs."""
    branches = 2 * convolution(i, o, k, px, groups=groups, bias=False)  # both dilations
    contexts = convolution(i, i, 1, 1) + convolution(o, o, 1, 1)  # before and after, on the mean
    offsets = 2 * convolution(i, 2 * k * k, 3, px) if deform else NOTHING  # (y, x) per point of each kernel
    return branches + contexts + offsets + convolution(i, 1, 1, px_in)


def aspp(c: Size, o: Size, px: Size, dilations: int = 2) -> Cost:
    """Return the cost of ASPP with `dilations` dilated branches."""
    share = o // (dilations + 2)  # outputs of a branch
    # 1 x 1, dilated, and pooled branches.
    return convolution(c, share, 1, px) + dilations * convolution(c, share, 3, px) + convolution(c, share, 1, 1)


def fpn(inputs: Sequence[Size], c: Size, pixels: Sequence[Size], *, convolved: bool = False) -> Cost:
    """Return the cost of an FPN on stages with `inputs` channels; `pixels` of every level, fine to coarse."""
    stages = [convolution(i, c, 1, px) + convolution(c, c, 3, px) for i, px in zip(inputs, pixels, strict=False)]
    coarser = [convolution(c, c, 3, px) for px in pixels[len(inputs) :]] if convolved else []
    return sum([*stages, *coarser], NOTHING)


def feedback(stages: Sequence[Size], c: Size, pixels: Sequence[Size]) -> Cost:
    """Return the cost of the convolutions that feed `c` channels back to stages with these channels and pixels."""
    return sum((convolution(c, o, 1, px) for o, px in zip(stages, pixels, strict=True)), NOTHING)


def recursion(c: Size, fed: Sequence[Size], pixels: Sequence[Size], *, steps: int, dilations: int = 2) -> Cost:
    """Return the costs of RFP beyond backbones and FPNs of its steps: ASPP of the `fed` levels, fusion of all levels.
    """
    if steps == 1:
        return NOTHING
    once = sum((aspp(c, c, px, dilations) for px in fed), NOTHING) + sum(  # a step's feedback and fusion
        (convolution(c, 1, 1, px) for px in pixels), NOTHING
    )
    weights = aspp(c, c, 1, dilations) + convolution(c, 1, 1, 1)  # shared by levels and steps
    return Cost((steps - 1) * once.flops, weights.params)


def bottleneck(i: Size, planes: Size, px_in: Size, px: Size, *, spatial: Cost, shortcut: Size) -> Cost:
    """Return the cost of a bottleneck with the 3 x 3 convolution `spatial`; `shortcut`: its shortcut has a convolution.
    """
    o = 4 * planes
    # 1 x 1, 3 x 3, 1 x 1
    branch = convolution(i, planes, 1, px_in, bias=False) + spatial + convolution(planes, o, 1, px, bias=False)
    norms = 2 * normalisation(planes) + normalisation(o)  # of the three convolutions
    shortcuts: Cost = shortcut * (convolution(i, o, 1, px, bias=False) + normalisation(o))
    return branch + norms + shortcuts


def non_local(c: Size, inner: Size, px: Size, *, norm: bool = False) -> Cost:
    """Return the cost of a non-local block with `inner` channels of queries, keys and values."""
    # theta, phi, g; conv_out
    projections = 3 * convolution(c, inner, 1, px) + convolution(inner, c, 1, px, bias=not norm)
    # Products of queries with keys, and of weights with values: (px, inner) x (inner, px), (px, px) x (px, inner).
    return projections + Cost(2 * inner * px * px, 0) + norm * normalisation(c)


def disentangled(c: Size, inner: Size, px: Size, *, norm: bool = False) -> Cost:
    """Return the cost of mmsegmentation's disentangled block: the unary weight adds a convolution and a product."""
    return non_local(c, inner, px, norm=norm) + convolution(c, 1, 1, px) + Cost(inner * px, 0)


def official_disentangled(c: Size, inner: Size, px: Size) -> Cost:
    """Return the cost of the authors' disentangled block."""
    # q, k; v; m
    projections = 2 * convolution(c, inner, 1, px) + convolution(c, c, 1, px, bias=False) + convolution(c, 1, 1, px)
    # The last product is the unary one; the parameter is gamma.
    return projections + Cost((inner + c) * px * px + c * px, 1)

"""Stages of an FBNetV3 network, from the pieces that the cost model sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from searchsvc.domain.parameters import Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.stages import CONVOLUTION, INVERTED_RESIDUAL, Stage
from searchsvc.spaces.fbnetv3 import parts as fbnetv3_parts
from searchsvc.spaces.fbnetv3.costs import flops_and_params
from searchsvc.spaces.fbnetv3.parts import Piece, Prices
from searchsvc.spaces.fbnetv3.space import FbnetV3Family

_BLOCKS = {"stem": CONVOLUTION, "block": INVERTED_RESIDUAL, "head": "expansion, mean, classifier"}


def stages_of(family: FbnetV3Family) -> Callable[[Mapping[str, Scalar], DatasetInfo], list[Stage]]:
    """Return a function that lists the stages of a network of a family, for complete values."""

    def listed(values: Mapping[str, Scalar], info: DatasetInfo) -> list[Stage]:
        genes = {name: np.array(values[name], float) for name in fbnetv3_parts.genes(family)}
        pieces = (piece for _, cut in fbnetv3_parts.cuts(family, info.shape) for piece in cut(genes))
        return list(stages(pieces, flops_and_params(len(info.classes))))

    return listed


def stages(pieces: Iterable[Piece], prices: Prices) -> Iterator[Stage]:
    """Yield the stages of a network: all sizes are single numbers, and prices are FLOPs + params * 1j."""
    for piece in pieces:
        if piece.count > 0:
            cost = complex(piece.count * prices(piece.layer))
            yield replace(_shape(piece), count=int(piece.count), flops=cost.real, params=cost.imag)


def _shape(piece: Piece) -> Stage:
    layer = piece.layer
    is_head, is_block = layer.kind == "head", layer.kind == "block"
    height, width = (1, 1) if is_head else map(int, layer.output)
    return Stage(
        "stem" if layer.kind == "stem" else "head" if is_head else f"stage {piece.stage}",
        _BLOCKS[layer.kind],
        kernel=None if is_head else int(layer.kernel),
        stride=int(layer.stride),
        channels=int(layer.outputs),
        expansion=float(layer.mid / layer.inputs) if is_block else None,
        squeezes=bool(layer.squeeze > 0),
        height=height,
        width=width,
        flops=0.0,
        params=0.0,
    )

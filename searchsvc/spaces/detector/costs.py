"""FLOPs and parameters of whole matrices of detectors, exact, without building any.

::

    costs = backbone + neck + head

Each is a sum over parts that depend on few genes (`gathers`). A kind of neck decides how often its parts and the
backbone count (`necks`). A complex number holds both costs, FLOPs + params * 1j. `blocks` defines their units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces import recipe
from searchsvc.spaces.costs.axes import Axis
from searchsvc.spaces.costs.gathers import Array, Gather, Values
from searchsvc.spaces.costs.model import COUNTED, FLOPS, PARAMS, CostModel
from searchsvc.spaces.detector.backbones.fbnetv3 import UNTRIMMED
from searchsvc.spaces.detector.backbones.table import BACKBONES
from searchsvc.spaces.detector.head import GENES_OF_LOSSES, head_part
from searchsvc.spaces.detector.maps import Shape, check_side
from searchsvc.spaces.detector.necks.base import Times
from searchsvc.spaces.detector.necks.table import NECKS
from searchsvc.spaces.detector.space import LIMITS
from searchsvc.spaces.fbnetv3 import space as fbnetv3
from searchsvc.spaces.limits import Limits
from searchsvc.spaces.resolution import RESOLUTION
from searchsvc.spaces.space import Matrix, Space

_LIMITS: Limits = MappingProxyType({**recipe.DETECTION.limits, **LIMITS, **fbnetv3.LIMITS})
_GENES = (*LIMITS, *UNTRIMMED, RESOLUTION, *GENES_OF_LOSSES)
"""The genes that decide costs."""
_BACKBONES, _NECKS = tuple(BACKBONES.values()), tuple(NECKS.values())
"""Kinds by code."""


def cost_model(space: Space, info: DatasetInfo, defaults: Mapping[str, Scalar]) -> CostModel:
    """Return the costs of the candidates of a space. Raises InvalidInput if images are too small for some of them."""
    axes, shape = _axes(space, defaults), info.shape
    _check_sides(axes[RESOLUTION], shape)
    gather = partial(Gather, space, axes, dtype=complex)
    head = gather([head_part(shape, len(info.classes))])
    combinations: dict[tuple[int, int], _Combination] = {}
    for backbone_code in _codes(axes["backbone"]):
        backbone = _BACKBONES[backbone_code]
        trunk = gather(backbone.parts(shape))
        for neck_code in _codes(axes["neck"]):
            neck = _NECKS[neck_code]
            terms = [(gather(term.parts), term.times) for term in neck.terms(backbone, shape)]
            own = {gene.name: axes[gene.name] for gene in neck.genes}
            combinations[backbone_code, neck_code] = _Combination(own, [(trunk, neck.backbone_times), *terms])

    def costs(matrix: Matrix) -> Mapping[str, Matrix]:
        total = head(matrix)  # (n,)
        for rows, combination in _by_kinds(combinations, axes, matrix):
            total[rows] += combination.costs(matrix[rows])  # (rows,)
        return {FLOPS: total.real.copy(), PARAMS: total.imag.copy()}

    return CostModel(COUNTED, costs)


def codes_of(values: Mapping[str, Scalar]) -> Values:
    """Return the genes in the form that parts take, () each, from the complete values of a detector."""
    complete = {**values, **UNTRIMMED}
    numbers = {name: (_words(name), complete[name]) for name in _GENES}
    return {name: np.array(words.index(value) if words else value, float) for name, (words, value) in numbers.items()}


@dataclass(frozen=True, slots=True)
class _Combination:
    """Costs of candidates with a kind of backbone and a kind of neck, without their heads."""

    axes: Mapping[str, Axis]
    """Axes of the neck's genes."""
    terms: Sequence[tuple[Gather, Times]]

    def costs(self, matrix: Matrix) -> Array:
        """Return the costs (n,) of the candidates (n, d)."""
        genes = {name: axis.decoded(matrix) for name, axis in self.axes.items()}  # (n,) or () each
        total: Array = np.zeros(len(matrix), complex)  # (n,)
        for gather, times in self.terms:
            once, count = gather(matrix), times(genes)  # (n,); (n,) or ()
            total += count.flops * once.real + 1j * (count.params * once.imag)
        return total


def _by_kinds(
    combinations: Mapping[tuple[int, int], _Combination], axes: Mapping[str, Axis], matrix: Matrix
) -> Iterator[tuple[NDArray[np.intp], _Combination]]:
    """Yield the rows of the candidates of each combination."""
    # A gene that the space fixes is a single code: (n,) each.
    backbones, necks = (np.broadcast_to(axes[name].decoded(matrix), len(matrix)) for name in ("backbone", "neck"))
    for (backbone, neck), combination in combinations.items():
        if len(rows := np.flatnonzero((backbones == backbone) & (necks == neck))):
            yield rows, combination


def _codes(axis: Axis) -> list[int]:
    return [int(code) for code in np.unique(axis.values)]


def _axes(space: Space, defaults: Mapping[str, Scalar]) -> dict[str, Axis]:
    """Return the axes as numbers; words are replaced by their indices among all possible words."""
    complete = {**defaults, **UNTRIMMED}
    return {name: Axis.of(space, name, complete[name], _words(name)) for name in _GENES}


def _words(name: str) -> tuple[Scalar, ...]:
    """Return the words that a gene can take; none if it is a number."""
    limit = _LIMITS[name]
    return limit.choices if isinstance(limit, Categorical) and isinstance(limit.choices[0], str) else ()


def _check_sides(resolutions: Axis, shape: Shape) -> None:
    for side in resolutions.values:
        check_side(side or min(shape[1:]), "")

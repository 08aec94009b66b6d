"""Resolution: the side of the images that a network sees, from the recipe or from the dataset."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.domain.trial_task import DatasetInfo
from searchsvc.spaces.costs.model import COUNTED, CostModel, Costs
from searchsvc.spaces.space import Matrix, Space

RESOLUTION = "resolution"

Values = Mapping[str, Any]


def shape_at(shape: tuple[int, int, int], resolution: Any) -> tuple[int, int, int]:
    """Return the (channels, height, width) that a network sees: squares of side `resolution`, or `shape` if it is 0."""
    side = int(resolution)
    return (shape[0], side, side) if side else shape


def at_resolutions(
    model_of: Callable[[Space, DatasetInfo, Values], CostModel],
) -> Callable[[Space, DatasetInfo, Values], CostModel]:
    """Extend a cost model to spaces that contain the resolution of the images as a parameter."""

    def bound(space: Space, info: DatasetInfo, defaults: Values) -> CostModel:
        def at(resolution: Scalar) -> CostModel:
            return model_of(space, replace(info, shape=shape_at(info.shape, resolution)), defaults)

        return _per_resolution(space, at, defaults) if RESOLUTION in space else at(defaults[RESOLUTION])

    return bound


def _per_resolution(space: Space, at: Callable[[Scalar], CostModel], defaults: Values) -> CostModel:
    column, models = space.names.index(RESOLUTION), dict[float, CostModel]()

    def costs(matrix: Matrix) -> Costs:
        sides = _sides(space, matrix[:, column], defaults[RESOLUTION])  # (n,)
        result = {metric: np.empty(len(matrix)) for metric in COUNTED}
        for side in np.unique(sides).tolist():
            rows = np.flatnonzero(sides == side)
            if side not in models:
                models[side] = at(side)
            for metric, values in models[side](matrix[rows]).items():
                result[metric][rows] = values
        return result

    return CostModel(COUNTED, costs)


def _sides(space: Space, column: Matrix, default: Any) -> Matrix:
    """Return the sides (n,) from the column of the resolution (n,), with the default for inactive entries."""
    parameter, missing = space[RESOLUTION], np.isnan(column)
    if isinstance(parameter, Categorical):
        choices = np.array(parameter.choices, float)
        return np.where(missing, float(default), choices[np.where(missing, 0, column).astype(np.intp)])
    return np.where(missing, float(default), column)

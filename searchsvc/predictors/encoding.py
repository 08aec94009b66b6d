"""Features of a space for predictors: named blocks of columns, each about one thing.

| symbol | meaning | shape |
|---|---|---|
| M | candidates, as the space has them | (n, d) |
| F | features, each column centred on the space | (n, f) |

| kind of block | its columns | why |
|---|---|---|
| choice | one-hot, by 1/sqrt 2: two different choices lie 1 apart | nothing is assumed about choices |
| order | a number, or the place of a numeric choice, in [0, 1] | near values behave alike |
| active | whether a parameter with conditions is active | |
| count | the share of a choice, the mean of a number, over parameters of the same values | edges, stages act alike |
| cost | the logarithm of what the cost model says, two standard deviations to 1 | capacity explains much |

Choices that are numbers get both a choice and an order block: which of them matters is learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Parameter
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.space import Matrix, Space

BlockKind = Literal["choice", "order", "active", "count", "cost"]

_SAMPLE = 512
"""Random candidates on which features are centred and costs are probed."""
_SEED = 0x0FB3
_COST_WIDTH = 0.5
"""Of a standard deviation, so that costs spread about as far as other features."""


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Columns `start` to `stop` of F."""

    kind: BlockKind
    start: int
    stop: int
    parameters: tuple[int, ...]
    """Columns of M that it depends on."""

    @property
    def columns(self) -> slice:
        return slice(self.start, self.stop)


class Encoding:
    """The features of one space under one cost model. Deterministic: it samples the space with a seed of its own."""

    def __init__(self, space: Space, cost_model: CostModel = NO_COSTS) -> None:
        self.space = space
        self._cost_model = cost_model
        self._groups = _groups(space.parameters)
        sample = space.sample(_SAMPLE, np.random.default_rng(_SEED))
        self._logs = self._sampled(sample)
        self.costs = tuple(self._logs)
        """Metrics of the cost model that are features: those that differ over the space."""
        self._probe = _dependent(space, cost_model) if self.costs else None
        self.blocks: tuple[FeatureBlock, ...] = tuple(self._numbered(sample[:1]))
        self.width = self.blocks[-1].stop
        self._centre = np.zeros(self.width)
        self._centre = self.features(sample).mean(axis=0)

    @property
    def architecture(self) -> tuple[int, ...]:
        """Columns of M that the costs depend on: the architecture; all where no costs are known."""
        return self._probe if self._probe is not None else tuple(range(len(self.space)))

    def features(self, matrix: Matrix) -> Matrix:
        """(n, f) from (n, d)."""
        columns: Matrix = np.hstack([values for _, _, values in self._columns(matrix)])
        return columns - self._centre

    @cached_property
    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns of F that hold the architecture's parameters, and the recipe's."""
        own = [block for block in self.blocks if block.kind in ("choice", "order", "active")]
        ours = [np.arange(one.start, one.stop) for one in own if one.parameters[0] in self.architecture]
        others = [np.arange(one.start, one.stop) for one in own if one.parameters[0] not in self.architecture]
        nothing = np.zeros(0, dtype=np.intp)
        return np.concatenate([nothing, *ours]), np.concatenate([nothing, *others])

    def targets(self, matrix: Matrix) -> Matrix:
        """(n, c) standardised logarithms of `costs`: what the proxy head learns."""
        columns = [(logs - self._logs[name].mean()) / self._logs[name].std() for name, logs in self._costs_of(matrix)]
        return np.stack(columns, axis=1)

    def _numbered(self, matrix: Matrix) -> Iterator[FeatureBlock]:
        start = 0
        for kind, parameters, values in self._columns(matrix):
            yield FeatureBlock(kind, start, start + values.shape[1], tuple(parameters))
            start += values.shape[1]

    def _columns(self, matrix: Matrix) -> Iterator[tuple[BlockKind, Sequence[int], Matrix]]:
        """(kind, columns of M, (n, w)) of every block."""
        unit = self.space.to_unit(matrix)
        one_hots: dict[int, Matrix] = {}
        orders: dict[int, Matrix] = {}
        for column, parameter in enumerate(self.space.parameters):
            values = matrix[:, column]
            if isinstance(parameter, Categorical):
                one_hots[column] = (values[:, None] == np.arange(len(parameter.choices))) * np.sqrt(0.5)
                yield "choice", [column], one_hots[column]
            if _is_ordered(parameter):
                orders[column] = _places(parameter, values, unit[:, column])
                yield "order", [column], orders[column][:, None]
            if parameter.when:
                yield "active", [column], (~np.isnan(values)).astype(np.float64)[:, None]
        for group in self._groups:
            alike = [one_hots[column] if column in one_hots else orders[column][:, None] for column in group]
            for share in np.mean(alike, axis=0).T:
                yield "count", group, share[:, None]
        if self.costs:
            for cost in self.targets(matrix).T:
                yield "cost", self.architecture, _COST_WIDTH * cost[:, None]

    def _costs_of(self, matrix: Matrix) -> Iterator[tuple[str, Matrix]]:
        """(metric, (n,) logarithms) of `costs`; what is not known is at the median."""
        costs = self._cost_model(matrix) if self._logs else {}
        for name, known in self._logs.items():
            logs = _log(costs[name])
            yield name, np.where(np.isfinite(logs), logs, np.median(known))

    def _sampled(self, sample: Matrix) -> dict[str, Matrix]:
        """metric -> its logarithms over the space, ascending, where they differ."""
        logs = {name: _log(values) for name, values in self._cost_model(sample).items()}
        finite = {name: np.sort(values[np.isfinite(values)]) for name, values in logs.items()}
        return {name: values for name, values in finite.items() if values.size and np.ptp(values) > 1e-9}


def _is_ordered(parameter: Parameter) -> bool:
    """Whether its values are numbers, more than two of them where they are choices."""
    if not isinstance(parameter, Categorical):
        return True
    numeric = all(isinstance(one, int | float) and not isinstance(one, bool) for one in parameter.choices)
    return numeric and len(parameter.choices) > 2


def _places(parameter: Parameter, values: Matrix, unit: Matrix) -> Matrix:
    """(n,) in [0, 1]: the rank of a numeric choice, a number's place in its range; 0 where not active."""
    if not isinstance(parameter, Categorical):
        return np.nan_to_num(unit, nan=0.0)
    ranks = np.argsort(np.argsort(np.array(parameter.choices, dtype=np.float64))) / (len(parameter.choices) - 1)
    return np.asarray(np.append(ranks, 0.0)[np.nan_to_num(values, nan=len(ranks)).astype(np.intp)])


def _groups(parameters: Sequence[Parameter]) -> list[list[int]]:
    """Columns of parameters with the same values, where there are at least two of them."""
    alike: dict[object, list[int]] = {}
    for column, one in enumerate(parameters):
        values: tuple[object, ...]
        if isinstance(one, Categorical):
            values = tuple((type(choice), choice) for choice in one.choices)  # True is not 1 here
        else:
            values = (type(one), one.low, one.high, one.step, one.log)
        alike.setdefault(values, []).append(column)
    return [group for group in alike.values() if len(group) > 1]


def _dependent(space: Space, cost_model: CostModel) -> tuple[int, ...]:
    """Columns of M that any cost depends on: found by shuffling one column at a time over a sample.

    In the unit cube, where a parameter has a value also when it is not active: so the condition counts too.
    """
    random = np.random.default_rng(_SEED)
    unit = random.random((_SAMPLE, len(space)))
    rows = random.permutation(_SAMPLE)
    costs = cost_model(space.from_unit(unit))
    dependent = []
    for column in range(len(space)):
        changed = unit.copy()
        changed[:, column] = unit[rows, column]
        after = cost_model(space.from_unit(changed))
        if any(not np.array_equal(costs[name], after[name], equal_nan=True) for name in costs):
            dependent.append(column)
    return tuple(dependent)


def _log(values: Matrix) -> Matrix:
    """(n,) logarithms, of 0 too: costs are counts or times, never negative."""
    return np.log(np.maximum(values, 0.0) + 1e-3)

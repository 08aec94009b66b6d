"""Features of a space for predictors: named blocks of columns, each for one aspect of a candidate.

| symbol | meaning | shape |
|---|---|---|
| M | candidates, as the space has them | (n, d) |
| F | features, each column centred on the space | (n, f) |

| kind of block | its columns | why |
|---|---|---|
| choice | one-hot, by 1/sqrt 2: two different choices lie 1 apart | nothing is assumed about choices |
| order | a number, or the rank of a numeric choice, in [0, 1] | near values behave alike |
| active | whether a parameter with conditions is active | |
| count | the share of a choice, the mean of a number, over parameters of the same values | edges, stages act alike |
| cost | the logarithm of a cost, two standard deviations to 1 | capacity explains much |

Numeric choices get both a choice and an order block: the predictor learns which of the two matters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain.parameters import Categorical, Parameter
from searchsvc.errors import InvalidInput
from searchsvc.spaces.costs.model import NO_COSTS, CostModel
from searchsvc.spaces.space import Matrix, Space

BlockKind = Literal["choice", "order", "active", "count", "cost"]

MOST_FEATURES = 1024
"""Choices and numbers that a predictor can learn from; a few hundred results cannot tell more apart."""
_ENTRIES_AT_ONCE = 2**22
"""Entries of F that are computed at once: 32 MiB."""
_SAMPLE = 512
"""Random candidates on which features are centred and costs are probed."""
_SEED = 0x0FB3
_COST_WIDTH = 0.5
"""Width of a standard deviation of a cost feature: cost features then spread about as far as other features."""


@dataclass(frozen=True, slots=True)
class FeatureBlock:
    """Columns `start` to `stop` of F."""

    kind: BlockKind
    start: int
    stop: int
    parameters: tuple[int, ...]
    """Columns of M on which the block depends."""

    @property
    def columns(self) -> slice:
        return slice(self.start, self.stop)


class Encoding:
    """The features of a space under a cost model. Deterministic: it samples the space with a fixed seed."""

    def __init__(self, space: Space, cost_model: CostModel = NO_COSTS) -> None:
        """Raises InvalidInput (pointer "") if the space has more than 1,024 choices and numbers."""
        check_width(space)
        self.space = space
        self._cost_model = cost_model
        self._groups = _groups(space.parameters)
        sample = space.sample(_SAMPLE, np.random.default_rng(_SEED))  # (512, d)
        self._logs = self._sampled_logs(sample)
        self.costs = tuple(self._logs)
        """Metrics of the cost model that are features: those that differ over the space."""
        self._cost_columns = _columns_of_costs(space, cost_model) if self.costs else None
        self.blocks: tuple[FeatureBlock, ...] = tuple(self._numbered_blocks(sample[:1]))
        self.width = self.blocks[-1].stop
        self._centre = np.zeros(self.width)  # (f,): features are not centred yet
        self._centre = self.features(sample).mean(axis=0)  # (f,)

    @property
    def rows_at_once(self) -> int:
        """Rows whose features fit into a moderate amount of memory."""
        return max(1, _ENTRIES_AT_ONCE // self.width)

    @property
    def architecture(self) -> tuple[int, ...]:
        """Columns of M on which the costs depend: the architecture. All columns if there are no costs."""
        return self._cost_columns if self._cost_columns is not None else tuple(range(len(self.space)))

    def features(self, matrix: Matrix) -> Matrix:
        """(n, f) features of candidates (n, d)."""
        columns: Matrix = np.hstack([values for _, _, values in self._columns(matrix)])  # (n, f)
        return columns - self._centre

    @cached_property
    def halves(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Columns of F for the parameters of the architecture, and columns for the parameters of the recipe."""
        columns: dict[bool, list[NDArray[np.intp]]] = {True: [np.zeros(0, np.intp)], False: [np.zeros(0, np.intp)]}
        for block in self.blocks:
            if block.kind in ("choice", "order", "active"):
                columns[block.parameters[0] in self.architecture].append(np.arange(block.start, block.stop))
        return np.concatenate(columns[True]), np.concatenate(columns[False])

    def targets(self, matrix: Matrix) -> Matrix:
        """(n, c) standardised logarithms of `costs`: the targets of the proxy head."""
        columns = [(logs - self._logs[name].mean()) / self._logs[name].std() for name, logs in self._costs_of(matrix)]
        return np.stack(columns, axis=1)

    def _numbered_blocks(self, matrix: Matrix) -> Iterator[FeatureBlock]:
        start = 0
        for kind, parameters, values in self._columns(matrix):
            yield FeatureBlock(kind, start, start + values.shape[1], tuple(parameters))
            start += values.shape[1]

    def _columns(self, matrix: Matrix) -> Iterator[tuple[BlockKind, Sequence[int], Matrix]]:
        """Yield (kind, columns of M, values (n, w)) of every block."""
        unit = self.space.to_unit(matrix)  # (n, d), NaN if not active
        one_hots: dict[int, Matrix] = {}  # column of M -> (n, choices)
        orders: dict[int, Matrix] = {}  # column of M -> (n,)
        for column, parameter in enumerate(self.space.parameters):
            values = matrix[:, column]  # (n,)
            if isinstance(parameter, Categorical):
                one_hots[column] = (values[:, None] == np.arange(len(parameter.choices))) * np.sqrt(0.5)
                yield "choice", [column], one_hots[column]
            if _is_ordered(parameter):
                orders[column] = _positions(parameter, values, unit[:, column])
                yield "order", [column], orders[column][:, None]
            if parameter.when:
                yield "active", [column], (~np.isnan(values)).astype(np.float64)[:, None]
        for group in self._groups:  # the mean of one-hots is the share of each choice
            alike = [one_hots[column] if column in one_hots else orders[column][:, None] for column in group]
            for share in np.mean(alike, axis=0).T:  # (n,) each
                yield "count", group, share[:, None]
        if self.costs:
            for cost in self.targets(matrix).T:  # (n,) each
                yield "cost", self.architecture, _COST_WIDTH * cost[:, None]

    def _costs_of(self, matrix: Matrix) -> Iterator[tuple[str, Matrix]]:
        """Yield (metric, (n,) logarithms) of `costs`; a cost that is not finite is replaced by the median."""
        costs = self._cost_model(matrix) if self._logs else {}
        for name, sampled in self._logs.items():
            logs = _log(costs[name])  # (n,)
            yield name, np.where(np.isfinite(logs), logs, np.median(sampled))

    def _sampled_logs(self, sample: Matrix) -> dict[str, Matrix]:
        """metric -> its logarithms over the sample, ascending. Costs that are constant over the space are left out."""
        logs = {name: _log(values) for name, values in self._cost_model(sample).items()}
        finite = {name: np.sort(values[np.isfinite(values)]) for name, values in logs.items()}
        return {name: values for name, values in finite.items() if values.size and np.ptp(values) > 1e-9}


def check_width(space: Space) -> None:
    """Raise InvalidInput (pointer "") if the space has more choices and numbers than a predictor can learn from."""
    count = sum(len(parameter.choices) if isinstance(parameter, Categorical) else 1 for parameter in space.parameters)
    if count > MOST_FEATURES:
        message = f"the predictor of fbnetv3 learns from at most {MOST_FEATURES:,} choices and numbers; this space has"
        raise InvalidInput.at("", f"{message} {count:,}: use tpe, evolution or random, or leave some out")


def _is_ordered(parameter: Parameter) -> bool:
    """True if the values of a parameter are numbers; if it is a choice, it needs more than two."""
    if not isinstance(parameter, Categorical):
        return True
    numeric = all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in parameter.choices)
    return numeric and len(parameter.choices) > 2


def _positions(parameter: Parameter, values: Matrix, unit: Matrix) -> Matrix:
    """(n,) in [0, 1]: the rank of a numeric choice, or the position of a number in its range; 0 if not active."""
    if not isinstance(parameter, Categorical):
        return np.nan_to_num(unit, nan=0.0)
    values_of_choices = np.array(parameter.choices, dtype=np.float64)  # (choices,)
    ranks = np.argsort(np.argsort(values_of_choices)) / (len(parameter.choices) - 1)  # (choices,) in [0, 1]
    codes = np.nan_to_num(values, nan=len(ranks)).astype(np.intp)  # (n,): the code after the last is "not active"
    return np.asarray(np.append(ranks, 0.0)[codes])


def _groups(parameters: Sequence[Parameter]) -> list[list[int]]:
    """Columns of at least two parameters with the same values, by group."""
    alike: dict[object, list[int]] = {}
    for column, parameter in enumerate(parameters):
        values: tuple[object, ...]
        if isinstance(parameter, Categorical):
            values = tuple((type(choice), choice) for choice in parameter.choices)  # True is not 1 here
        else:
            values = (type(parameter), parameter.low, parameter.high, parameter.step, parameter.log)
        alike.setdefault(values, []).append(column)
    return [group for group in alike.values() if len(group) > 1]


def _columns_of_costs(space: Space, cost_model: CostModel) -> tuple[int, ...]:
    """Columns of M on which any cost depends, found by shuffling each column of a sample in turn.

    Columns are shuffled in the unit cube, in which a parameter has a value even if it is not active. A parameter that
    only decides whether others are active therefore counts.
    """
    random = np.random.default_rng(_SEED)
    unit = random.random((_SAMPLE, len(space)))  # (512, d)
    rows = random.permutation(_SAMPLE)
    costs = cost_model(space.from_unit(unit))  # metric -> (512,)
    dependent = []
    for column in range(len(space)):
        changed = unit.copy()
        changed[:, column] = unit[rows, column]  # (512,)
        after = cost_model(space.from_unit(changed))  # metric -> (512,)
        if any(not np.array_equal(costs[name], after[name], equal_nan=True) for name in costs):
            dependent.append(column)
    return tuple(dependent)


def _log(values: Matrix) -> Matrix:
    """(n,) logarithms, also of 0: costs are counts or times, never negative."""
    return np.log(np.maximum(values, 0.0) + 1e-3)

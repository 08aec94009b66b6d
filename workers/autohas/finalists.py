"""What a search has found: the candidate that its distributions stand for, and the best of many draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from searchsvc.domain.candidates import Candidate
from searchsvc.spaces.bases import on_grid
from searchsvc.spaces.space import Matrix, Space
from workers.autohas.controllers import Learner
from workers.autohas.distributions import Draw
from workers.autohas.exchange import Exchange
from workers.autohas.limits import FeasibleSampler
from workers.autohas.updates import Tensors


@dataclass(frozen=True, slots=True)
class Finalist:
    """A candidate that is worth a trial of its own."""

    rank: int
    """0: what the distributions stand for; from 1 on, draws by their reward."""
    reward: float
    candidate: Candidate
    """Of the space that was to be searched."""
    entries: Mapping[str, float]
    """Of that space's matrix."""


Batches = Callable[[], Iterable[Any]]
"""All validation images, as often as they are asked for."""


def finalists(
    learner: Learner,
    drawing: FeasibleSampler,
    space: Space,
    options: Mapping[str, Any],
    train: Any,
    validation: Batches,
    random: torch.Generator,
    exchange: Exchange,
) -> list[Finalist]:
    """At most `finalists` candidates of `space` that differ; each process scores a part of the draws."""
    derived = drawing.derived()
    draws = [*([derived] if derived else []), *drawing(options["scored"], random)]
    rewards = torch.zeros(len(draws), dtype=torch.float64)
    for one in range(exchange.rank, len(draws), exchange.size):
        draw = draws[one]
        weights = learner.ahead(draw, train)  # a step with the final weights
        rewards[one] = mean_reward(learner, draw, weights, validation()) - draw.penalty
    exchange.mean(rewards)
    rewards *= exchange.size
    first = 1 if derived else 0
    order = [*range(first), *(first + rewards[first:].argsort(descending=True, stable=True)).tolist()]
    matrix = on_grid(space, drawing.space.to_matrix([draws[one].candidate for one in order]))
    kept = _first_of_each(matrix)[: options["finalists"]]
    return [
        Finalist(rank, float(rewards[order[row]]), *_described(space, matrix[row]))
        for rank, row in enumerate(kept, start=1 - first)
    ]


def report(found: Iterable[Finalist]) -> dict[str, float]:
    """Finalists as metrics: entries of the matrix by `finalist/<rank>/<parameter>`."""
    return {f"finalist/{one.rank}/{name}": entry for one in found for name, entry in one.entries.items()}


def mean_reward(learner: Learner, draw: Draw, weights: Tensors, validation: Iterable[Any]) -> float:
    """On all images of some batches."""
    rewards = [(learner.reward(draw, weights, batch), len(batch)) for batch in validation]
    return sum(one * count for one, count in rewards) / sum(count for _, count in rewards)


def _first_of_each(matrix: Matrix) -> list[int]:
    """Rows that differ from all before them."""
    return sorted(np.unique(np.nan_to_num(matrix, nan=np.inf), axis=0, return_index=True)[1].tolist())


def _described(space: Space, row: Matrix) -> tuple[Candidate, dict[str, float]]:
    entries = {name: float(entry) for name, entry in zip(space.names, row, strict=True) if not np.isnan(entry)}
    return space.from_matrix(row[None])[0], entries

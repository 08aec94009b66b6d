"""Finalists of a search: the derived candidate of its distributions, and the best of many draws."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from searchsvc.domain.candidates import Candidate
from searchsvc.spaces.bases import on_grid
from searchsvc.spaces.space import Matrix, Space
from workers.autohas.controllers import LookAheadModel
from workers.autohas.distributions import Draw
from workers.autohas.exchange import Exchange
from workers.autohas.limits import FeasibleSampler
from workers.autohas.updates import Tensors


@dataclass(frozen=True, slots=True)
class Finalist:
    """A candidate that gets a trial of its own."""

    rank: int
    """0: the derived candidate; from 1 on, draws in the order of their rewards."""
    reward: float
    candidate: Candidate
    """Candidate of the user's space, without bases."""
    entries: Mapping[str, float]
    """Entries of that space's matrix, by parameter."""


Batches = Callable[[], Iterable[Any]]
"""Yields all validation images at each call."""


def finalists(
    model: LookAheadModel,
    sampler: FeasibleSampler,
    space: Space,
    options: Mapping[str, Any],
    train: Any,
    validation: Batches,
    random: torch.Generator,
    exchange: Exchange,
) -> list[Finalist]:
    """Return at most `finalists` different candidates of `space`; each process scores a part of the draws."""
    derived = sampler.derived()
    draws = [*([derived] if derived else []), *sampler(options["scored"], random)]
    rewards = torch.zeros(len(draws), dtype=torch.float64)  # (draws,); 0 for the draws of other processes
    for place in range(exchange.rank, len(draws), exchange.size):
        draw = draws[place]
        weights = model.look_ahead(draw, train)  # a step with the final weights
        rewards[place] = mean_reward(model, draw, weights, validation()) - draw.penalty
    exchange.mean(rewards)
    rewards *= exchange.size  # the sum: each draw has a reward in exactly one process
    first = 1 if derived else 0
    order = [*range(first), *(first + rewards[first:].argsort(descending=True, stable=True)).tolist()]
    matrix = on_grid(space, sampler.space.to_matrix([draws[place].candidate for place in order]))  # (draws, d)
    rows = _first_of_each(matrix)[: options["finalists"]]
    return [
        Finalist(rank, float(rewards[order[row]]), *_described(space, matrix[row]))
        for rank, row in enumerate(rows, start=1 - first)
    ]


def report(best: Iterable[Finalist]) -> dict[str, float]:
    """Return finalists as metrics: entries of the matrix by `finalist/<rank>/<parameter>`."""
    return {f"finalist/{each.rank}/{name}": entry for each in best for name, entry in each.entries.items()}


def mean_reward(model: LookAheadModel, draw: Draw, weights: Tensors, validation: Iterable[Any]) -> float:
    """Return the mean reward over all images of some batches."""
    rewards = [(model.reward(draw, weights, batch), len(batch)) for batch in validation]
    return sum(reward * count for reward, count in rewards) / sum(count for _, count in rewards)


def _first_of_each(matrix: Matrix) -> list[int]:
    """Return the rows that differ from all rows before them."""
    # NaN (an inactive parameter) is unlike itself: inf stands for it.
    return sorted(np.unique(np.nan_to_num(matrix, nan=np.inf), axis=0, return_index=True)[1].tolist())


def _described(space: Space, row: Matrix) -> tuple[Candidate, dict[str, float]]:
    entries = {name: float(entry) for name, entry in zip(space.names, row, strict=True) if not np.isnan(entry)}
    return space.from_matrix(row[None])[0], entries

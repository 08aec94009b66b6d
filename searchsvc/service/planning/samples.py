"""A random candidate of a shipped space with its costs, for exploring a space before writing a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from searchsvc import tasks
from searchsvc.domain import Candidate, DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.service.lookup import datasets
from searchsvc.spaces import catalogue, cost_model_for


@dataclass(frozen=True, slots=True)
class SampledCandidate:
    """A candidate drawn uniformly from a shipped space."""

    candidate: Candidate
    costs: Mapping[str, float]
    dataset: DatasetInfo
    """The dataset whose images and classes the costs refer to."""


def sample(space: str, seed: int) -> SampledCandidate:
    """Draw a candidate from the seed, with its costs on the first dataset of the space's task.

    Raises NotFound, and InvalidInput for a seed below 0.
    """
    if seed < 0:
        raise InvalidInput.at("/seed", f"must be 0 or larger, not {seed}")
    shipped = catalogue.find(space)
    task = tasks.find(shipped.task)
    dataset = datasets.inspect(task, {"name": task.datasets()[0][0]}, 0)
    matrix = shipped.space.sample(1, np.random.default_rng(seed))
    model = cost_model_for(shipped.task, shipped.space, dataset, shipped.constants)
    costs = {metric: float(values[0]) for metric, values in model(matrix).items()}
    return SampledCandidate(shipped.space.from_matrix(matrix)[0], costs, dataset)

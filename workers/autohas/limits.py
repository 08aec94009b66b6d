"""Limits of costs: draws beyond a hard limit are rejected, an excess over soft limits reduces the reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from searchsvc.domain.metrics import Constraint
from searchsvc.domain.trial_task import SharedSearch
from searchsvc.errors import FailureKind, TrialFailed
from searchsvc.spaces.costs.model import broken
from searchsvc.spaces.space import Matrix
from workers.autohas.distributions import Draw, ParameterDistributions

_MOST_TRIES = 10_000
_AT_ONCE = 256


class CostLimits:
    """The hard and soft limits of a search, over the costs of its space."""

    def __init__(
        self,
        hard: Sequence[Constraint] = (),
        soft: Sequence[Mapping[str, Any]] = (),
        costs: Callable[[Matrix], Mapping[str, NDArray[np.float64]]] | None = None,
    ) -> None:
        """Create the limits. `soft`: metric, max and weight of each. `costs` may be None if there are no limits."""
        self.hard, self._soft, self._costs = tuple(hard), tuple(soft), costs

    @classmethod
    def of(cls, search: SharedSearch) -> CostLimits:
        return cls(search.hard, search.options["soft_limits"], search.costs)

    @property
    def are_soft(self) -> bool:
        """True if any limit is soft."""
        return bool(self._soft)

    def judge(self, matrix: Matrix) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Return the hard limits (n, limits) that each candidate (n, d) breaks, and its penalty (n,) by soft limits."""
        if not (self.hard or self._soft):
            return np.zeros((len(matrix), 0), np.bool_), np.zeros(len(matrix))
        assert self._costs is not None
        costs = self._costs(matrix)
        penalties = [  # (n,) for each soft limit
            limit["weight"] * np.maximum(0.0, costs[limit["metric"]] / limit["max"] - 1.0) for limit in self._soft
        ]
        return broken(costs, self.hard, len(matrix)).T, np.sum([*penalties, np.zeros(len(matrix))], 0)


class FeasibleSampler:
    """Draws candidates that break no hard limit: rejected draws are replaced."""

    def __init__(self, distributions: ParameterDistributions, limits: CostLimits | None = None) -> None:
        self._distributions, self._limits = distributions, limits or CostLimits()
        self.space, self.rejected = distributions.space, 0
        """`rejected`: number of draws that broke a hard limit."""

    def derived(self) -> Draw | None:
        """Return the derived candidate of the distributions, or None if it breaks a hard limit."""
        candidate = self._distributions.derived()
        breaks, penalties = self._limits.judge(self.space.to_matrix([candidate]))
        return None if breaks.any() else Draw(candidate, {}, float(penalties[0]))

    def __call__(self, count: int, generator: torch.Generator) -> list[Draw]:
        """Return `count` draws. Raises TrialFailed (INFEASIBLE) if a limit leaves almost no draw."""
        draws: list[Draw] = []
        tries, counts = 0, np.zeros(len(self._limits.hard), np.intp)
        while len(draws) < count:
            sample = self._distributions.sample(_AT_ONCE if tries else count, generator)
            breaks, penalties = self._limits.judge(sample.matrix)  # (n, limits), (n,)
            for row, rejected in enumerate(np.any(breaks, axis=1).tolist()):
                if not rejected:
                    draws.append(self._distributions.draw_at(sample, row, float(penalties[row])))
                    if len(draws) == count:
                        break
                self.rejected += int(rejected)
            tries, counts = tries + len(breaks), counts + breaks.sum(0)
            if len(draws) < count and tries >= count * _MOST_TRIES:
                limit = self._limits.hard[int(counts.argmax())]
                message = f"{limit} leaves {len(draws)} of {tries} draws: loosen it, or narrow the space"
                raise TrialFailed(FailureKind.INFEASIBLE, message)
        return draws

    def penalty(self, count: int, generator: torch.Generator) -> Tensor | None:
        """Return a loss () with the gradient of the expected penalty, or None without soft limits.

        The gradient is estimated from `count` draws by the score function. Costs are exact and cheap, so no reward is
        needed, and many draws can be used.
        """
        if not self._limits.are_soft:
            return None
        sample = self._distributions.sample(count, generator)
        breaks, penalties = self._limits.judge(sample.matrix)  # (count, limits), (count,)
        feasible = torch.from_numpy(~np.any(breaks, axis=1))
        excess = torch.from_numpy(penalties)
        # The mean is the baseline; rejected draws contribute nothing.
        gains = (
            torch.where(feasible, excess - excess[feasible].mean(), 0.0) if feasible.any() else torch.zeros_like(excess)
        )
        return (gains * self._distributions.log_probabilities(sample)).mean()

"""What costs say of draws: hard limits reject them, soft limits take their excess off the reward."""

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
from workers.autohas.distributions import Distributions, Draw

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
        """`soft`: metric, max, weight of each. `costs` may be None where there are no limits."""
        self.hard, self._soft, self._costs = tuple(hard), tuple(soft), costs

    @classmethod
    def of(cls, search: SharedSearch) -> CostLimits:
        return cls(search.hard, search.options["soft_limits"], search.costs)

    @property
    def are_soft(self) -> bool:
        """Whether there are soft ones."""
        return bool(self._soft)

    def judge(self, matrix: Matrix) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Of candidates (n, d): which of the hard limits each breaks (n, limits); what its excess takes off (n,)."""
        if not (self.hard or self._soft):
            return np.zeros((len(matrix), 0), np.bool_), np.zeros(len(matrix))
        assert self._costs is not None
        costs = self._costs(matrix)
        taken = [one["weight"] * np.maximum(0.0, costs[one["metric"]] / one["max"] - 1.0) for one in self._soft]
        return broken(costs, self.hard, len(matrix)).T, np.sum([*taken, np.zeros(len(matrix))], 0)


class FeasibleSampler:
    """Draws that break no hard limit: others are drawn again."""

    def __init__(self, distributions: Distributions, limits: CostLimits | None = None) -> None:
        self._distributions, self._limits = distributions, limits or CostLimits()
        self.space, self.rejected = distributions.space, 0
        """`rejected`: draws that broke a hard limit."""

    def derived(self) -> Draw | None:
        """What the distributions stand for; None where it breaks a hard limit."""
        candidate = self._distributions.derived()
        breaks, penalties = self._limits.judge(self.space.to_matrix([candidate]))
        return None if breaks.any() else Draw(candidate, {}, float(penalties[0]))

    def __call__(self, count: int, generator: torch.Generator) -> list[Draw]:
        """`count` draws. Raises TrialFailed (INFEASIBLE) where a limit leaves next to nothing."""
        found: list[Draw] = []
        tries, counts = 0, np.zeros(len(self._limits.hard), np.intp)
        while len(found) < count:
            sample = self._distributions.sample(_AT_ONCE if tries else count, generator)
            breaks, penalties = self._limits.judge(sample.matrix)
            for row, rejected in enumerate(np.any(breaks, axis=1).tolist()):
                if not rejected:
                    found.append(self._distributions.drawn(sample, row, float(penalties[row])))
                    if len(found) == count:
                        break
                self.rejected += int(rejected)
            tries, counts = tries + len(breaks), counts + breaks.sum(0)
            if len(found) < count and tries >= count * _MOST_TRIES:
                limit = self._limits.hard[int(counts.argmax())]
                message = f"{limit} leaves {len(found)} of {tries} draws: loosen it, or narrow the space"
                raise TrialFailed(FailureKind.INFEASIBLE, message)
        return found

    def penalty(self, count: int, generator: torch.Generator) -> Tensor | None:
        """() whose gradient is that of the expected penalty, by the scores of `count` draws; None without soft limits.

        Costs are exact and cheap, so that they need no reward, and many draws can be judged.
        """
        if not self._limits.are_soft:
            return None
        sample = self._distributions.sample(count, generator)
        breaks, penalties = self._limits.judge(sample.matrix)
        kept = torch.from_numpy(~np.any(breaks, axis=1))
        taken = torch.from_numpy(penalties)
        gains = torch.where(kept, taken - taken[kept].mean(), 0.0) if kept.any() else torch.zeros_like(taken)
        return (gains * self._distributions.log_probabilities(sample)).mean()

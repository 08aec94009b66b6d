"""The two variants of AutoHAS: what moves the distributions after looking one step ahead.

| symbol | meaning |
|---|---|
| W | weights that all candidates share, of which a candidate uses a part |
| W* | temporary weights: that part after one step with the candidate's own hyperparameters; scored, then dropped |
| R, b | reward of a candidate; moving mean of the rewards |

The hyperparameters have no influence on the loss of W, only on that of W*. REINFORCE: the logits follow
(R - b) d log p(candidate), with R the accuracy of W* on validation images. Differentiable: they follow the loss of W*
on validation images, backwards through the step. The authors publish no settings of the controller: the share of
frozen steps is that of TuNAS (arXiv 2008.06120), the others are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Required, TypedDict, Unpack

import torch
from torch import Tensor

from searchsvc.errors import FailureKind, TrialFailed
from workers.autohas.distributions import Distributions, Draw
from workers.autohas.exchange import Alone, Exchange
from workers.autohas.limits import FeasibleSampler
from workers.autohas.updates import Tensors

_PENALISED = 256
"""Draws that soft limits are judged by in a step of `Differentiable`."""
_MOST_RUINED = 100


REACH = 15.0
"""About as far as a logit can move in a whole search: Adam moves it by the learning rate in a step at most."""
FASTEST = 0.25
"""The largest learning rate that follows from it: with few steps, rewards are not to be believed so soon."""


class Learner(Protocol):
    """What a controller is asked to find hyperparameters and architectures for. A batch is whatever it understands."""

    def shared(self, draw: Draw) -> Tensors:
        """The candidate's part of W."""

    def ahead(self, draw: Draw, batch: Any, relaxed: Tensors | None = None) -> Tensors:
        """W*: after a step on a batch, with gradients to the values of `Distributions.relaxed` where they are given."""

    def reward(self, draw: Draw, weights: Tensors, batch: Any) -> float:
        """Of weights on a validation batch, such as the accuracy: the larger the better."""

    def loss(self, draw: Draw, weights: Tensors, batch: Any, coefficients: Tensors | None = None) -> Tensor:
        """() on a validation batch, with gradients to `Distributions.coefficients` where the weights depend on them."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a step of a controller has seen."""

    score: float | None
    """Mean of the rewards, or of the validation losses with their sign turned; None where none was finite."""
    baseline: float | None
    """None where there is none."""
    frozen: bool


class Options(TypedDict, total=False):
    """Of both variants."""

    steps: Required[int]
    """Of the whole search."""
    samples: int
    """Candidates per step, over whose gradients the mean is taken."""
    learning_rate: float
    """Of Adam; 0: `REACH` over the number of steps that move the distributions, at most `FASTEST`."""
    frozen_share: float
    """Of the steps, at the beginning, that leave the distributions as they are."""
    drawing: FeasibleSampler | None
    """Draws candidates; None: any of the distributions'."""
    exchange: Exchange
    """With the other processes of the search, whose distributions stay the same."""


class _Controller:
    """Distributions, what moves them, and how many steps they have been through."""

    def __init__(
        self,
        distributions: Distributions,
        *,
        steps: int,
        samples: int = 2,
        learning_rate: float = 0.0,
        frozen_share: float = 0.25,
        drawing: FeasibleSampler | None = None,
        exchange: Exchange = Alone(),  # noqa: B008 - a constant
    ) -> None:
        """See `Options`."""
        self.distributions, self._samples = distributions, samples
        self._draws, self._exchange = drawing or FeasibleSampler(distributions), exchange
        self._until, self._total, self._steps = int(steps * frozen_share), steps, 0
        rate = learning_rate or min(FASTEST, REACH / (steps - self._until))
        self._optimizer = torch.optim.Adam(distributions.parameters(), rate)

    def state(self) -> dict[str, Any]:
        """All that the next step depends on, but for the generator."""
        return {
            "distributions": self.distributions.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of a controller that was made with the same arguments."""
        self.distributions.load_state_dict(state["distributions"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]

    def _begin(self) -> bool:
        """Count a step; whether it is frozen."""
        self._steps += 1
        self.distributions.narrow(max(0, self._steps - self._until) / (self._total - self._until))
        self._optimizer.zero_grad()
        return self._steps <= self._until

    def _count(self, frozen: bool) -> int:
        return 1 if frozen else self._samples

    def _move(self) -> None:
        """By the mean gradient of all processes; what none of the draws had active has a gradient of 0."""
        logits = list(self.distributions.logits)
        gradients = torch.cat([torch.zeros_like(one) if one.grad is None else one.grad for one in logits])
        self._exchange.mean(gradients)
        for one, gradient in zip(logits, torch.split(gradients, [len(one) for one in logits]), strict=True):
            one.grad = gradient
        self._optimizer.step()

    def _mean(self, values: list[float]) -> float | None:
        """Over all processes; None where none has any."""
        total = torch.tensor([sum(values), len(values)], dtype=torch.float64)
        self._exchange.mean(total)
        return float(total[0] / total[1]) if total[1] else None


class Reinforce(_Controller):
    """REINFORCE with a moving baseline; frozen for the first quarter of the steps, while the weights warm up."""

    def __init__(
        self,
        distributions: Distributions,
        *,
        baseline_momentum: float = 0.5,
        look_ahead: bool = True,
        **options: Unpack[Options],
    ) -> None:
        """Without `look_ahead`, W is scored instead of W*, which says nothing about hyperparameters: a control."""
        super().__init__(distributions, **options)
        self._look_ahead = look_ahead
        self._baseline = MovingMean(baseline_momentum)

    def step(self, learner: Learner, train: Any, validation: Any, generator: torch.Generator) -> Report:
        """One step of the logits, by W* of a batch `train`, scored on a batch `validation`."""
        frozen = self._begin()
        draws = self._draws(self._count(frozen), generator)
        rewards = [self._reward(learner, one, train, validation) for one in draws]
        mean = self._mean(rewards)
        assert mean is not None
        baseline = self._baseline.updated(mean)
        if not frozen:
            gains = [reward - baseline for reward in rewards]
            terms = [gain * self.distributions.log_probability(one) for gain, one in zip(gains, draws, strict=True)]
            torch.autograd.backward(-torch.stack(terms).mean())
            self._move()
        return Report(mean, baseline, frozen)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "baseline": (self._baseline.total, self._baseline.count)}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._baseline.total, self._baseline.count = state["baseline"]

    def _reward(self, learner: Learner, draw: Draw, train: Any, validation: Any) -> float:
        weights = learner.ahead(draw, train) if self._look_ahead else learner.shared(draw)
        return learner.reward(draw, weights, validation) - draw.penalty


class Differentiable(_Controller):
    """Gradients of the validation loss through the unrolled step; frozen as `Reinforce`.

    What a learner does not let its step or its loss depend on gets no gradient. Nor do soft limits of costs in it:
    their gradient is that of the expected penalty, by the scores of further draws.
    """

    def __init__(self, distributions: Distributions, **options: Unpack[Options]) -> None:
        super().__init__(distributions, **options)
        self._ruined = 0

    def step(self, learner: Learner, train: Any, validation: Any, generator: torch.Generator) -> Report:
        """One step of the logits, by W* of a batch `train`, scored on a batch `validation`.

        Draws whose loss is not finite are left out. Raises TrialFailed (DIVERGED) where there are no others, step
        after step.
        """
        frozen, losses = self._begin(), []
        for draw in self._draws(self._count(frozen), generator):  # one graph at a time
            loss = self._loss(learner, draw, train, validation)
            if math.isfinite(value := float(loss.detach())):
                losses.append(value + draw.penalty)
                if not frozen and loss.requires_grad:
                    torch.autograd.backward(loss / self._samples)
        self._check(losses, draw)
        if not frozen:
            penalty = self._draws.penalty(_PENALISED, generator)
            if penalty is not None:
                torch.autograd.backward(penalty)
            self._move()
        return Report(self._mean([-one for one in losses]), None, frozen)

    def _check(self, losses: list[float], draw: Draw) -> None:
        self._ruined = 0 if losses else self._ruined + 1
        if self._ruined >= _MOST_RUINED:
            message = (
                f"{_MOST_RUINED} steps in a row left no finite loss; the last was made with {draw.candidate.values}"
            )
            raise TrialFailed(FailureKind.DIVERGED, message)

    def _loss(self, learner: Learner, draw: Draw, train: Any, validation: Any) -> Tensor:
        weights = learner.ahead(draw, train, self.distributions.relaxed(draw))
        return learner.loss(draw, weights, validation, self.distributions.coefficients(draw))


@dataclass(slots=True)
class MovingMean:
    """An exponential moving mean, corrected for its start at 0."""

    momentum: float
    total: float = 0.0
    count: int = 0

    def updated(self, value: float) -> float:
        """The mean with one more value."""
        self.count += 1
        self.total = self.momentum * self.total + (1.0 - self.momentum) * value
        return self.total / (1.0 - self.momentum**self.count)

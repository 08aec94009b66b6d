"""The two variants of AutoHAS: how the distributions move after a look ahead.

| symbol | meaning |
|---|---|
| W | weights that all candidates share; a candidate uses a part of them |
| W* | temporary weights: that part after a step with the candidate's own hyperparameters; scored, then discarded |
| R, b | reward of a candidate; moving mean of the rewards |

Hyperparameters influence the loss of W*, but not the loss of W. REINFORCE moves the logits along
(R - b) d log p(candidate), with R the accuracy of W* on validation images. The differentiable variant moves them down
the gradient of the loss of W* on validation images, backpropagated through the step. The authors publish no settings of
the controller: the share of frozen steps is that of TuNAS (arXiv 2008.06120), the other settings are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Required, TypedDict, Unpack

import torch
from torch import Tensor

from searchsvc.errors import FailureKind, TrialFailed
from workers.autohas.distributions import Draw, ParameterDistributions
from workers.autohas.exchange import Exchange, SingleProcess
from workers.autohas.limits import FeasibleSampler
from workers.autohas.updates import Tensors

_PENALISED = 256
"""Draws per step from which `Differentiable` estimates the gradient of soft limits."""
_MOST_FAILED_STEPS = 100


REACH = 15.0
"""Distance that a logit can move in a whole search, approximately: Adam moves it by at most the learning rate per step.
"""
FASTEST = 0.25
"""Largest learning rate that follows from REACH: in a short search, few rewards must not decide too much."""


class LookAheadModel(Protocol):
    """The model that a controller optimises hyperparameters and architectures for. It defines the type of batches."""

    def shared_weights(self, draw: Draw) -> Tensors:
        """Return the candidate's part of W."""

    def look_ahead(self, draw: Draw, batch: Any, relaxed: Tensors | None = None) -> Tensors:
        """Return W*, the weights after a step on a batch.

        They have gradients to the values of `ParameterDistributions.relaxed`, if these are given.
        """

    def reward(self, draw: Draw, weights: Tensors, batch: Any) -> float:
        """Return the reward of weights on a validation batch, such as the accuracy: larger is better."""

    def validation_loss(self, draw: Draw, weights: Tensors, batch: Any, coefficients: Tensors | None = None) -> Tensor:
        """Return the loss () on a validation batch.

        It has gradients to `ParameterDistributions.coefficients`, if the weights depend on them.
        """


@dataclass(frozen=True, slots=True)
class StepReport:
    """Result of a controller's step."""

    score: float | None
    """Mean of the rewards, or of the negative validation losses; None if no loss was finite."""
    baseline: float | None
    """The moving mean of rewards; None for the differentiable variant."""
    frozen: bool


class Options(TypedDict, total=False):
    """Options of both variants."""

    steps: Required[int]
    """Number of steps of the whole search."""
    samples: int
    """Candidates per step; their gradients are averaged."""
    learning_rate: float
    """Learning rate of Adam; 0: `REACH` divided by the number of steps that move the distributions, at most `FASTEST`.
    """
    frozen_share: float
    """Share of the steps, at the beginning, that leave the distributions unchanged."""
    sampler: FeasibleSampler | None
    """Draws candidates within limits; None: any candidate of the distributions."""
    exchange: Exchange
    """Connection to the other processes of the search; the distributions stay equal in all of them."""


class _Controller:
    """Distributions, their optimiser, and the number of steps taken."""

    def __init__(
        self,
        distributions: ParameterDistributions,
        *,
        steps: int,
        samples: int = 2,
        learning_rate: float = 0.0,
        frozen_share: float = 0.25,
        sampler: FeasibleSampler | None = None,
        exchange: Exchange = SingleProcess(),  # noqa: B008 - a constant
    ) -> None:
        """See `Options`."""
        self.distributions, self._samples = distributions, samples
        self._sampler, self._exchange = sampler or FeasibleSampler(distributions), exchange
        self._until, self._total, self._steps = int(steps * frozen_share), steps, 0
        rate = learning_rate or min(FASTEST, REACH / (steps - self._until))
        self._optimizer = torch.optim.Adam(distributions.parameters(), rate)

    def state(self) -> dict[str, Any]:
        """Return all state that the next step depends on, except the random generator."""
        return {
            "distributions": self.distributions.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "steps": self._steps,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of a controller that was created with the same arguments."""
        self.distributions.load_state_dict(state["distributions"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._steps = state["steps"]

    def _begin_step(self) -> bool:
        """Count a step and return whether it is frozen."""
        self._steps += 1
        self.distributions.narrow(max(0, self._steps - self._until) / (self._total - self._until))
        self._optimizer.zero_grad()
        return self._steps <= self._until

    def _count(self, frozen: bool) -> int:
        return 1 if frozen else self._samples

    def _update(self) -> None:
        """Step along the mean gradient of all processes.

        Logits of parameters that are active in no draw have a gradient of 0.
        """
        logits = list(self.distributions.logits)
        each = [torch.zeros_like(own) if own.grad is None else own.grad for own in logits]  # (k,) per parameter
        gradients = torch.cat(each)  # (logits,) of all parameters: one exchange for all of them
        self._exchange.mean(gradients)
        for own, gradient in zip(logits, torch.split(gradients, [len(own) for own in logits]), strict=True):
            own.grad = gradient
        self._optimizer.step()

    def _mean(self, values: list[float]) -> float | None:
        """Return the mean of all values of all processes, or None if there are no values."""
        total = torch.tensor([sum(values), len(values)], dtype=torch.float64)  # (2,)
        self._exchange.mean(total)
        return float(total[0] / total[1]) if total[1] else None


class Reinforce(_Controller):
    """REINFORCE with a moving baseline; frozen for the first quarter of the steps, while the weights warm up."""

    def __init__(
        self,
        distributions: ParameterDistributions,
        *,
        baseline_momentum: float = 0.5,
        look_ahead: bool = True,
        **options: Unpack[Options],
    ) -> None:
        """Create the controller.

        `look_ahead=False` scores W instead of W*, which carries no information about hyperparameters: a control
        experiment.
        """
        super().__init__(distributions, **options)
        self._look_ahead = look_ahead
        self._baseline = MovingMean(baseline_momentum)

    def step(self, model: LookAheadModel, train: Any, validation: Any, generator: torch.Generator) -> StepReport:
        """Move the logits once: W* after a step on batch `train` is scored on batch `validation`."""
        frozen = self._begin_step()
        draws = self._sampler(self._count(frozen), generator)
        rewards = [self._reward(model, draw, train, validation) for draw in draws]
        mean = self._mean(rewards)
        assert mean is not None
        baseline = self._baseline.updated(mean)
        if not frozen:
            gains = [reward - baseline for reward in rewards]
            terms = [gain * self.distributions.log_probability(draw) for gain, draw in zip(gains, draws, strict=True)]
            torch.autograd.backward(
                -torch.stack(terms).mean()
            )  # (samples,) -> (): Adam minimises, rewards are maximised
            self._update()
        return StepReport(mean, baseline, frozen)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "baseline": (self._baseline.total, self._baseline.count)}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._baseline.total, self._baseline.count = state["baseline"]

    def _reward(self, model: LookAheadModel, draw: Draw, train: Any, validation: Any) -> float:
        weights = model.look_ahead(draw, train) if self._look_ahead else model.shared_weights(draw)
        return model.reward(draw, weights, validation) - draw.penalty


class Differentiable(_Controller):
    """Gradients of the validation loss through the unrolled step; frozen like `Reinforce`.

    Parameters that neither the step nor the loss depends on differentiably get no gradient. Soft limits of costs have
    the gradient of the expected penalty, estimated by the score function from additional draws.
    """

    def __init__(self, distributions: ParameterDistributions, **options: Unpack[Options]) -> None:
        super().__init__(distributions, **options)
        self._failed_steps = 0

    def step(self, model: LookAheadModel, train: Any, validation: Any, generator: torch.Generator) -> StepReport:
        """Move the logits once: W* after a step on batch `train` is scored on batch `validation`.

        Draws whose loss is not finite are skipped. Raises TrialFailed (DIVERGED) if all draws of many steps in a row
        are.
        """
        frozen, losses = self._begin_step(), []
        for draw in self._sampler(self._count(frozen), generator):  # one graph in memory at a time
            loss = self._loss(model, draw, train, validation)
            if math.isfinite(value := float(loss.detach())):
                losses.append(value + draw.penalty)
                if not frozen and loss.requires_grad:
                    torch.autograd.backward(loss / self._samples)  # accumulates the mean over samples
        self._check(losses, draw)
        if not frozen:
            penalty = self._sampler.penalty(_PENALISED, generator)
            if penalty is not None:
                torch.autograd.backward(penalty)
            self._update()
        return StepReport(self._mean([-loss for loss in losses]), None, frozen)

    def _check(self, losses: list[float], draw: Draw) -> None:
        self._failed_steps = 0 if losses else self._failed_steps + 1
        if self._failed_steps >= _MOST_FAILED_STEPS:
            values = draw.candidate.values
            message = f"{_MOST_FAILED_STEPS} steps in a row left no finite loss; the last was made with {values}"
            raise TrialFailed(FailureKind.DIVERGED, message)

    def _loss(self, model: LookAheadModel, draw: Draw, train: Any, validation: Any) -> Tensor:
        weights = model.look_ahead(draw, train, self.distributions.relaxed(draw))
        return model.validation_loss(draw, weights, validation, self.distributions.coefficients(draw))


@dataclass(slots=True)
class MovingMean:
    """An exponential moving mean, corrected for its start at 0."""

    momentum: float
    total: float = 0.0
    count: int = 0

    def updated(self, value: float) -> float:
        """Add a value and return the mean."""
        self.count += 1
        self.total = self.momentum * self.total + (1.0 - self.momentum) * value
        return self.total / (1.0 - self.momentum**self.count)  # as Adam corrects its moments

"""What AutoHAS looks one step ahead with: a supernet, and what is kept of each of its weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Categorical, Scalar
from searchsvc.errors import FailureKind, TrialFailed
from searchsvc.spaces.space import Space
from workers.autohas.distributions import Draw
from workers.autohas.shared_state import WEIGHTS, CandidateSlice, Memory
from workers.autohas.task_interface import Lessons, Shared
from workers.autohas.updates import UPDATES, Hyperparameters, Tensors, stepped
from workers.training.ema import decay_at
from workers.training.seeds import torch_seeded

_AVERAGE, _OPTIMIZER = "average", "optimizer"
_MOST_SKIPPED = 100
_KEPT_PARTS = 8
_THROUGH = ("optimizer", "lr", "sgd_lr_scale", "momentum", "weight_decay")
"""What a step has gradients to, besides what its loss is linear in."""
_CLIPPED = 1e-6
"""What torch.nn.utils.clip_grad_norm_ adds to a norm that it divides by."""
N = TypeVar("N", bound=Shared)


class SupernetLearner(Generic[N]):
    """A `Learner`: the path of a candidate, trained with the whole of the candidate's recipe.

    The average of the weights follows every step, at the candidate's decay; candidates with `ema` are scored on it.
    """

    def __init__(
        self,
        network: N,
        space: Space,
        lessons: Lessons[N],
        constants: Mapping[str, Scalar] = MappingProxyType({}),
        *,
        score: str = "accuracy",
    ) -> None:
        """`constants`: values besides those of the space. `score`: the objective that rewards are for."""
        self.network, self.rate_scale = network, 1.0
        """`rate_scale`: what a schedule multiplies the candidates' learning rates by."""
        self.skipped = 0
        """Steps of the weights that were left out, as their loss, or what they led to, was not finite."""
        self._defaults: dict[str, Any] = {**lessons.recipe, **constants}
        self._lessons, self._score = lessons, score
        self._through = {*_THROUGH, lessons.linear}
        self._optimizers = tuple(map(str, _choices(space, _OPTIMIZER, self._defaults)))
        parameters = dict(network.widest.named_parameters())
        averaged = {_AVERAGE: None} if True in _choices(space, "ema", self._defaults) else {}
        slots = {_row(one, slot): first for one in self._optimizers for slot, first in UPDATES[one].slots.items()}
        self._memory = Memory(parameters, {**averaged, **slots})
        places = torch.arange(sum(one.numel() for one in parameters.values()), device=lessons.device)
        self._places = Memory.shaped(places, parameters)
        self._parts: dict[tuple[Any, ...], CandidateSlice] = {}
        self._active: Candidate | None = None
        self._part: CandidateSlice | None = None
        self._steps = self._skipped_in_a_row = 0
        self.batch_size = _largest(space, "batch_size", self._defaults)
        """Of the candidate that takes the most images."""

    @property
    def memory(self) -> Tensor:
        """All that candidates share, flat."""
        return self._memory.flat

    def state(self) -> dict[str, Any]:
        """All that the next step depends on."""
        counts = (self._steps, self.skipped, self._skipped_in_a_row)
        return {"memory": self.memory, "counts": counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state()` of a learner that was made with the same arguments."""
        self.memory.copy_(state["memory"])
        self._steps, self.skipped, self._skipped_in_a_row = state["counts"]

    def shared(self, draw: Draw) -> dict[str, Tensor]:
        """See `Learner`: copies of the weights that the candidate is scored on."""
        part = self._activated(draw)
        return part.named(self._memory.take(_AVERAGE if self._values(draw)["ema"] else WEIGHTS, part))

    def ahead(self, draw: Draw, batch: Any, relaxed: Tensors | None = None) -> dict[str, Tensor]:
        """See `Learner`: of all that is shared only the candidate's part is copied."""
        part, values = self._activated(draw), self._values(draw)
        through = {name: one for name, one in (relaxed or {}).items() if name in self._through}
        moved = self._step(part, {**values, **through}, batch)[1]
        weights = self._averaged(part, values, moved[WEIGHTS]) if values["ema"] else moved[WEIGHTS]
        return part.named(weights)

    @torch.inference_mode()
    def reward(self, draw: Draw, weights: Tensors, batch: Any) -> float:
        """See `Learner`; what it is, the task says (`Lessons.reward`)."""
        self._activated(draw)
        return self._lessons.reward(self.network, weights, batch, self._values(draw), self._score)

    def loss(self, draw: Draw, weights: Tensors, batch: Any, coefficients: Tensors | None = None) -> Tensor:
        """See `Learner`."""
        self._activated(draw)
        gated = self.network.gated(weights, coefficients) if coefficients else weights
        return self._lessons.loss(self.network, gated, batch, self._values(draw))

    def train(self, draw: Draw, batch: Any) -> float | None:
        """Make the candidate's step on what is shared, and return its loss.

        None where the loss or what the step leads to is not finite: nothing is changed then. Raises TrialFailed
        (DIVERGED) where that happens time after time.
        """
        part, values = self._activated(draw), self._values(draw)
        loss, moved = self._step(part, values, batch)
        if not (math.isfinite(loss) and all(_is_finite(one) for one in moved.values())):
            self._skip(loss)
            return None
        self._skipped_in_a_row = 0
        if _AVERAGE in self._memory:
            moved[_AVERAGE] = self._averaged(part, values, moved[WEIGHTS])
        for row, numbers in moved.items():
            self._memory.put(row, part, numbers)
        self._steps += 1
        return loss

    def _skip(self, loss: float) -> None:
        self.skipped, self._skipped_in_a_row = self.skipped + 1, self._skipped_in_a_row + 1
        if self._skipped_in_a_row >= _MOST_SKIPPED:
            message = f"{_MOST_SKIPPED} steps of the shared weights in a row were not finite; the last loss is {loss:g}"
            raise TrialFailed(FailureKind.DIVERGED, message)

    def _step(self, part: CandidateSlice, values: Mapping[str, Any], batch: Any) -> tuple[float, dict[str, Tensor]]:
        """(loss, numbers (p,) by row) after a step of the active path; values may have gradients."""
        weights = self._memory.take(WEIGHTS, part)
        leaf = weights.detach().requires_grad_()
        with torch_seeded(batch.seed, 0, self._lessons.device):
            lesson = self._lessons.lesson(self.network, part.named(leaf), batch, values)
        loss, gradient = lesson.descended(leaf)
        if values["clip_norm"]:
            gradient = gradient * (values["clip_norm"] / (gradient.norm() + _CLIPPED)).clamp(max=1.0)
        hyper = self._hyperparameters(values)
        taken = {
            one: {slot: part.grouped(self._memory.take(_row(one, slot), part)) for slot in UPDATES[one].slots}
            for one in hyper.shares
        }
        slots = {
            one: {group: {slot: groups[group] for slot, groups in own.items()} for group in ("matrices", "vectors")}
            for one, own in taken.items()
        }
        moved, kept = stepped(part.grouped(weights), part.grouped(gradient), slots, hyper)
        rows = {WEIGHTS: part.joined(moved)}
        for one, groups in kept.items():
            for slot in UPDATES[one].slots:
                rows[_row(one, slot)] = part.joined({group: own[slot] for group, own in groups.items()})
        return loss, rows

    def _averaged(self, part: CandidateSlice, values: Mapping[str, Any], moved: Tensor) -> Tensor:
        """(p,) of the average, after the next step has led to weights (p,)."""
        decay = decay_at(self._steps + 1, values["ema_decay"])
        return torch.lerp(self._memory.take(_AVERAGE, part), moved, 1.0 - decay)

    def _activated(self, draw: Draw) -> CandidateSlice:
        """Make the candidate's path the active one; where its numbers lie."""
        if draw.candidate is not self._active:
            self.network.activate(draw.candidate.values)
            self._active, self._part = draw.candidate, self._part_of(draw.candidate)
        assert self._part is not None
        return self._part

    def _part_of(self, candidate: Candidate) -> CandidateSlice:
        key = tuple((name, value) for name, value in candidate.values.items() if name not in self._lessons.recipe)
        if key not in self._parts:
            if len(self._parts) >= _KEPT_PARTS:
                del self._parts[next(iter(self._parts))]
            self._parts[key] = CandidateSlice.of(self.network.part(self._places))
        return self._parts[key]

    def _values(self, draw: Draw) -> dict[str, Any]:
        return {**self._defaults, **draw.candidate.values}

    def _hyperparameters(self, values: Mapping[str, Any]) -> Hyperparameters:
        chosen = values[_OPTIMIZER]
        shares = dict(zip(self._optimizers, chosen, strict=True)) if isinstance(chosen, Tensor) else {chosen: 1.0}
        rate = values["lr"] * self.rate_scale
        rates = {name: rate * values["sgd_lr_scale"] if name == "sgd" else rate for name in shares}
        return Hyperparameters(shares, rates, values["weight_decay"], values["momentum"])


def _row(optimizer: str, slot: str) -> str:
    return f"{optimizer}/{slot}"


def _choices(space: Space, name: str, defaults: Mapping[str, Any]) -> tuple[Scalar, ...]:
    choices = (one.choices for one in space.parameters if one.name == name and isinstance(one, Categorical))
    return next(choices, (defaults[name],))


def _largest(space: Space, name: str, defaults: Mapping[str, Any]) -> int:
    """Of all values that candidates can have."""
    found = [
        max(map(int, one.choices)) if isinstance(one, Categorical) else int(one.high)
        for one in space.parameters
        if one.name == name
    ]
    conditional = any(one.when for one in space.parameters if one.name == name)
    return max([*found, *([int(defaults[name])] if conditional or not found else [])])


def _is_finite(numbers: Tensor) -> bool:
    """As far as their sum says, which takes a fraction of the time."""
    return math.isfinite(float(numbers.sum()))

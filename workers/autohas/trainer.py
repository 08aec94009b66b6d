"""Training of the shared weights, and the step that AutoHAS looks ahead."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Categorical, Scalar, number
from searchsvc.errors import FailureKind, TrialFailed
from searchsvc.spaces.space import Space
from workers.autohas.distributions import Draw
from workers.autohas.shared_state import WEIGHTS, CandidateSlice, SharedState
from workers.autohas.task_interface import CandidateLosses, WeightSharingNetwork
from workers.autohas.updates import UPDATES, Hyperparameters, Tensors, stepped
from workers.training.ema import decay_at
from workers.training.seeds import torch_seeded

_AVERAGE, _OPTIMIZER = "average", "optimizer"
_MOST_SKIPPED = 100
_CACHED_PARTS = 8
_THROUGH = ("optimizer", "lr", "sgd_lr_scale", "momentum", "weight_decay")
"""Hyperparameters that a step has gradients to, in addition to `CandidateLosses.linear`."""
_CLIPPED = 1e-6
"""Constant that torch.nn.utils.clip_grad_norm_ adds to the norm in its denominator."""
N = TypeVar("N", bound=WeightSharingNetwork)


class SupernetTrainer(Generic[N]):
    """A `LookAheadModel`: the path of a candidate, trained with the candidate's whole recipe.

    The average of the weights follows every step with the candidate's decay; candidates with `ema` are scored on it.
    """

    def __init__(
        self,
        network: N,
        space: Space,
        losses: CandidateLosses[N],
        constants: Mapping[str, Scalar] = MappingProxyType({}),
        *,
        score: str = "accuracy",
    ) -> None:
        """Create the trainer.

        `constants`: values that the space does not contain. `score`: the objective that rewards measure.
        """
        self.network, self.rate_scale = network, 1.0
        """`rate_scale`: factor by which a schedule multiplies the candidates' learning rates."""
        self.skipped = 0
        """Steps that left the weights unchanged, because the loss or the new weights were not finite."""
        self._defaults: dict[str, Any] = {**losses.recipe, **constants}
        self._losses, self._score = losses, score
        self._through = {*_THROUGH, losses.linear}
        self._optimizers = tuple(map(str, _choices(space, _OPTIMIZER, self._defaults)))
        parameters = dict(network.widest.named_parameters())
        averaged = {_AVERAGE: None} if True in _choices(space, "ema", self._defaults) else {}
        slots = {
            _row(optimizer, slot): first
            for optimizer in self._optimizers
            for slot, first in UPDATES[optimizer].slots.items()
        }
        self._state = SharedState(parameters, {**averaged, **slots})
        places = torch.arange(sum(each.numel() for each in parameters.values()), device=losses.device)  # (P,)
        self._places = SharedState.shaped(places, parameters)
        self._parts: dict[tuple[Any, ...], CandidateSlice] = {}
        self._active: Candidate | None = None
        self._part: CandidateSlice | None = None
        self._steps = self._skipped_in_a_row = 0
        self.batch_size = _largest(space, "batch_size", self._defaults)
        """Batch size of the candidate that takes the most images."""

    @property
    def flat_state(self) -> Tensor:
        """All numbers that candidates share, (r P,)."""
        return self._state.flat

    def state(self) -> dict[str, Any]:
        """Return all state that the next step depends on."""
        counts = (self._steps, self.skipped, self._skipped_in_a_row)
        return {"memory": self.flat_state, "counts": counts}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state()` of a trainer that was created with the same arguments."""
        self.flat_state.copy_(state["memory"])
        self._steps, self.skipped, self._skipped_in_a_row = state["counts"]

    def shared_weights(self, draw: Draw) -> dict[str, Tensor]:
        """Return copies of the weights that the candidate is scored on; see `LookAheadModel`."""
        part = self._activated(draw)
        return part.named(self._state.gather(_AVERAGE if self._values(draw)["ema"] else WEIGHTS, part))

    def look_ahead(self, draw: Draw, batch: Any, relaxed: Tensors | None = None) -> dict[str, Tensor]:
        """Return the weights after a step; see `LookAheadModel`.

        Only the candidate's part of the shared state is copied.
        """
        part, values = self._activated(draw), self._values(draw)
        through = {name: value for name, value in (relaxed or {}).items() if name in self._through}
        moved = self._step(part, {**values, **through}, batch)[1]
        weights = self._averaged(part, values, moved[WEIGHTS]) if values["ema"] else moved[WEIGHTS]
        return part.named(weights)

    @torch.inference_mode()
    def reward(self, draw: Draw, weights: Tensors, batch: Any) -> float:
        """Return the reward that the task defines (`CandidateLosses.reward`); see `LookAheadModel`."""
        self._activated(draw)
        return self._losses.reward(self.network, weights, batch, self._values(draw), self._score)

    def validation_loss(self, draw: Draw, weights: Tensors, batch: Any, coefficients: Tensors | None = None) -> Tensor:
        """Return the loss on a validation batch; see `LookAheadModel`."""
        self._activated(draw)
        gated = self.network.gated(weights, coefficients) if coefficients else weights
        return self._losses.validation_loss(self.network, gated, batch, self._values(draw))

    def train(self, draw: Draw, batch: Any) -> float | None:
        """Make the candidate's step on the shared weights and return its loss.

        Returns None and changes nothing if the loss or the new numbers are not finite. Raises TrialFailed (DIVERGED) if
        that happens many times in a row.
        """
        part, values = self._activated(draw), self._values(draw)
        loss, moved = self._step(part, values, batch)
        if not (math.isfinite(loss) and all(_is_finite(numbers) for numbers in moved.values())):
            self._skip(loss)
            return None
        self._skipped_in_a_row = 0
        if _AVERAGE in self._state:
            moved[_AVERAGE] = self._averaged(part, values, moved[WEIGHTS])
        for row, numbers in moved.items():
            self._state.scatter(row, part, numbers)
        self._steps += 1
        return loss

    def _skip(self, loss: float) -> None:
        self.skipped, self._skipped_in_a_row = self.skipped + 1, self._skipped_in_a_row + 1
        if self._skipped_in_a_row >= _MOST_SKIPPED:
            message = f"{_MOST_SKIPPED} steps of the shared weights in a row were not finite; the last loss is {loss:g}"
            raise TrialFailed(FailureKind.DIVERGED, message)

    def _step(self, part: CandidateSlice, values: Mapping[str, Any], batch: Any) -> tuple[float, dict[str, Tensor]]:
        """Return (loss, numbers (p,) by row) after a step of the active path; values may have gradients."""
        weights = self._state.gather(WEIGHTS, part)  # (p,)
        leaf = weights.detach().requires_grad_()
        with torch_seeded(batch.seed, 0, self._losses.device):
            training_loss = self._losses.training_loss(self.network, part.named(leaf), batch, values)
        loss, gradient = training_loss.descended(leaf)  # float, (p,)
        if values["clip_norm"]:
            gradient = gradient * (values["clip_norm"] / (gradient.norm() + _CLIPPED)).clamp(max=1.0)
        hyper = self._hyperparameters(values)
        stored = {
            name: {slot: part.grouped(self._state.gather(_row(name, slot), part)) for slot in UPDATES[name].slots}
            for name in hyper.shares
        }
        slots = {  # all matrices are one tensor for `stepped`, and all vectors another
            name: {group: {slot: groups[group] for slot, groups in own.items()} for group in ("matrices", "vectors")}
            for name, own in stored.items()
        }
        moved, new_slots = stepped(part.grouped(weights), part.grouped(gradient), slots, hyper)
        rows = {WEIGHTS: part.joined(moved)}
        for name, groups in new_slots.items():
            for slot in UPDATES[name].slots:
                rows[_row(name, slot)] = part.joined({group: own[slot] for group, own in groups.items()})
        return loss, rows

    def _averaged(self, part: CandidateSlice, values: Mapping[str, Any], moved: Tensor) -> Tensor:
        """Return the average (p,) after the next step, which leads to weights (p,)."""
        decay = decay_at(self._steps + 1, values["ema_decay"])
        return torch.lerp(self._state.gather(_AVERAGE, part), moved, 1.0 - decay)

    def _activated(self, draw: Draw) -> CandidateSlice:
        """Make the candidate's path active and return the places of its numbers."""
        if draw.candidate is not self._active:
            self.network.activate(draw.candidate.values)
            self._active, self._part = draw.candidate, self._part_of(draw.candidate)
        assert self._part is not None
        return self._part

    def _part_of(self, candidate: Candidate) -> CandidateSlice:
        key = tuple((name, value) for name, value in candidate.values.items() if name not in self._losses.recipe)
        if key not in self._parts:
            if len(self._parts) >= _CACHED_PARTS:
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
    named = (parameter for parameter in space.parameters if parameter.name == name)
    return next((each.choices for each in named if isinstance(each, Categorical)), (defaults[name],))


def _largest(space: Space, name: str, defaults: Mapping[str, Any]) -> int:
    """Return the largest value that a candidate can have."""
    named = [parameter for parameter in space.parameters if parameter.name == name]
    largest = [
        int(max(map(number, each.choices))) if isinstance(each, Categorical) else int(each.high) for each in named
    ]
    if not named or any(each.when for each in named):  # candidates without the parameter have its default
        largest.append(int(defaults[name]))
    return max(largest)


def _is_finite(numbers: Tensor) -> bool:
    """True if the sum of the numbers is finite, which takes a fraction of the time of checking each number."""
    return math.isfinite(float(numbers.sum()))

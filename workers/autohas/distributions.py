"""Independent softmax distributions, one per parameter of a space.

| symbol | meaning | shape |
|---|---|---|
| l | logits of a parameter with k options | (k,) |
| g | independent standard Gumbel noise | (k,) |
| s | spread of the coefficients of a basis | |
| z | perturbed logits: l + g of a choice, l + s g of a basis | (k,) |
| c | coefficients on the simplex: one-hot of argmax z for a choice, softmax(z) for a basis | (k,) |

So a choice is drawn with probability softmax(l). A basis has Gumbel-softmax coefficients at the temperature 1/s around
those of softmax(l): its value may be any number within its range, and is the closer to the expectation the smaller s
is. The search returns the expectation. Draws that lie far apart have clearly different rewards, but with a wide spread
the best expectation is not the best value. Therefore s falls during a search. Both variants of AutoHAS use z: REINFORCE
needs the density of a draw, the differentiable variant a differentiable draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from searchsvc.domain.candidates import Candidate
from searchsvc.domain.parameters import Basis, Categorical, Float, Parameter, Scalar
from searchsvc.errors import Fault, InvalidInput
from searchsvc.spaces.bases import MOST_OPTIONS
from searchsvc.spaces.ranges import levels
from searchsvc.spaces.space import Matrix, Space


@dataclass(frozen=True, slots=True)
class Draw:
    """A candidate with its perturbed logits."""

    candidate: Candidate
    perturbed: Mapping[str, Tensor]
    """(k,) by name, for the parameters that are active in the candidate."""
    penalty: float = 0.0
    """Amount subtracted from its reward because its costs exceed soft limits."""


@dataclass(frozen=True, slots=True)
class DrawBatch:
    """Several draws, whose costs are computed at once."""

    matrix: Matrix
    """(n, d) matrix of the space."""
    perturbed: Mapping[str, Tensor]
    """(n, k) for every parameter, whether active or not."""


class ParameterDistributions(nn.Module):
    """The distributions of a space, uniform at first; the logits are the parameters of the module.

    Raises InvalidInput (pointers `/0`, `/1`, ...) if a parameter has no finite list of options and is not a basis.
    """

    def __init__(
        self, space: Space, *, spread: float = 1.0, last_spread: float = 0.25, temperature: float = 1.0
    ) -> None:
        """Create uniform distributions.

        `spread`, `last_spread`: s at the beginning and at the end of a search (see `narrow`). `temperature`:
        temperature of the softmax that gives a choice its gradient.
        """
        super().__init__()
        self.space, self._temperature = space, temperature
        self._ends, self._spread = (spread, last_spread), spread
        self.options = _options(space)
        """(k,) entries of the space's matrix by name: basis values, whole numbers, or the codes of choices."""
        self._numbers = {
            parameter.name: torch.tensor(numbers, dtype=torch.float64)  # (k,)
            for parameter in space.parameters
            if (numbers := _numbers(parameter)) is not None
        }
        self._mixed = {parameter.name for parameter in space.parameters if isinstance(parameter, Basis)}
        self.logits = nn.ParameterList(torch.zeros(len(entries)) for entries in self.options.values())
        self._by_name: dict[str, Tensor] = dict(zip(self.options, self.logits, strict=True))

    def narrow(self, share: float) -> None:
        """Set s for a search that is complete to this share, from 0 to 1: s falls by the same factor in each step."""
        first, last = self._ends
        self._spread = first ** (1.0 - share) * last**share

    def by_name(self) -> dict[str, Tensor]:
        """Return the logits (k,) of every parameter."""
        return dict(self._by_name)

    def labels(self, name: str) -> tuple[Scalar, ...]:
        """Return the options of a parameter in the order of its logits."""
        return _labels(self.space[name])

    def draw(self, generator: torch.Generator) -> Draw:
        """Return an independent draw of every parameter."""
        return self.draw_at(self.sample(1, generator), 0)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> DrawBatch:
        """Return `count` independent draws of every parameter."""
        perturbed = {}
        for name, logits in self._by_name.items():
            scale = self._spread if name in self._mixed else 1.0
            perturbed[name] = logits + scale * _gumbel((count, len(logits)), generator)  # (n, k)
        return DrawBatch(self._matrix(perturbed), perturbed)

    def draw_at(self, sample: DrawBatch, row: int, penalty: float = 0.0) -> Draw:
        """Return the draw in a row of a sample."""
        candidate = self.space.from_matrix(sample.matrix[row : row + 1])[0]
        active = {name: values[row] for name, values in sample.perturbed.items() if name in candidate.values}
        return Draw(candidate, active, penalty)

    def log_probability(self, draw: Draw) -> Tensor:
        """Return the log-probability () of the parameters that are active in a draw.

        For a basis this is the density of its perturbed logits.
        """
        each = [self._log_probabilities(name, perturbed[None]) for name, perturbed in draw.perturbed.items()]  # (1,)
        return torch.stack(each).sum()

    def log_probabilities(self, sample: DrawBatch) -> Tensor:
        """Return the log-probabilities (n,) of many draws; see `log_probability`."""
        active = torch.from_numpy(~np.isnan(sample.matrix))  # (n, d)
        each = [self._log_probabilities(name, sample.perturbed[name]) for name in self.space.names]  # d times (n,)
        return (torch.stack(each, 1) * active).sum(1)

    def relaxed(self, draw: Draw) -> dict[str, Tensor]:
        """Return the values of a draw with gradients to the logits.

        A number is a scalar (); a choice among options that are not numbers is c (k,).
        """
        coefficients = self.coefficients(draw)
        return {name: c @ self._numbers[name].to(c) if name in self._numbers else c for name, c in coefficients.items()}

    def coefficients(self, draw: Draw) -> dict[str, Tensor]:
        """Return c (k,) of a draw with gradients to the logits, by name.

        A choice has straight-through gradients of its softmax. The logits must not have changed since the draw.
        """
        return {name: self._coefficients(name, perturbed) for name, perturbed in draw.perturbed.items()}

    @torch.no_grad()
    def derived(self) -> Candidate:
        """Return the derived candidate: the most likely choices and whole numbers, the expectations of bases."""
        return self.space.from_matrix(self._matrix({name: logits[None] for name, logits in self._by_name.items()}))[0]

    @torch.no_grad()
    def entropies(self) -> dict[str, float]:
        """Return the entropies in nats, by name."""
        logs = {name: F.log_softmax(logits, 0) for name, logits in self._by_name.items()}
        return {name: float(-(log.exp() * log).sum()) for name, log in logs.items()}

    def _matrix(self, perturbed: Mapping[str, Tensor]) -> Matrix:
        """Return the matrix (n, d) of the space for perturbed logits (n, k) by name."""
        return self.space.activate(np.stack([self._column(name, perturbed[name]) for name in self.space.names], 1))

    def _column(self, name: str, perturbed: Tensor) -> Matrix:
        """(n, k) -> (n,)."""
        options = self.options[name]
        if name not in self._mixed:
            return np.asarray(options[perturbed.argmax(1).numpy()])
        # Rounding could lead outside the range, where the space would refuse the value.
        return np.clip(perturbed.double().softmax(1).numpy() @ options, options.min(), options.max())

    def _log_probabilities(self, name: str, perturbed: Tensor) -> Tensor:
        """(n, k) -> (n,)."""
        logits = self._by_name[name]
        if name not in self._mixed:
            return F.log_softmax(logits, 0)[perturbed.argmax(1)]
        noise = (perturbed - logits) / self._spread  # (n, k): g
        return (-noise - torch.exp(-noise)).sum(1)  # log-density of Gumbel noise, up to a constant

    def _coefficients(self, name: str, perturbed: Tensor) -> Tensor:
        logits = self._by_name[name]
        moved = perturbed + (logits - logits.detach())  # (k,): the value of z, with a gradient to l
        if name in self._mixed:
            return moved.softmax(0)
        soft = (moved / self._temperature).softmax(0)
        hard = F.one_hot(perturbed.argmax(), len(perturbed)).to(soft.dtype)
        return hard + soft - soft.detach()  # (k,): the value of `hard`, the gradient of `soft`


def _gumbel(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return -torch.empty(shape).exponential_(generator=generator).log()  # -log(-log u) of uniform u


def _options(space: Space) -> dict[str, Matrix]:
    faults = [
        Fault(f"/{index}", reason)
        for index, parameter in enumerate(space.parameters)
        if (reason := _reason_against(parameter))
    ]
    if faults:
        raise InvalidInput(faults)
    return {parameter.name: np.array(list(_entries(parameter)), np.float64) for parameter in space.parameters}


def _reason_against(parameter: Parameter) -> str | None:
    others = "the algorithms that train each candidate by itself search it as it is"
    if isinstance(parameter, Float):
        return f"{parameter.name} is a range: give AutoHAS a basis of some of its values; {others}"
    if levels(parameter) > MOST_OPTIONS and not isinstance(parameter, Basis):
        return f"{parameter.name} has more than {MOST_OPTIONS} values: narrow it, or make it a basis; {others}"
    return None


def _numbers(parameter: Parameter) -> list[float] | None:
    """Return the options as numbers, or None if not all of them are numbers."""
    options = _labels(parameter)
    numbers = [float(option) for option in options if not isinstance(option, bool | str | None)]
    return numbers if len(numbers) == len(options) else None


def _labels(parameter: Parameter) -> tuple[Scalar, ...]:
    return parameter.choices if isinstance(parameter, Categorical) else tuple(_entries(parameter))


def _entries(parameter: Parameter) -> Iterator[Scalar]:
    """Yield the entry of a space's matrix for every option."""
    if isinstance(parameter, Categorical):
        yield from range(len(parameter.choices))
    elif isinstance(parameter, Basis):
        yield from parameter.values
    else:
        assert not isinstance(parameter, Float)
        yield from range(parameter.low, parameter.high + 1, parameter.step)

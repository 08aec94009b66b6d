"""One softmax distribution per parameter of a space, independent of the others.

| symbol | meaning | shape |
|---|---|---|
| l | logits of a parameter with k options | (k,) |
| g | independent standard Gumbel noise | (k,) |
| s | spread of the coefficients of a basis | |
| z | perturbed logits: l + g of a choice, l + s g of a basis | (k,) |
| c | coefficients on the simplex: one-hot of argmax z for a choice, softmax(z) for a basis | (k,) |

So a choice is drawn with probability softmax(l), and a basis has Gumbel-softmax coefficients at the temperature 1/s
around those of softmax(l): any number within its range, the closer to the expectation the smaller s is. The expectation
is what is searched for. Draws that lie far apart are told apart by their rewards, but with a wide spread the best
expectation is not the best value: so s falls during a search. What both variants of AutoHAS need follows from z: the
density of a draw for REINFORCE, and a draw that can be differentiated.
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
from searchsvc.spaces.space import Matrix, Space


@dataclass(frozen=True, slots=True)
class Draw:
    """A candidate, and the perturbed logits that it follows from."""

    candidate: Candidate
    perturbed: Mapping[str, Tensor]
    """(k,) by name, of the parameters that are active in the candidate."""
    penalty: float = 0.0
    """What is taken off its reward, as its costs are above soft limits."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Many draws, all of whose costs are judged at once."""

    matrix: Matrix
    """(n, d) of the space."""
    perturbed: Mapping[str, Tensor]
    """(n, k) of every parameter, whether active or not."""


class Distributions(nn.Module):
    """The distributions of a space, uniform at first; the logits are the parameters of the module.

    Raises InvalidInput (pointers `/0`, `/1`, ...) where a parameter has no finite list of options and is no basis.
    """

    def __init__(
        self, space: Space, *, spread: float = 1.0, last_spread: float = 0.25, temperature: float = 1.0
    ) -> None:
        """`spread`, `last_spread`: s above, at the beginning and the end of a search (see `narrow`).

        `temperature`: of the softmax that gives a choice its gradient.
        """
        super().__init__()
        self.space, self._temperature = space, temperature
        self._ends, self._spread = (spread, last_spread), spread
        self.options = _options(space)
        """(k,) entries of the space's matrix by name: basis values, whole numbers, or the codes of choices."""
        self._numbers = {
            one.name: torch.tensor(numbers, dtype=torch.float64)
            for one in space.parameters
            if (numbers := _numbers(one)) is not None
        }
        self._mixed = {one.name for one in space.parameters if isinstance(one, Basis)}
        self.logits = nn.ParameterList(torch.zeros(len(one)) for one in self.options.values())
        self._by_name: dict[str, Tensor] = dict(zip(self.options, self.logits, strict=True))

    def narrow(self, share: float) -> None:
        """Set s as it is when so much of a search is done, from 0 to 1: it falls by the same factor in each step."""
        first, last = self._ends
        self._spread = first ** (1.0 - share) * last**share

    def by_name(self) -> dict[str, Tensor]:
        """(k,) logits of every parameter."""
        return dict(self._by_name)

    def labels(self, name: str) -> tuple[Scalar, ...]:
        """The options of a parameter in the order of its logits."""
        return _labels(self.space[name])

    def draw(self, generator: torch.Generator) -> Draw:
        """An independent draw of every parameter."""
        return self.drawn(self.sample(1, generator), 0)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Sample:
        """`count` independent draws of every parameter."""
        perturbed = {}
        for name, logits in self._by_name.items():
            scale = self._spread if name in self._mixed else 1.0
            perturbed[name] = logits + scale * _gumbel((count, len(logits)), generator)
        return Sample(self._matrix(perturbed), perturbed)

    def drawn(self, sample: Sample, row: int, penalty: float = 0.0) -> Draw:
        """One draw of a sample."""
        candidate = self.space.from_matrix(sample.matrix[row : row + 1])[0]
        active = {name: one[row] for name, one in sample.perturbed.items() if name in candidate.values}
        return Draw(candidate, active, penalty)

    def log_probability(self, draw: Draw) -> Tensor:
        """() of what is active in a draw: of the choices, and the density of the perturbed logits of bases."""
        return torch.stack([self._log_probabilities(name, one[None]) for name, one in draw.perturbed.items()]).sum()

    def log_probabilities(self, sample: Sample) -> Tensor:
        """(n,) the same of many."""
        active = torch.from_numpy(~np.isnan(sample.matrix))
        each = [self._log_probabilities(name, sample.perturbed[name]) for name in self.space.names]
        return (torch.stack(each, 1) * active).sum(1)

    def relaxed(self, draw: Draw) -> dict[str, Tensor]:
        """The values of a draw with gradients to the logits: () of a number, c (k,) of a choice of anything else."""
        coefficients = self.coefficients(draw)
        return {name: c @ self._numbers[name].to(c) if name in self._numbers else c for name, c in coefficients.items()}

    def coefficients(self, draw: Draw) -> dict[str, Tensor]:
        """c (k,) of a draw with gradients to the logits, by name.

        Gradients of a choice are straight through its softmax. For draws made since the logits have last changed.
        """
        return {name: self._coefficients(name, one) for name, one in draw.perturbed.items()}

    @torch.no_grad()
    def derived(self) -> Candidate:
        """What the distributions stand for: the likeliest choices and whole numbers, the expectations of bases."""
        return self.space.from_matrix(self._matrix({name: one[None] for name, one in self._by_name.items()}))[0]

    @torch.no_grad()
    def entropies(self) -> dict[str, float]:
        """In nats, by name."""
        logs = {name: F.log_softmax(logits, 0) for name, logits in self._by_name.items()}
        return {name: float(-(one.exp() * one).sum()) for name, one in logs.items()}

    def _matrix(self, perturbed: Mapping[str, Tensor]) -> Matrix:
        """(n, d) of the space from perturbed logits (n, k) by name."""
        return self.space.activate(np.stack([self._column(name, perturbed[name]) for name in self.space.names], 1))

    def _column(self, name: str, perturbed: Tensor) -> Matrix:
        """(n, k) -> (n,)."""
        options = self.options[name]
        if name not in self._mixed:
            return np.asarray(options[perturbed.argmax(1).numpy()])
        return np.clip(perturbed.double().softmax(1).numpy() @ options, options.min(), options.max())

    def _log_probabilities(self, name: str, perturbed: Tensor) -> Tensor:
        """(n, k) -> (n,)."""
        logits = self._by_name[name]
        if name not in self._mixed:
            return F.log_softmax(logits, 0)[perturbed.argmax(1)]
        noise = (perturbed - logits) / self._spread
        return (-noise - torch.exp(-noise)).sum(1)

    def _coefficients(self, name: str, perturbed: Tensor) -> Tensor:
        logits = self._by_name[name]
        moved = perturbed + (logits - logits.detach())
        if name in self._mixed:
            return moved.softmax(0)
        soft = (moved / self._temperature).softmax(0)
        hard = F.one_hot(perturbed.argmax(), len(perturbed)).to(soft.dtype)
        return hard + soft - soft.detach()


def _gumbel(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    return -torch.empty(shape).exponential_(generator=generator).log()


def _options(space: Space) -> dict[str, Matrix]:
    faults = [
        Fault(f"/{index}", reason) for index, one in enumerate(space.parameters) if (reason := _reason_against(one))
    ]
    if faults:
        raise InvalidInput(faults)
    return {one.name: np.array(list(_entries(one)), np.float64) for one in space.parameters}


def _reason_against(parameter: Parameter) -> str | None:
    others = "the algorithms that train each candidate by itself search it as it is"
    if isinstance(parameter, Float):
        return f"{parameter.name} is a range: give AutoHAS a basis of some of its values; {others}"
    if len(list(_entries(parameter))) > MOST_OPTIONS:
        return f"{parameter.name} has more than {MOST_OPTIONS} values: narrow it, or make it a basis; {others}"
    return None


def _numbers(parameter: Parameter) -> list[float] | None:
    """The options as numbers, where they are numbers."""
    options = _labels(parameter)
    numbers = [float(one) for one in options if not isinstance(one, bool | str)]
    return numbers if len(numbers) == len(options) else None


def _labels(parameter: Parameter) -> tuple[Scalar, ...]:
    return parameter.choices if isinstance(parameter, Categorical) else tuple(_entries(parameter))


def _entries(parameter: Parameter) -> Iterator[Scalar]:
    """What stands in the matrix of a space for every option."""
    if isinstance(parameter, Categorical):
        yield from range(len(parameter.choices))
    elif isinstance(parameter, Basis):
        yield from parameter.values
    else:
        assert not isinstance(parameter, Float)
        yield from range(parameter.low, parameter.high + 1, parameter.step)

"""Golden vectors: inputs, parameters, outputs and gradients of reference implementations, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Golden:
    """The arrays of a case; `renames` maps prefixes of the reference's names to ours."""

    arrays: Mapping[str, Tensor]

    def __getitem__(self, name: str) -> Tensor:
        return self.arrays[name]

    def under(self, prefix: str, renames: Mapping[str, str]) -> dict[str, Tensor]:
        selected = {name.removeprefix(prefix): one for name, one in self.arrays.items() if name.startswith(prefix)}
        return {_renamed(name, renames): one for name, one in selected.items()}

    def load(self, module: nn.Module, renames: Mapping[str, str] | None = None) -> None:
        """Load every parameter of the reference into a parameter of ours, leaving none out on either side."""
        state = self.under("param.", renames or {}) | self.under("buffer.", renames or {})
        result = module.double().load_state_dict(state, strict=False)
        assert result.unexpected_keys == []
        assert set(result.missing_keys) & dict(module.named_parameters()).keys() == set()

    def check(self, module: nn.Module, renames: Mapping[str, str] | None = None) -> None:
        """Compare the output, and the gradients of sum(out * gradout) by the input and by every parameter."""
        x = self["x"].clone().requires_grad_()
        out = module(x)
        close(out, self["out"])
        (out * self["gradout"]).sum().backward()
        close(x.grad, self.arrays.get("grad.x", self.arrays.get("grad_x")))
        expected = self.under("grad.", renames or {})
        for name, parameter in module.named_parameters():
            close(parameter.grad, expected[name])


@pytest.fixture
def golden(shared: Path) -> Callable[..., Golden]:
    """Load a file, or its arrays whose names begin with a prefix."""

    def load(name: str, prefix: str = "") -> Golden:
        with np.load(shared / "golden" / f"{name}.npz") as file:
            arrays = {key: torch.from_numpy(file[key]) for key in file.files if key.startswith(prefix)}
        return Golden({key.removeprefix(prefix): one for key, one in arrays.items()})

    return load


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def randomise() -> Callable[[nn.Module], None]:
    """Give every parameter of a module a random value, including parameters that start as 0."""

    def run(module: nn.Module) -> None:
        for parameter in module.parameters():
            nn.init.normal_(parameter, std=0.3)

    return run


def close(ours: Tensor | None, reference: Tensor | None) -> None:
    assert ours is not None
    assert reference is not None
    torch.testing.assert_close(ours, reference, rtol=TOLERANCE, atol=TOLERANCE)


def _renamed(name: str, renames: Mapping[str, str]) -> str:
    for theirs, ours in renames.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name

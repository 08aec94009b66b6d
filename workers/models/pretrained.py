"""Weights from a file of any network, loaded into the weights of a network that have the same names and shapes.

A convolution of one channel takes the sum of the weights of three channels (red, green, blue), and a convolution of
three channels takes a third of the weights of one channel for each: the outputs for a grey picture stay the same.
"""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from searchsvc.errors import InvalidInput

Weights: TypeAlias = Mapping[str, Tensor]
Shapes: TypeAlias = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Name, shape in the file, shape in the network."""
_GREY, _COLOR = 1, 3
"""Channels of grey and of coloured pictures."""
_WRAPPERS = ("state_dict", "model", "module", "net")
"""Keys under which checkpoints store their weights."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The names of loaded and of unused weights; names of the file are without their common prefix."""

    matched: tuple[str, ...]
    missed: tuple[str, ...]
    """Names of the network that are missing in the file: these weights keep their values."""
    unused: tuple[str, ...]
    """Names of the file that are missing in the network."""
    misshapen: tuple[Shapes, ...]
    """Weights whose shapes differ; those of the network keep their values."""
    adapted: tuple[Shapes, ...]
    """Matched weights that were adapted from grey to coloured pictures or the reverse."""
    share: float
    """The share of the numbers in the network's parameters that were loaded."""


def load_weights(network: nn.Module, weights: Weights) -> Loaded:
    """Load the weights that fit. Names may have a common prefix (`backbone.`, `module.`), which is removed.

    Raises InvalidInput if no weight fits.
    """
    own = network.state_dict()
    prefix = _prefix(weights, own)
    unprefixed = {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}
    common = {name: _recoloured(one, own[name]) for name, one in unprefixed.items() if name in own}
    shapes = {name: (tuple(unprefixed[name].shape), tuple(own[name].shape)) for name in common}
    fitting = {name: one for name, one in common.items() if one.shape == own[name].shape}
    if not fitting:
        raise InvalidInput.at("", f"none of the {len(weights)} weights in the file has a name and shape of the network")
    missing = network.load_state_dict(fitting, strict=False).missing_keys
    return Loaded(
        matched=tuple(fitting),
        missed=tuple(name for name in missing if name not in shapes),
        unused=tuple(name for name in unprefixed if name not in own),
        misshapen=tuple((name, *both) for name, both in shapes.items() if name not in fitting),
        adapted=tuple((name, *both) for name, both in shapes.items() if name in fitting and both[0] != both[1]),
        share=_share(network, fitting),
    )


def have_common_names(weights: Weights, network: nn.Module) -> bool:
    """Return whether a weight of a file, without its prefix, has the name of a weight of the network."""
    own = network.state_dict()
    return any(ending in own for name in weights for ending in _endings(name))


def read_weights(path: Path) -> Weights:
    """Read weights by name from a file of safetensors, or of torch (weights only: none of its content runs).

    Raises InvalidInput if the file cannot be read as weights.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InvalidInput.at("", f"{path} cannot be read as weights: {str(error).splitlines()[0]}") from error
    while isinstance(content, Mapping) and (inner := next((one for one in _WRAPPERS if _is_mapping(content, one)), "")):
        content = content[inner]
    if not isinstance(content, Mapping):
        raise InvalidInput.at("", f"{path} holds a {type(content).__name__}, not weights by name")
    return {name: one for name, one in content.items() if isinstance(name, str) and isinstance(one, Tensor)}


def _recoloured(weight: Tensor, own: Tensor) -> Tensor:
    """Adapt a convolution (o, c, h, w) to the number of channels of `own`; any other weight stays as it is."""
    if weight.ndim != 4 or own.ndim != 4:
        return weight
    channels = (weight.shape[1], own.shape[1])
    if channels == (_COLOR, _GREY):
        return weight.sum(1, keepdim=True)  # (o, 1, h, w)
    return weight.expand(-1, _COLOR, -1, -1) / _COLOR if channels == (_GREY, _COLOR) else weight  # (o, 3, h, w)


def _share(network: nn.Module, loaded: Weights) -> float:
    numbers = {name: one.numel() for name, one in network.named_parameters()}
    return sum(count for name, count in numbers.items() if name in loaded) / sum(numbers.values())


def _is_mapping(content: Mapping[Any, Any], name: str) -> bool:
    return isinstance(content.get(name), Mapping)


def _prefix(weights: Weights, own: Weights) -> str:
    """Return the prefix that most names of the file have in front of a name of the network."""
    counts = Counter(name[: -len(ours)] for name in weights for ours in _endings(name) if ours in own)
    return counts.most_common(1)[0][0] if counts else ""


def _endings(name: str) -> list[str]:
    """Return the endings of a dotted name: `a.b.c`, `b.c` and `c` for `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[start:]) for start in range(len(parts))]

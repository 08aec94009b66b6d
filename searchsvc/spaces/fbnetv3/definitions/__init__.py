"""Definitions of the released networks, by name."""

from __future__ import annotations

from importlib import resources

import yaml

from searchsvc.errors import NotFound
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition, parse


def names() -> list[str]:
    """Return all names in alphabetical order."""
    files = resources.files(__name__).iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))


def find(name: str) -> NetworkDefinition:
    """Return the definition with this name. Raises NotFound, whose message lists all names."""
    if name not in names():
        raise NotFound(f"no definition {name!r}; there are {', '.join(names())}")
    return parse(yaml.safe_load(resources.files(__name__).joinpath(f"{name}.yaml").read_text("utf-8")))

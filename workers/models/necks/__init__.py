"""The necks of detectors: a module with a function `build` for each kind in `searchsvc.spaces.detector.necks.table`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, TypeAlias

from searchsvc.spaces.detector.necks.table import NECKS
from workers.models.blocks.base import Backbone, Neck

BackboneBuilder: TypeAlias = Callable[[int], Backbone]
"""Builds a backbone with the given number of feedback channels, 0 for no feedback."""
NeckBuilder: TypeAlias = Callable[[Mapping[str, Any], BackboneBuilder], Neck]
"""Builds a neck from complete values and a builder of backbones."""

BUILDERS: Mapping[str, NeckBuilder] = MappingProxyType(
    {name: import_module(f"{__name__}.{name}").build for name in NECKS}
)

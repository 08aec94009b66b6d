"""Fixtures of searchctl's tests, for inputs that reach it: `home`, `searchctl`, `spec`, `store`."""

from __future__ import annotations

from tests.unit.api.cli.conftest import home, searchctl, spec, store

__all__ = ["home", "searchctl", "spec", "store"]

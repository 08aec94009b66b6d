"""The folder of shared data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    """A test that needs it is skipped where it is absent."""
    root = Path(__file__).parents[4]
    folder = Path(os.environ.get("SEARCHSVC_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (SEARCHSVC_SHARED)")
    return folder

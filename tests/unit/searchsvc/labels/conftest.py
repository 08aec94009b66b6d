"""The folder of shared data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def shared() -> Path:
    """The folder of shared data; tests that use it are skipped if it is missing."""
    root = Path(__file__).parents[4]
    folder = Path(os.environ.get("SEARCHSVC_SHARED", root.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (SEARCHSVC_SHARED)")
    return folder

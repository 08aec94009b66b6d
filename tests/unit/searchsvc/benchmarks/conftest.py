"""Small tables in the formats of the real tables, and the real tables if they are available."""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from searchsvc.benchmarks import BenchmarkTable
from searchsvc.benchmarks.tables import fcnet

CHOICES = {"activation": ["relu", "tanh"], "dropout": [0.0, 0.3, 0.6], "n_units": [16, 32, 64, 128]}


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """24 networks in shuffled order; the best is tanh, 0.3, 64, and a quarter of the trainings is missing."""
    random = np.random.default_rng(0)
    codes = random.permutation(np.array(list(product(range(2), range(3), range(4))), dtype=np.uint8))
    distance = (codes != [1, 1, 2]).sum(axis=1)
    loss = 0.5 + distance[:, None] + 0.2 * random.random((24, 4))
    loss[random.random(loss.shape) < 0.25] = np.nan
    return {
        "index": codes,
        "param_names": np.array(list(CHOICES)),
        "choices_json": np.array(json.dumps(CHOICES)),
        "val_loss_task": loss.astype(np.float32),
        "n_params_task": (10 * 2 ** codes[:, 2].astype(np.int32)),
    }


@pytest.fixture
def path(tmp_path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """The table as a file."""
    path = tmp_path / "networks.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture
def table(path: Path) -> BenchmarkTable:
    return fcnet(path, "task")


@pytest.fixture(scope="session")
def real_tables() -> Path:
    """The folder of the real tables."""
    folder = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data/tables"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: set SEARCHSVC_SHARED")
    return folder

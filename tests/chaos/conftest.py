"""The whole service in its own processes, on each kind of database; all of them end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.system import System

Start = Callable[..., System]


@pytest.fixture
def start_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start the service on a database, without a controller; this process finds the same tasks.

    Without a `ray_address`, it has a local Ray.
    """
    started: list[System] = []

    def start(database_url: str, ray_address: str | None = None) -> System:
        system = System(tmp_path / "data", database_url, ray_address=ray_address)
        started.append(system)
        monkeypatch.syspath_prepend(str(tmp_path / "data" / "packages"))
        system.start_api()
        return system

    yield start
    for system in started:
        system.stop()


@pytest.fixture
def system(postgres_url: str, start_system: Start) -> System:
    """The API and a local Ray on a fresh PostgreSQL database."""
    return start_system(postgres_url)

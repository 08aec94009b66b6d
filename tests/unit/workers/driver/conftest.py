"""A cluster that Ray reports, and the parts of a driver over a fresh store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray

from searchsvc.store import Store
from tests.support.driver_parts import DriverParts

Cluster = Callable[..., None]
Drivers = Callable[..., DriverParts]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Make Ray report nodes 0, 1, ... with the given numbers of CPUs, and a number of free CPUs."""

    def make(*cpus: int, free: int = 0, pending: bool = True) -> None:
        nodes = [
            {"Alive": True, "NodeID": str(node), "NodeManagerAddress": "host", "Resources": {"CPU": float(amount)}}
            for node, amount in enumerate(cpus)
        ]
        groups = {"group": {"state": "PENDING" if pending else "CREATED"}}
        monkeypatch.setattr(ray, "nodes", lambda: nodes)
        monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": float(free)})
        monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(sum(cpus))})
        monkeypatch.setattr(ray.util, "placement_group_table", lambda: groups)

    return make


@pytest.fixture
def driver(sqlite_url: str, tmp_path: Path, cluster: Cluster) -> Iterator[Drivers]:
    """Make the parts of a driver, on a cluster with the given CPUs (default: a node with 2); see DriverParts."""
    store = Store.open(sqlite_url)

    def make(*cpus: int, **spec: Any) -> DriverParts:
        cluster(*cpus or (2,))
        return DriverParts(store, tmp_path / "data", **spec)

    yield make
    store.close()

"""Fixtures of the tests of pages: a service on an empty store, and a running search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.pages import Running, a_search


@pytest.fixture
def service(tmp_path: Path, sqlite_url: str) -> Iterator[Service]:
    store = Store.open(sqlite_url)
    yield Service(store, Settings(data_dir=tmp_path / "data", database_url=sqlite_url).prepare())
    store.close()


@pytest.fixture
def search(service: Service) -> Running:
    return a_search(service, 12)

"""Databases for tests: a SQLite file, and a PostgreSQL server that lives as long as the test run."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.store import Store, schema
from tests.support.postgres import PostgresMissing, PostgresServer

TESTS = Path(__file__).parent


def pytest_configure() -> None:
    """Prepare the processes that tests start: they import this tree, and hear Ctrl-C.

    Programs of ours import nothing from the working directory, and a shell starts its background jobs with SIGINT
    ignored.
    """
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(TESTS.parent), os.environ.get("PYTHONPATH")]))
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under `--dist loadgroup`, keep tests that start and kill clusters on one worker, and page tests on another."""
    for item in items:
        folders = item.path.relative_to(TESTS).parts
        of_pages = folders[0] == "browser" or folders[:2] == ("integration", "api")
        item.add_marker(pytest.mark.xdist_group("pages" if of_pages else "clusters"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running server. If a test stops it, the test starts it again."""
    try:
        server = PostgresServer()
    except PostgresMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the schema, to be copied: faster than a migration for each test."""
    path = tmp_path_factory.mktemp("template") / "store.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a database with the schema, to be copied."""
    url = postgres_server.create_database()
    schema.upgrade(url)
    return url.rsplit("/", 1)[1]


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite database with the schema."""
    path = tmp_path / "store.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_template: str) -> Iterator[str]:
    """A fresh PostgreSQL database with the schema."""
    url = postgres_server.create_database(template=postgres_template)
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database with the schema, of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """An empty store, on each kind of database."""
    opened = Store.open(database_url)
    yield opened
    opened.close()

"""The migrations produce the tables, and a database with another schema is never used."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from searchsvc.domain import TrialKind
from searchsvc.errors import InvalidInput, StoreOutdated, StoreUnavailable
from searchsvc.store import Store, schema
from searchsvc.store.database import Database
from searchsvc.store.tables import SCHEMA_VERSION, VERSION_TABLE
from tests.support.jobs import a_claimed_job, add_trials


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new folder' / 'store.db'}"
    return request.getfixturevalue("postgres_server").create_database()


def test_the_migrations_end_in_the_tables_of_the_code(database_url: str) -> None:
    database = Database(database_url, wait_seconds=5)
    with database.engine.begin() as connection:
        command.check(schema.alembic_config(connection))
    database.close()


def test_the_version_of_the_code_is_the_last_migration(sqlite_url: str) -> None:
    database = Database(sqlite_url, wait_seconds=5)
    with database.engine.begin() as connection:
        scripts = ScriptDirectory.from_config(schema.alembic_config(connection))
    database.close()
    assert scripts.get_heads() == [SCHEMA_VERSION]


def test_an_empty_database_is_refused_until_it_is_upgraded(empty_url: str) -> None:
    with pytest.raises(StoreOutdated, match="searchctl db upgrade"):
        Store.open(empty_url)
    schema.upgrade(empty_url)
    schema.upgrade(empty_url)
    schema.check(empty_url)
    Store.open(empty_url).close()


def test_a_schema_that_is_newer_than_the_code_is_refused_and_left_alone(database_url: str) -> None:
    database = Database(database_url, wait_seconds=5)
    database.write(lambda connection: connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")))
    with pytest.raises(StoreOutdated, match="newer version of searchsvc"):
        Store.open(database_url)
    with pytest.raises(StoreOutdated, match="9999"):
        schema.upgrade(database_url)
    assert database.read(schema.version) == "9999"
    database.close()


def test_downgrading_removes_every_table(database_url: str) -> None:
    database = Database(database_url, wait_seconds=5)
    database.write(lambda connection: command.downgrade(schema.alembic_config(connection), "base"))
    with pytest.raises(StoreOutdated):
        schema.check_database(database)
    schema.upgrade(database_url)
    schema.check_database(database)
    database.close()


def test_trials_of_an_older_schema_are_kept_as_candidates_that_may_be_stopped_early(database_url: str) -> None:
    store = Store.open(database_url)
    job, lease = a_claimed_job(store)
    add_trials(store, lease, 3)
    before = store.all_trials(job.id)
    database = Database(database_url, wait_seconds=5)
    database.write(lambda connection: command.downgrade(schema.alembic_config(connection), "0002"))
    schema.upgrade(database_url)
    assert store.all_trials(job.id) == before
    assert [trial.proposal.in_full for trial in before] == [False] * 3
    assert [trial.proposal.kind for trial in before] == [TrialKind.CANDIDATE] * 3
    database.close()
    store.close()


def test_several_processes_may_upgrade_at_once(empty_url: str) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=schema.upgrade, args=(empty_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    schema.check(empty_url)


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/database", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_hold_a_store_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidInput, match="sqlite:////path"):
        Store.open(url)


def test_a_password_is_not_shown_when_the_server_is_away() -> None:
    with pytest.raises(StoreUnavailable, match="did not answer") as caught:
        Store.open("postgresql://someone:secret@127.0.0.1:1/none", wait_seconds=0.1)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_so_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database" * 100)
    with pytest.raises(StoreUnavailable, match="not a database"):
        Store.open(f"sqlite:///{path}")

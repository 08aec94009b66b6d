"""A PostgreSQL that answers, but wrongly: a standby, a restore, a new password. The store says why, waits, recovers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.exc import DataError

from searchsvc.errors import StoreUnavailable
from searchsvc.store import Store
from tests.support.jobs import a_spec
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@dataclass(frozen=True, slots=True)
class Database:
    """A database with the schema, and its server."""

    server: PostgresServer
    url: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]

    def execute(self, statement: str) -> None:
        self.server.execute(statement, self.name)

    def cut_sessions(self) -> None:
        """End all sessions, and wait until they are gone."""
        self.server.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )


@pytest.fixture
def database(postgres_server: PostgresServer, postgres_url: str) -> Database:
    return Database(postgres_server, postgres_url)


def _set_read_only(database: Database, value: str) -> None:
    database.server.execute(f'ALTER DATABASE "{database.name}" SET default_transaction_read_only = {value}')
    database.cut_sessions()


def _rename(database: Database, *, away: bool) -> None:
    database.cut_sessions()
    names = (database.name, f"{database.name}_away")
    source, target = names if away else names[::-1]
    database.server.execute(f'ALTER DATABASE "{source}" RENAME TO "{target}"')


AILMENTS: dict[str, tuple[Callable[[Database], None], Callable[[Database], None], str]] = {
    "a standby that is still read-only": (
        lambda database: _set_read_only(database, "on"),
        lambda database: _set_read_only(database, "off"),
        "accepts no writes",
    ),
    "a table that is not restored yet": (
        lambda database: database.execute("ALTER TABLE jobs RENAME TO jobs_of_the_past"),
        lambda database: database.execute("ALTER TABLE jobs_of_the_past RENAME TO jobs"),
        "lacks a part of the schema",
    ),
    "a column that an upgrade renamed": (
        lambda database: database.execute("ALTER TABLE jobs RENAME COLUMN owner TO proprietor"),
        lambda database: database.execute("ALTER TABLE jobs RENAME COLUMN proprietor TO owner"),
        "lacks a part of the schema",
    ),
    "a database that is not restored yet": (
        lambda database: _rename(database, away=True),
        lambda database: _rename(database, away=False),
        "does not exist",
    ),
}


@pytest.mark.parametrize(("fall_ill", "recover", "said"), AILMENTS.values(), ids=AILMENTS)
def test_what_ails_the_database_is_said_and_then_waited_out(
    database: Database, fall_ill: Callable[[Database], None], recover: Callable[[Database], None], said: str
) -> None:
    hasty, patient = Store.open(database.url, wait_seconds=0.3), Store.open(database.url, wait_seconds=60)
    for store in (hasty, patient):
        store.create_job(a_spec())
    fall_ill(database)
    try:
        with pytest.raises(StoreUnavailable, match=said):
            hasty.create_job(a_spec())
        healing = threading.Timer(0.3, recover, [database])
        healing.start()
        patient.create_job(a_spec())
    finally:
        healing.join()
    hasty.create_job(a_spec())
    assert len(hasty.jobs()) == 4
    hasty.close()
    patient.close()


def test_a_permission_that_is_missing_is_said_and_waited_for(database: Database) -> None:
    role = f"app_{uuid4().hex}"
    database.execute(f"CREATE ROLE {role} LOGIN")
    database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
    database.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}")
    store = Store.open(database.url.replace("postgres@", f"{role}@"), wait_seconds=0.3)
    database.execute(f"REVOKE SELECT ON jobs FROM {role}")
    with pytest.raises(StoreUnavailable, match=r"lacks a permission.*permission denied for table jobs"):
        store.jobs()
    database.execute(f"GRANT SELECT ON jobs TO {role}")
    assert store.jobs() == []
    store.close()
    database.execute(f"DROP OWNED BY {role}")
    database.execute(f"DROP ROLE {role}")


@pytest.fixture
def asks_for_a_password(postgres_server: PostgresServer) -> Iterator[str]:
    """A superuser who needs a password to connect, which is `first`."""
    role, rules = f"guarded_{uuid4().hex}", postgres_server.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    postgres_server.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'first'")
    rules.write_text(f"host all {role} 127.0.0.1/32 scram-sha-256\n{before}")
    postgres_server.execute("SELECT pg_reload_conf()")
    yield role
    rules.write_text(before)
    postgres_server.execute("SELECT pg_reload_conf()")
    postgres_server.execute(f"DROP ROLE {role}")


def test_a_new_password_in_the_password_file_is_used_without_a_restart(
    database: Database, asks_for_a_password: str, tmp_path: Path
) -> None:
    file, role = tmp_path / "pgpass", asks_for_a_password

    def write(password: str) -> None:
        file.write_text(f"127.0.0.1:*:*:{role}:{password}\n")
        file.chmod(0o600)

    write("first")
    url = database.url.replace("postgres@", f"{role}@")
    store = Store.open(f"{url}?passfile={file}", wait_seconds=0.5)
    database.server.execute(f"ALTER ROLE {role} PASSWORD 'second'")
    assert store.jobs() == []  # open connections stay
    database.cut_sessions()
    with pytest.raises(StoreUnavailable, match="password authentication failed"):
        store.jobs()
    write("second")
    assert store.jobs() == []
    store.close()


def test_an_error_of_the_caller_is_raised_at_once(database: Database) -> None:
    store = Store.open(database.url, wait_seconds=600)
    store.create_job(a_spec())
    too_long = "UPDATE jobs SET state = repeat('x', 1000)"
    with pytest.raises(DataError, match="value too long"):
        store._database.write(lambda connection: connection.exec_driver_sql(too_long))
    store.close()


def test_a_store_uses_no_more_connections_than_it_is_given(database: Database) -> None:
    store = Store.open(database.url, connections=2)
    counted: list[int] = []
    query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.name}'"
    threads = [threading.Thread(target=lambda: [store.create_job(a_spec()) for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        counted.append(int(database.server.execute(query)[0][0]))
    assert len(store.jobs()) == 80
    assert max(counted) <= 2
    store.close()

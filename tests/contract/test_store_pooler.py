"""PostgreSQL behind PgBouncer in transaction mode: nothing that the store needs outlives a transaction."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from searchsvc.domain import Measurement, Outcome, TrialState
from searchsvc.errors import StoreUnavailable
from searchsvc.store import Store, schema
from searchsvc.store.database import Database
from tests.support.jobs import TTL_SECONDS, a_claimed_job, a_spec, add_trials
from tests.support.pooler import Pooler, PoolerMissing
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def pooler(postgres_server: PostgresServer) -> Iterator[Pooler]:
    try:
        made = Pooler(postgres_server)
    except PoolerMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    with made:
        yield made


def test_a_database_is_created_and_used_through_a_pooler(postgres_server: PostgresServer, pooler: Pooler) -> None:
    url = pooler.url(postgres_server.create_database())
    schema.upgrade(url)
    with closing(Store.open(url)) as store:
        _, lease = a_claimed_job(store)
        [trial_id] = add_trials(store, lease, 1)
        writer = store.writer(lease)
        writer.start_attempt(trial_id, 1, None, None, 0.0)
        for step in range(1, 30):  # more often than a driver of PostgreSQL repeats a statement before it prepares it
            measured = Measurement(step, {"accuracy": 0.5}, 1.0)
            writer.measure(trial_id, measured, measured)
            writer.flush()
            store.heartbeat(lease, TTL_SECONDS, seconds=1.0, gpu_seconds=0.0)
        writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED), 0)
        writer.flush()
        assert len(store.measurements(trial_id)) == 29
        assert store.trial(trial_id).state is TrialState.SUCCEEDED


def test_many_clients_share_few_connections_of_the_server(postgres_url: str, pooler: Pooler) -> None:
    stores = [Store.open(pooler.url(postgres_url), connections=2) for _ in range(5)]
    failures: list[Exception] = []

    def use(store: Store) -> None:
        try:
            for _ in range(10):
                store.create_job(a_spec())
                store.events(after=0)
        except Exception as error:  # noqa: BLE001 - the thread reports it
            failures.append(error)

    threads = [threading.Thread(target=use, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    sequences = [event.sequence for event in stores[0].events(after=0, limit=1000)]
    assert len(sequences) == len(set(sequences)) == 100
    for store in stores:
        store.close()


def test_the_limits_of_a_transaction_hold_behind_a_pooler(postgres_url: str, pooler: Pooler) -> None:
    database = Database(pooler.url(postgres_url), wait_seconds=4.0, connections=1)
    names = ("lock_timeout", "idle_in_transaction_session_timeout")

    def limits(connection: Any) -> list[str]:
        return [connection.execute(text(f"SHOW {name}")).scalar() for name in names]

    assert database.read(limits)[1] == database.write(limits)[1] == "15s"
    assert database.write(limits)[0] != "0"
    with psycopg.connect(pooler.url(postgres_url), prepare_threshold=None) as other:
        other.execute("LOCK TABLE jobs")
        with pytest.raises(StoreUnavailable, match="another transaction holds a lock"):
            database.write(lambda connection: connection.execute(text("UPDATE jobs SET name = name")))
    database.close()


def test_nothing_is_asked_of_the_server_at_the_start_of_a_session(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checked without a pooler too: a pooler refuses settings at the start, and cannot keep prepared statements."""
    asked: list[dict[str, Any]] = []
    connect = psycopg.Connection.connect

    def noted(conninfo: str = "", **arguments: Any) -> Any:
        asked.append(psycopg.conninfo.conninfo_to_dict(conninfo) | arguments)
        return connect(conninfo, **arguments)

    monkeypatch.setattr(psycopg, "connect", noted)
    with closing(Store.open(postgres_url)) as store:
        for _ in range(20):
            store.create_job(a_spec())
        sessions = "SELECT count(*) FROM pg_prepared_statements"
        prepared = store._database.read(lambda connection: connection.execute(text(sessions)).scalar())
    assert prepared == 0
    assert asked
    assert all("options" not in arguments for arguments in asked)

"""While the database accepts no writes, everything can still be read: one must look to find out what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.pool import Pool

from api.rest.app import create_app
from api.ui import session
from api.ui.live.cluster_view import ClusterReader
from api.ui.live.job_list import JobListReader
from api.ui.live.job_view import JobReader
from api.ui.live.trial_view import TrialReader
from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store, schema
from tests.support.postgres import PostgresServer

ADDRESS = "http://127.0.0.1:8700"
READS = (
    "/readyz",
    "/metrics",
    "/api/v1/jobs",
    "/api/v1/jobs/{job}",
    "/api/v1/jobs/{job}/trials",
    "/api/v1/jobs/{job}/trials/0",
    "/api/v1/jobs/{job}/trials/0/measurements",
    "/api/v1/jobs/{job}/best",
    "/api/v1/jobs/{job}/pareto",
    "/api/v1/jobs/{job}/events",
    "/api/v1/events",
    "/api/v1/cluster",
    "/api/v1/spaces",
    "/api/v1/tokens",
)
MOST_CLONES = 200
Evaluate = Callable[..., list[str]]


@contextmanager
def _locked(url: str) -> Iterator[str]:
    """Let another process hold SQLite's write lock."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield url
    finally:
        other.rollback()
        other.close()


@contextmanager
def _read_only(url: str) -> Iterator[str]:
    """Open SQLite's file for reading alone, as on a file system that is mounted read-only."""
    yield f"sqlite:///file:{url.removeprefix('sqlite:///')}?mode=ro&uri=true"


@contextmanager
def _full(url: str) -> Iterator[str]:
    """Let SQLite find no room for another page."""

    def fill(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size instead

    event.listen(Pool, "connect", fill)
    try:
        yield url
    finally:
        event.remove(Pool, "connect", fill)


@pytest.fixture
def standby(postgres_server: PostgresServer) -> Callable[[str], Any]:
    @contextmanager
    def made(url: str) -> Iterator[str]:
        name = url.rsplit("/", 1)[1]
        postgres_server.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        yield url

    return made


def _check_reads(url: str, settings: Settings, job: Job, secret: str) -> None:
    """Start a service, read everything over REST and by the pages, and be refused a write."""
    schema.upgrade(url, wait_seconds=0.3)
    limited = replace(settings, database_url=url, database_wait_seconds=0.3)
    service = Service(Store.open(url, wait_seconds=0.3), limited)
    app = create_app(service, settings=limited)
    app.include_router(session.router)
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as client:
        signed_in = client.post("/ui/session", content=f"token={secret}", follow_redirects=False)
        assert signed_in.headers["location"] == "/ui/"
        client.headers["Authorization"] = f"Bearer {secret}"
        answers = {path: client.get(path.format(job=job.id)).status_code for path in READS}
        assert answers == dict.fromkeys(READS, 200)
        clones = (client.post(f"/api/v1/jobs/{job.id}:clone", json={}) for _ in range(MOST_CLONES))
        refused = next(answer for answer in clones if answer.status_code != 201)  # the last page has room for a few
        assert refused.status_code == 503, refused.text
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get(f"/api/v1/jobs/{job.id}").status_code == 200
    assert JobReader(service, job.id).read(None).trials
    assert job.id in JobListReader(service).read(None).jobs
    assert TrialReader(service, service.trials.get(f"{job.id}/0").id, job.spec).read(None)
    assert ClusterReader(service).read(None)
    service.store.close()


@pytest.mark.parametrize("hinder", [_locked, _read_only, _full])
def test_a_sqlite_file_that_cannot_be_written_is_read(
    hinder: Callable[[str], Any], settings: Settings, service: Service, job: Job, evaluate: Evaluate
) -> None:
    evaluate(job, 3)
    _, secret = service.access.create("ops", scope=Scope.ADMIN)
    with hinder(settings.database_url) as url:
        _check_reads(url, settings, job, secret)


@pytest.mark.parametrize("database_url", [pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_a_postgres_that_accepts_no_writes_is_read(
    standby: Callable[[str], Any], settings: Settings, service: Service, job: Job, evaluate: Evaluate
) -> None:
    evaluate(job, 3)
    _, secret = service.access.create("ops", scope=Scope.ADMIN)
    with standby(settings.database_url) as url:
        _check_reads(url, settings, job, secret)

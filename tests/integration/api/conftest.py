"""The app over a real service and SQLite store, and clients with tokens of each scope."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.rest.app import create_app
from searchsvc.domain import Candidate, FileMade, Job, Measurement, Outcome, Proposal, TrialState, new_id
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store

ADDRESS = "http://127.0.0.1:8700"
SPEC: dict[str, Any] = {
    "name": "digits-test",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy", "goal": "maximize"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 8},
}
Connect = Callable[[Scope | None], TestClient]
Evaluate = Callable[..., list[str]]


@pytest.fixture
def spec() -> dict[str, Any]:
    return copy.deepcopy(SPEC)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """SQLite, unless a test also requests PostgreSQL: their differences concern the store, and are tested there."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, database_wait_seconds=5.0).prepare()


@pytest.fixture
def service(settings: Settings, store: Store) -> Service:
    return Service(store, settings)


@pytest.fixture
def app(service: Service, settings: Settings) -> FastAPI:
    return create_app(service, settings=settings)


@pytest.fixture
def connect(app: FastAPI, service: Service) -> Iterator[Connect]:
    """Return a client that has a new token of the scope; None: no token."""
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as first:

        def client(scope: Scope | None) -> TestClient:
            made = TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)
            made.portal = first.portal
            if scope is not None:
                made.headers["Authorization"] = f"Bearer {service.access.create(scope.value, scope=scope)[1]}"
            return made

        yield client


@pytest.fixture
def client(connect: Connect) -> TestClient:
    return connect(Scope.ADMIN)


@pytest.fixture
def job(service: Service, spec: dict[str, Any]) -> Job:
    return service.jobs.submit(spec)[0]


@pytest.fixture
def evaluate(service: Service) -> Evaluate:
    """Run a job as a driver does: `count` trials succeed and write their files. Return the ids of the trials."""

    def run(job: Job, count: int, files: tuple[FileMade, ...] = ()) -> list[str]:
        claimed = service.store.claim_job(job.id, "test", 60.0)
        assert claimed is not None
        _, lease = claimed
        writer, ids = service.store.writer(lease), [new_id() for _ in range(count)]
        writer.add_trials([(trial_id, number, _proposal(number)) for number, trial_id in enumerate(ids)])
        for number, trial_id in enumerate(ids):
            measured = Measurement(1, {"accuracy": (number * 7919 % count) / count, "loss": 1.0}, 0.5)
            writer.start_attempt(trial_id, 1, "node", 1, job.created_at)
            writer.measure(trial_id, measured, measured)
            writer.finish(trial_id, 1, Outcome(TrialState.SUCCEEDED, files=files), number)
        writer.flush()
        service.store.release(lease)
        return ids

    return run


def _proposal(number: int) -> Proposal:
    return Proposal(Candidate({"lr": (number + 1) / 1e6}), asks=number + 1, told=0, costs={"flops": 1e6})

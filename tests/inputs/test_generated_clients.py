"""Clients that generators make from the OpenAPI document: made without a warning, and able to run a job."""

from __future__ import annotations

import importlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from api.rest.app import create_app
from api.rest.openapi import BODIES
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.generators import python_client, typescript
from tests.support.jobs import run_trials

SPEC: dict[str, Any] = {
    "name": "generated",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.001, "high": 0.1, "log": True}]},
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 4},
}
"""As short as a user may write it."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("service"), database_wait_seconds=5.0).prepare()
    (settings.data_dir / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    store = Store.open(settings.database_url)
    yield Service(store, settings)
    store.close()


@pytest.fixture(scope="module")
def app(service: Service) -> FastAPI:
    return create_app(service, settings=service.settings)


@pytest.fixture(scope="module")
def document(app: FastAPI, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(app.openapi()))
    return path


@pytest.fixture
def address(app: FastAPI) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for methods in document["paths"].values():
        for operation in methods.values():
            yield operation["operationId"], operation


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
    for child in tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ():
        yield from nodes(child)


def test_each_schema_comes_once_under_a_title_of_its_own_and_none_refers_to_itself_alone(app: FastAPI) -> None:
    schemas = app.openapi()["components"]["schemas"]
    titles = [schema["title"] for schema in schemas.values() if "title" in schema]
    assert len(set(titles)) == len(titles)
    assert "JsonValue" not in schemas
    assert {model.__name__ for model in BODIES} <= schemas.keys()
    references = {node["$ref"] for node in nodes(app.openapi()) if isinstance(node.get("$ref"), str)}
    assert references <= {f"#/components/schemas/{name}" for name in schemas}


def test_every_operation_takes_and_gives_a_media_type_that_generators_know(app: FastAPI) -> None:
    known = ("application/json", "application/octet-stream", "application/problem+json", "text/plain")
    for name, operation in operations(app.openapi()):
        if "requestBody" in operation:
            assert list(operation["requestBody"]["content"]) == ["application/json"], name
        for status, answer in operation["responses"].items():
            assert next(iter(answer.get("content", known))) in known, f"{name} {status}"


def test_a_generated_python_client_submits_a_job_and_reads_its_results(
    service: Service, app: FastAPI, document: Path, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = python_client(document, tmp_path / "generated_client")
    assert "warning" not in said.lower(), said
    made = {path.stem for path in (tmp_path / "generated_client" / "api").glob("*/*.py")}
    assert {name for name, _ in operations(app.openapi())} <= made
    monkeypatch.syspath_prepend(tmp_path)

    def module(path: str) -> Any:
        return importlib.import_module(f"generated_client.{path}")

    secret = service.access.create("generated", scope=Scope.SUBMIT)[1]
    client = module("client").AuthenticatedClient(base_url=address, token=secret)
    spec = module("models.job_spec").JobSpec.from_dict(SPEC)
    answer = module("api.jobs.create_job").sync_detailed(client=client, body=spec)
    assert answer.status_code == 201, answer.content
    job = answer.parsed
    assert job.spec.algorithm.name == "random"
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    run_trials(service.store, claimed[1], [0.5, 0.9])
    best = module("api.results.list_best_trials").sync(job=job.id, client=client)
    assert [trial.metrics.to_dict()["accuracy"] for trial in best.items] == [0.9, 0.5]
    assert module("api.jobs.get_job").sync(job=job.name, client=client).best.id == best.items[0].id
    table = module("api.results.export_job").sync(job=job.id, client=client, format_="csv")
    assert b"accuracy" in table.payload.read().splitlines()[0]
    missing = module("api.jobs.get_job").sync(job="no-such-job", client=client)
    assert (missing.status, missing.title) == (404, "Not found")


def test_typescript_is_generated_and_has_every_operation(app: FastAPI, document: Path, tmp_path: Path) -> None:
    file = tmp_path / "service.ts"
    said = typescript(document, file)
    assert "warn" not in said.lower(), said
    text = file.read_text()
    assert [name for name, _ in operations(app.openapi()) if f"    {name}: {{" not in text] == []

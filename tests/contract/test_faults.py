"""Faults in our own words: no text of a validator ever reaches a user, by REST, by a command or on the page."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

import pytest
import yaml
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from pydantic import BaseModel, TypeAdapter
from pydantic_core.core_schema import ErrorType
from typer.testing import CliRunner

from api.cli.main import app as searchctl
from api.rest.app import create_app
from api.ui.pages.new_job.draft import check_draft
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import JobSpec
from searchsvc.domain.faults import WORDED
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store

ADDRESS = "http://127.0.0.1:8700"
VALIDATORS_TEXTS = (
    "Input should",
    "Input tag",
    "Field required",
    "String should",
    "Value should",
    "Value error",
    "Extra inputs",
    "Unable to extract",
    "should have at",
    "valid dictionary",
    "valid integer",
    "pydantic",
    "finite number",
)
SPEC: dict[str, Any] = {
    "name": "digits",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.001, "high": 0.1}]},
    "objectives": [{"metric": "accuracy"}],
    "constraints": [],
    "algorithm": {"name": "random"},
    "budget": {"trials": 2},
}
FAULTS: dict[str, Any] = {
    "/name": "",
    "/task": None,
    "/dataset": {"format": 3},
    "/space/parameters/0/type": "flaot",
    "/space/parameters/0/low": "a",
    "/space/parameters/0/extra": 1,
    "/space/parameters": [],
    "/space/fix": {"lr": [1]},
    "/space/narrow": {"lr": 5},
    "/space": {"name": "mbconv-small", "latency": "../x"},
    "/objectives": [],
    "/objectives/0/goal": "up",
    "/constraints": [{"metric": "flops"}],
    "/algorithm": {"name": "tpe", "startup_trials": "x"},
    "/stopping": {"name": "asha", "reduction": 0.5},
    "/budget/trials": 1.5,
    "/budget/seconds": "soon",
    "/fidelity": 8,
    "/resources": {"gpu": -1, "attempts": 1000},
    "/pretrained": {"file": "a", "sha256": "x"},
    "/self_training": {"unlabelled": {"format": 1}},
    "/seed": 2**63,
    "/repeats": "maybe",
    "/tags": ["x"] * 33,
    "/unknown": 1,
}


def changed(pointer: str, value: object) -> dict[str, Any]:
    """Return the spec with a single place set to `value`."""
    document = copy.deepcopy(SPEC)
    *parents, last = pointer[1:].split("/")
    at: Any = document
    for step in parents:
        at = at[int(step)] if isinstance(at, list) else at[step]
    at[last] = value
    return document


def assert_our_words(text: str) -> None:
    assert [words for words in VALIDATORS_TEXTS if words in text] == []


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("faults")).prepare()
    (settings.data_dir / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    store = Store.open(settings.database_url)
    yield Service(store, settings)
    store.close()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    token = service.access.create("tests", scope=Scope.ADMIN)[1]
    app = create_app(service, settings=service.settings)
    with TestClient(app, base_url=ADDRESS, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client


@pytest.mark.parametrize("pointer", FAULTS)
def test_a_fault_of_every_kind_is_worded_by_us_in_rest_and_on_the_page(
    pointer: str, service: Service, client: TestClient
) -> None:
    document = changed(pointer, FAULTS[pointer])
    answer = client.post("/api/v1/jobs", json=document, params={"validate_only": True})
    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert_our_words(answer.text)
    draft = check_draft(service, yaml.safe_dump(document))
    assert_our_words(repr(draft))


def test_faults_of_all_kinds_at_once_are_worded_by_us_in_a_command(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHSVC_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("SEARCHSVC_URL", raising=False)
    (tmp_path / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    for pointer in ("/space/parameters/0/type", "/space/fix", "/budget/trials", "/resources", "/unknown"):
        path = tmp_path / "spec.yaml"
        path.write_text(yaml.safe_dump(changed(pointer, FAULTS[pointer])), encoding="utf-8")
        answer = CliRunner().invoke(searchctl, ["submit", str(path), "--dry-run"])
        assert answer.exit_code
        assert pointer in answer.output
        assert_our_words(answer.output)


REQUESTS = [
    "/api/v1/jobs?page_size=x",
    "/api/v1/jobs?page_size=0",
    "/api/v1/jobs?page_token=%20",
    "/api/v1/jobs?state=x",
    "/api/v1/jobs/%20",
    "/api/v1/jobs/a/trials?order=x",
    "/api/v1/trials:compare",
    "/api/v1/jobs/a:export",
    "/api/v1/spaces/%20",
    "/api/v1/events?after=x",
]


@pytest.mark.parametrize("path", REQUESTS)
def test_a_wrong_parameter_of_a_request_is_worded_by_us(path: str, client: TestClient) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 405, 422)
    assert_our_words(answer.text)
    assert "^[" not in answer.text  # no regular expression


_ERRORS_OF: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "int": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
        "float": ("float_type", "float_parsing", "finite_number"),
        "bool": ("bool_type", "bool_parsing"),
        "str": ("string_type", "string_unicode"),
        "list": ("list_type",),
        "tuple": ("tuple_type", "missing"),
        "dict": ("dict_type",),
        "literal": ("literal_error",),
        "enum": ("enum",),
        "model": ("model_type",),
        "model-fields": ("model_attributes_type", "missing", "extra_forbidden"),
        "dataclass": ("dataclass_type", "dataclass_exact_type"),
        "dataclass-args": ("missing", "unexpected_keyword_argument"),
        "tagged-union": ("union_tag_invalid", "union_tag_not_found"),
        "datetime": ("datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"),
        "function-after": ("value_error", "assertion_error"),
        "function-before": ("value_error", "assertion_error"),
        "function-wrap": ("value_error", "assertion_error"),
    }
)
"""Kind of a validator -> types of its errors."""
_LIMITS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "gt": ("greater_than",),
        "ge": ("greater_than_equal",),
        "lt": ("less_than",),
        "le": ("less_than_equal",),
        "multiple_of": ("multiple_of",),
        "min_length": ("string_too_short", "too_short"),
        "max_length": ("string_too_long", "too_long"),
        "pattern": ("string_pattern_mismatch",),
    }
)
_SILENT = {"any", "nullable", "none", "default", "union", "definitions", "definition-ref", "model-field", "json"}
_SILENT |= {"dataclass-field", "function-plain", "custom-error", "lax-or-strict", "chain", "is-instance"}


def kinds_in(schema: object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the validators of a core schema: their kinds and their settings."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("type"), str):
            yield schema["type"], schema
        for name, inner in schema.items():
            if name not in ("metadata", "serialization", "ref"):
                yield from kinds_in(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from kinds_in(inner)


def errors_of(kind: Any) -> set[str]:
    """Return the types of errors that a validator can report."""
    errors: set[str] = set()
    for name, settings in kinds_in(TypeAdapter(kind).core_schema):
        errors.update(_ERRORS_OF.get(name, ()))
        errors.update(error for limit, found in _LIMITS.items() if limit in settings for error in found)
    return errors


def received() -> Iterator[Any]:
    """Yield the models of everything that users send."""
    from api.rest.schemas.base import In

    yield JobSpec
    yield from (entry.options for entry in ALGORITHMS.values())
    waiting: list[type[BaseModel]] = [In]
    while waiting:
        waiting += (subclasses := waiting.pop().__subclasses__())
        yield from subclasses


def test_every_type_of_error_that_a_document_can_cause_has_words(client: TestClient) -> None:
    assert {*get_args(ErrorType)} >= WORDED  # none is misspelt
    for model in received():
        assert errors_of(model) <= WORDED, model


def test_every_type_of_error_that_a_request_can_cause_has_words(client: TestClient) -> None:
    for route in client.app.routes:  # type: ignore[attr-defined]  # an ASGI app in general
        if isinstance(route, APIRoute):
            parameters = [*route.dependant.path_params, *route.dependant.query_params, *route.dependant.header_params]
            for parameter in parameters:
                assert errors_of(parameter.field_info.annotation) <= WORDED, (route.path, parameter.name)
                limits = {type(one).__name__ for one in parameter.field_info.metadata}
                assert "_PydanticGeneralMetadata" not in limits, f"{route.path} {parameter.name}: use Matching"


def test_the_faults_of_a_spec_are_the_same_by_every_way_in(service: Service, client: TestClient) -> None:
    document = {**SPEC, "fidelity": {"epochs": -1}, "task": "clasification", "algorithm": {"name": "tpee"}}
    answer = client.post("/api/v1/jobs", content=json.dumps(document), headers={"Content-Type": "application/json"})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/fidelity/epochs", "/task", "/algorithm/name"]

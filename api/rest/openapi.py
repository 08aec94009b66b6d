"""The OpenAPI document: FastAPI's own, and the schemas of the bodies that `api.rest.bodies` parses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from api.rest.errors import ProblemDetails
from api.rest.schemas.jobs import Consent, Extension
from api.rest.schemas.labels import Doubt, Labels, Verdict
from api.rest.schemas.recommend import Limits, Transfer
from api.rest.schemas.tokens import TokenRequest
from searchsvc.domain import JobSpec

BODIES: tuple[type[BaseModel], ...] = (
    JobSpec,
    Consent,
    Extension,
    TokenRequest,
    Limits,
    Transfer,
    Labels,
    Doubt,
    Verdict,
)
CHANGES = {
    "type": "object",
    "description": "A JSON merge patch (RFC 7396) of the spec: keys with new values; null removes a key.",
    "examples": [{"name": "digits-again", "seed": 1, "budget": {"trials": 96}}],
}


_REFERENCE = "#/components/schemas/{model}"
_ANY_JSON = "JsonValue"


def install(app: FastAPI) -> None:
    """Add the schemas of bodies to the OpenAPI document of the app, in a form that generators of clients can read."""
    original = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = original()
            schemas = document["components"]["schemas"]
            schemas["Changes"] = CHANGES
            models: tuple[type[BaseModel], ...] = (ProblemDetails, *BODIES)
            for model in models:
                schemas.update(_schemas(model))
            schemas.pop(_ANY_JSON, None)
            app.openapi_schema = _readable(document)
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of `model` and of the models that it refers to, by name."""
    schema = model.model_json_schema(mode="validation", ref_template=_REFERENCE)
    parts = schema.pop("$defs", {})
    return {schema["title"]: schema, **parts}


def _readable(node: Any) -> Any:
    """Return a part of the document in the form that generators of clients can read.

    Any JSON value is the empty schema: the schema that pydantic names refers to itself.
    """
    if isinstance(node, list):
        return [_readable(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("$ref") == _REFERENCE.format(model=_ANY_JSON):
        return {key: value for key, value in node.items() if key != "$ref"}
    return {key: _readable(value) for key, value in node.items()}

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


def install(app: FastAPI) -> None:
    """Add the schemas of bodies to the OpenAPI document of the app."""
    original = app.openapi

    def described() -> dict[str, Any]:
        first = app.openapi_schema is None
        document = original()
        if first:
            schemas = document["components"]["schemas"]
            schemas["Changes-Input"] = CHANGES
            schemas["Problem"] = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schemas["Problem"].pop("$defs"))
            for model in BODIES:
                schemas.update(_input_schemas(model))
        return document

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _input_schemas(model: type[BaseModel]) -> dict[str, Any]:
    """Return the input schemas of `model` and of the models that it refers to, by name."""
    schema = model.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}-Input")
    parts = {f"{name}-Input": part for name, part in schema.pop("$defs", {}).items()}
    return {f"{model.__name__}-Input": schema, **parts}

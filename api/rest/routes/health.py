"""Liveness, readiness and metrics for the operators of the service."""

from __future__ import annotations

import anyio
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from api.rest.auth import can_read
from api.rest.errors import answers
from searchsvc.controller.controller import Controller
from searchsvc.service.system.readiness import Readiness

router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The health of the service."""

    status: str = Field(description="`ok`.", examples=["ok"])


@router.get("/healthz", operation_id="healthz", responses=answers())
async def healthz() -> Health:
    """Check that the process is alive. Open to everyone."""
    return Health(status="ok")


@router.get("/readyz", operation_id="readyz", responses=answers())
async def readyz(request: Request) -> Health:
    """Check the database and its schema, and that a controller in this process is at work. Open to everyone.

    The answer about the database may be a few seconds old, so that requests do not load it.
    """
    controller: Controller | None = request.app.state.controller
    if controller is not None:
        controller.check_health()
    readiness: Readiness = request.app.state.readiness
    await anyio.to_thread.run_sync(readiness.check, limiter=request.app.state.health_threads)
    return Health(status="ok")


@router.get(
    "/metrics",
    operation_id="metrics",
    dependencies=[Depends(can_read)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **answers(401, 403)},
    response_class=Response,
)
def metrics(request: Request) -> Response:
    """Get metrics for Prometheus. Requires a token of scope read, as other routes do."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)

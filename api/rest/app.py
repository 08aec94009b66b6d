"""The web application: REST under /api/v1, health checks and metrics."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import anyio
from fastapi import FastAPI

from api.rest import errors, openapi
from api.rest.deps import PREFIX
from api.rest.idempotency import IdempotentRequests
from api.rest.kinds import KindLimits
from api.rest.metrics import Metrics, RequestMetrics
from api.rest.middleware import HostCheck, SecurityHeaders, allowed_hosts
from api.rest.rates import RequestRates
from api.rest.routes import catalogue, cluster, events, health, jobs, labels, recommend, results, tokens, trials
from api.rest.sse import Feed
from searchsvc.controller.controller import Controller
from searchsvc.service.service import Service
from searchsvc.service.system.readiness import Readiness
from searchsvc.settings import Settings

HEALTH_THREADS = 2
"""Threads for health checks, which must answer however many requests occupy the others."""


def create_app(service: Service, *, settings: Settings, controller: Controller | None = None) -> FastAPI:
    """Create the application of a service; `controller` runs in a thread during the lifetime of the application.

    If the controller dies, its `has_died` is set, and `/readyz` fails; the server that runs the application must end.
    Open event streams keep a server from shutting down: start uvicorn with `timeout_graceful_shutdown`.
    """
    app = FastAPI(
        title="searchsvc",
        version="1",
        summary="Search for architectures and hyperparameters under hard limits.",
        lifespan=_lifespan(controller),
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its scripts are loaded from a CDN
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,  # generators of clients refuse two schemas of one title
    )
    app.state.service = service
    app.state.rates = RequestRates(settings.limit_requests)
    app.state.readiness = Readiness(service.store)
    app.state.health_threads = anyio.CapacityLimiter(HEALTH_THREADS)
    app.state.controller = controller
    app.state.feed = feed = Feed(
        lambda after, job_id, limit: service.events.read(after=after, job_id=job_id, limit=limit),
        service.events.last_sequence,
    )
    app.state.metrics = metrics = Metrics(service, lambda: len(feed.subscribers), controller)
    for routes in (jobs, recommend, labels, trials, results, events, cluster, catalogue, tokens, health):
        app.include_router(routes.router)
    app.include_router(trials.by_id)
    errors.install(app)
    openapi.install(app)
    app.add_middleware(KindLimits)
    app.add_middleware(IdempotentRequests, service=service)
    host_names = allowed_hosts(settings.host)
    if host_names is not None:
        app.add_middleware(HostCheck, names=host_names)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestMetrics, metrics=metrics)  # the last one added is the outermost
    return app


def _lifespan(controller: Controller | None) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI passes it
        if controller is None:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=controller.run, args=(stop,), name="controller")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            await asyncio.to_thread(thread.join)

    return lifespan

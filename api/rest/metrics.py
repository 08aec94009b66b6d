"""Metrics for Prometheus: requests and transactions as they happen, and vital signs at the time of a scrape.

The number of labels does not grow with use: routes are labelled by their template, not by their parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.vitals import VitalsCollector
from searchsvc.controller.controller import Controller
from searchsvc.service.service import Service

METHODS = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"})
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of an app."""

    def __init__(self, service: Service, sse_clients: Callable[[], int], controller: Controller | None = None) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "searchsvc_http_requests", "Answered requests.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "searchsvc_http_request_duration_seconds",
            "Seconds until the response started.",
            ["method", "route"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        clients = Gauge("searchsvc_sse_clients", "Clients that receive events.", registry=self.registry)
        clients.set_function(sse_clients)
        if controller is not None:
            idle = Gauge(
                "searchsvc_controller_seconds_since_turn",
                "Seconds since the controller in this process completed a turn.",
                registry=self.registry,
            )
            idle.set_function(lambda: controller.health.seconds_since_turn)
        self.registry.register(VitalsCollector(service))
        self._observe_database(service)

    def _observe_database(self, service: Service) -> None:
        seconds = Histogram(
            "searchsvc_database_seconds",
            "Seconds of a transaction of this process, with its waits and repetitions.",
            ["kind"],
            buckets=BUCKETS,
            registry=self.registry,
        )
        failures = Counter(
            "searchsvc_database_failures", "Transactions without an answer in time.", ["kind"], registry=self.registry
        )

        def observe(kind: str, duration: float, answered: bool) -> None:
            seconds.labels(kind).observe(duration)
            if not answered:
                failures.labels(kind).inc()

        service.store.observe(observe)


class RequestMetrics:
    """Counts every request, and measures the time until its response starts."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, answered = time.perf_counter(), False

        async def noting(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            if not answered:
                self._note(scope, 500, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = getattr(scope.get("route"), "path", "none")
        self.metrics.requests.labels(method, route, str(status)).inc()
        self.metrics.seconds.labels(method, route).observe(seconds)

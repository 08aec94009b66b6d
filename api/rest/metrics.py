"""Metrics for Prometheus: requests as they arrive, jobs and trials as stored at the time of a scrape.

The number of labels does not grow with use: routes are labelled by their template, not by their parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from searchsvc.controller.controller import Controller
from searchsvc.domain import JobState, TrialState
from searchsvc.service.service import Service
from searchsvc.service.system.cluster import ControllerState

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
        self.registry.register(_StoreCollector(service))


class _StoreCollector(Collector):
    """Collects the numbers of jobs and trials by state at each scrape."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        statistics = self._service.store.statistics()
        jobs = [(state, statistics.jobs.get(state, 0)) for state in JobState]
        trials = [(state, statistics.trials.get(state, 0)) for state in TrialState]
        yield _by_state("searchsvc_jobs", "Jobs by state.", jobs)
        yield _by_state("searchsvc_trials", "Trials by state.", trials)
        failures = self._service.access.uses.failures
        yield CounterMetricFamily("searchsvc_token_use_failures", "Uses of tokens not stored in time.", failures)
        yield from _of_controllers(self._service.system.controllers())


def _of_controllers(controllers: Sequence[ControllerState]) -> Iterator[Metric]:
    """Sums over the controllers that are alive, whose names change with every start."""
    reports = [controller.report for controller in controllers if controller.is_alive]
    numbers = {
        "searchsvc_controllers": ("Controllers that are alive.", len(reports)),
        "searchsvc_controller_drivers": ("Jobs that they run.", sum(report.drivers for report in reports)),
        "searchsvc_controller_turns": ("Turns that they completed.", sum(report.turns for report in reports)),
        "searchsvc_controller_errors": ("Errors that they survived.", sum(report.errors for report in reports)),
    }
    for name, (about, number) in numbers.items():
        yield GaugeMetricFamily(name, about, value=number)


def _by_state(name: str, about: str, counts: Iterable[tuple[str, int]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=["state"])
    for state, count in counts:
        family.add_metric([str(state)], count)
    return family


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

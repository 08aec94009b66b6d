"""The vital signs of the installation as metrics for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from searchsvc.domain import JobState, TrialState
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.vitals import Vitals


class VitalsCollector(Collector):
    """Measures the vital signs at each scrape.

    While the database does not answer, `searchsvc_database_up` is 0 and its figures are absent.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        failures = self._service.access.uses.failures
        yield CounterMetricFamily("searchsvc_token_use_failures", "Uses of tokens not stored in time.", failures)
        try:
            vitals = self._service.system.vitals()
        except StoreUnavailable:
            yield GaugeMetricFamily("searchsvc_database_up", _UP, value=0)
            return
        yield GaugeMetricFamily("searchsvc_database_up", _UP, value=1)
        yield from _states(vitals)
        yield from _work(vitals)
        yield from _controllers(vitals)
        yield from _nodes(vitals)
        yield _labelled("searchsvc_waiting", "Waiting jobs and trials by reason.", "reason", vitals.waiting.items())
        yield _labelled(
            "searchsvc_disk_free_bytes", "Free bytes by folder.", "folder", sorted(vitals.free_bytes.items())
        )
        yield GaugeMetricFamily("searchsvc_database_bytes", "Size of the database.", value=vitals.database_bytes)


_UP = "1 if the database answered the scrape."


def _states(vitals: Vitals) -> Iterator[Metric]:
    statistics = vitals.statistics
    jobs = [(state.value, statistics.jobs.get(state, 0)) for state in JobState]
    trials = [(state.value, statistics.trials.get(state, 0)) for state in TrialState]
    yield _labelled("searchsvc_jobs", "Jobs by state.", "state", jobs)
    yield _labelled("searchsvc_trials", "Trials by state.", "state", trials)
    oldest = vitals.oldest_queued_seconds
    yield GaugeMetricFamily("searchsvc_oldest_queued_job_seconds", "Age of the oldest job that waits.", value=oldest)


def _work(vitals: Vitals) -> Iterator[Metric]:
    """Sums over all stored jobs; deleting a job makes them smaller, which Prometheus takes for a restart."""
    statistics = vitals.statistics
    yield CounterMetricFamily("searchsvc_asks", "Proposals requested from algorithms.", statistics.asks)
    yield CounterMetricFamily("searchsvc_ask_seconds", "Seconds that algorithms took.", statistics.ask_seconds)
    ended = sum(count for state, count in statistics.trials.items() if state.counts_for_budget)
    yield CounterMetricFamily("searchsvc_trials_ended", "Trials that ended, not cancelled by the user.", ended)
    trained = statistics.training_seconds
    yield CounterMetricFamily("searchsvc_training_seconds", "Seconds for which trials were trained.", trained)


def _controllers(vitals: Vitals) -> Iterator[Metric]:
    """Sums over the controllers that are alive, whose names change with every start."""
    reports = [controller.report for controller in vitals.controllers if controller.is_alive]
    numbers = {
        "searchsvc_controllers": ("Controllers that are alive.", len(reports)),
        "searchsvc_controller_drivers": ("Jobs that they run.", sum(report.drivers for report in reports)),
        "searchsvc_controller_turns": ("Turns that they completed.", sum(report.turns for report in reports)),
        "searchsvc_controller_errors": ("Errors that they survived.", sum(report.errors for report in reports)),
        "searchsvc_leases": ("Jobs that have a driver.", vitals.statistics.leases),
        "searchsvc_seconds_since_beat": ("Seconds since the oldest renewal of a lease.", vitals.seconds_since_beat),
    }
    for name, (about, number) in numbers.items():
        yield GaugeMetricFamily(name, about, value=number)


def _nodes(vitals: Vitals) -> Iterator[Metric]:
    nodes = vitals.nodes
    counts = [("usable", nodes.nodes - nodes.avoided), ("avoided", nodes.avoided)]
    yield _labelled("searchsvc_nodes", "Nodes that active drivers see.", "state", counts)
    yield _labelled("searchsvc_cpus", "CPUs of these nodes.", "state", [("all", nodes.cpus), ("used", nodes.cpus_used)])
    yield _labelled("searchsvc_gpus", "GPUs of these nodes.", "state", [("all", nodes.gpus), ("used", nodes.gpus_used)])


def _labelled(name: str, about: str, label: str, values: Iterable[tuple[str, float]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=[label])
    for value, number in values:
        family.add_metric([value], number)
    return family

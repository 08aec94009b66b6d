"""The state of the cluster: nodes while a driver is active, their used resources, the queue with reasons."""

from __future__ import annotations

from dataclasses import replace

from searchsvc.domain import ControllerReport, Node
from searchsvc.service.service import Service
from searchsvc.service.system.cluster import Cluster
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import Clock
from tests.support.pages import SPEC, Running

NODES = (Node("a3f1", "10.0.0.7", 8.0, 1.0, 2.0**35, False), Node("b7c2", "10.0.0.8", 4.0, 0.0, 2.0**34, True))

REPORT = ControllerReport("a:1", "a", 1, 5.0, 0.0, turns=3, errors=0, last_error=None, drivers=2)


def test_nothing_is_known_where_no_driver_is_at_work(service: Service) -> None:
    assert service.system.cluster() == Cluster((), (), ())


def test_what_runs_is_counted_on_its_node_and_what_waits_has_a_reason(service: Service) -> None:
    running = Running(service, resources={"cpu": 2, "memory_bytes": 2**30})
    for number in range(3):
        running.propose()
        if number < 2:
            running.start(number)
    running.flush()
    service.store.report_nodes(running.lease, NODES)
    later = [service.jobs.submit({**SPEC, "name": name})[0] for name in ("later", "last")]
    cluster = service.system.cluster()
    assert [(one.node.id, one.attempts, one.cpus, one.memory_bytes) for one in cluster.nodes] == [
        ("a3f1", 2, 4.0, 2.0**31),
        ("b7c2", 0, 0.0, 0.0),
    ]
    assert [(one.trial.number, one.attempt.pid) for one in cluster.running] == [(0, 4200), (1, 4201)]
    assert [(one.job.id, one.trial.number if one.trial else None, one.reason) for one in cluster.queue] == [
        (later[0].id, None, "waits for a controller: first in line"),
        (later[1].id, None, "waits for a controller: second in line"),
        (running.id, 2, "waits for its turn"),
    ]


def test_controllers_are_alive_while_they_report_themselves(sqlite_url: str, settings: Settings) -> None:
    clock = Clock()
    store = Store.open(sqlite_url, clock=clock)
    service = Service(store, settings)
    store.report_controller(replace(REPORT, holder="silent"))
    clock.now += 61.0
    store.report_controller(replace(REPORT, holder="at work"))
    states = service.system.cluster().controllers
    assert {state.report.holder: state.is_alive for state in states} == {"silent": False, "at work": True}
    store.close()


def test_a_driver_that_lost_its_job_reports_nothing(service: Service) -> None:
    running = Running(service)
    store: Store = service.store
    store.release(running.lease)
    store.report_nodes(running.lease, NODES)
    assert service.system.cluster().nodes == ()
    assert store.claim_job(running.id, "another", 60.0) is not None
    store.report_nodes(running.lease, NODES)
    assert service.system.cluster().nodes == ()

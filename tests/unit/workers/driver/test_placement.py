"""Room in a cluster: trials of one process and of several, nodes to avoid, reasons for waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from searchsvc.domain import FailureKind, Resources
from workers.driver.placement import Placement
from workers.trials.trainable import resource_request

Cluster = Callable[..., None]


@pytest.mark.parametrize(
    ("cpu", "workers", "reason"),
    [
        (3, 1, "waits for 3 CPU: 2 of 6 free"),
        (5, 1, "needs 5 CPU; the largest node has 4 CPU"),
        (2, 1, "waits for 2 CPU: that much is free, but spread over the nodes"),
        (2, 3, "waits for 6 CPU: 2 of 6 free"),
        (1, 2, "waits for 2 times 1 CPU: that much is free, but spread over the nodes"),
        (2, 4, "needs 4 times 2 CPU; the cluster has room for 3"),
        (3, 2, "needs 2 times 3 CPU; the cluster has room for 1"),
    ],
)
def test_a_trial_that_waits_says_why(cluster: Cluster, cpu: int, workers: int, reason: str) -> None:
    cluster(4, 2, free=2)
    assert Placement(Resources(cpu=cpu, workers=workers)).why_waiting(workers) == reason


def test_nodes_are_told_with_all_that_they_offer(cluster: Cluster) -> None:
    cluster(4, 2)
    placement = Placement(Resources())
    for trial in range(4):
        placement.failed("0", trial, FailureKind.LOST)
    assert [(one.id, one.address, one.cpus, one.gpus, one.avoided) for one in placement.nodes()] == [
        ("0", "host", 4.0, 0.0, True),
        ("1", "host", 2.0, 0.0, False),
    ]


def test_a_node_without_which_a_supernet_has_no_room_is_used_on(cluster: Cluster) -> None:
    cluster(2, 2, 2)
    placement = Placement(Resources(workers=4))
    reasons = [fail_on(placement, node) for node in ("0", "1")]
    assert placement.avoided == {"0"}
    assert str(reasons[1]).endswith("it is used on, because no other node has room for a trial")
    assert placement.why_waiting(6) == "needs 6 times 1 CPU; the nodes that are not avoided have room for 4"


def fail_on(placement: Placement, node: str) -> str | None:
    """Let attempts at three trials fail on a node, and return the reason to avoid it."""
    return [placement.failed(node, trial, FailureKind.LOST) for trial in range(3)][-1]


def test_each_process_has_a_bundle_and_none_is_on_an_avoided_node() -> None:
    request: Any = resource_request(Resources(cpu=2, memory_bytes=100), ("a", "b"), workers=3)
    assert request.bundles == [{"CPU": 2.0, "memory": 100.0}] * 3
    assert request._bound.kwargs == {"bundle_label_selector": [{"ray.io/node-id": "!in(a,b)"}] * 3}
    assert len(resource_request(Resources()).bundles) == 1

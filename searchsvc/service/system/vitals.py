"""Vital signs of an installation: drivers, the queue with its reasons, nodes, the database and the disks.

They are gauges at the time of a scrape. The number of statements and of labels does not grow with use.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from searchsvc.service.system import cluster
from searchsvc.settings import Settings
from searchsvc.store import Store, StoreStatistics

MOST_REASONS = 20
_REASON_CHARACTERS = 80
_OTHER = "other"


@dataclass(frozen=True, slots=True)
class NodeTotals:
    """Resources of all nodes together, and the part that running attempts use."""

    nodes: int
    avoided: int
    cpus: float
    cpus_used: float
    gpus: float
    gpus_used: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """The vital signs of an installation."""

    statistics: StoreStatistics
    controllers: tuple[cluster.ControllerState, ...]
    seconds_since_beat: float
    """Time since the last renewal of the lease that was renewed the longest ago; 0 if no job has a driver."""
    oldest_queued_seconds: float
    """Age of the oldest job that waits for a controller; 0 if none waits."""
    waiting: Mapping[str, int]
    """Numbers of waiting jobs and trials by reason, numbers in it written as N: at most MOST_REASONS and `other`."""
    nodes: NodeTotals
    database_bytes: int
    free_bytes: Mapping[str, int]
    """Free space of the volume of each folder."""


def measure(store: Store, settings: Settings) -> Vitals:
    """Return the vital signs now. Raises StoreUnavailable."""
    now, seen = store.now(), cluster.look(store)
    oldest = store.oldest_queued(1)
    renewed = [lease.deadline - settings.lease_seconds for lease in store.leases()]
    return Vitals(
        statistics=store.statistics(),
        controllers=seen.controllers,
        seconds_since_beat=max((now - at for at in renewed), default=0.0),
        oldest_queued_seconds=now - oldest[0].created_at if oldest else 0.0,
        waiting=_most_common(Counter(_reason_of(waiting.reason) for waiting in seen.queue)),
        nodes=_totals(seen),
        database_bytes=store.bytes_used(),
        free_bytes={
            "data": shutil.disk_usage(settings.data_dir).free,
            "artifacts": shutil.disk_usage(settings.artifacts_dir).free,
        },
    )


def _reason_of(text: str) -> str:
    """Return a reason without the numbers, addresses and paths that differ from case to case."""
    short = re.sub(r"/\S+", "PATH", text.splitlines()[0] if text else "")
    return re.sub(r"\d+(?:[.,:]\d+)*(?:st|nd|rd|th)?", "N", short)[:_REASON_CHARACTERS]


def _most_common(counts: Counter[str]) -> dict[str, int]:
    common = dict(counts.most_common(MOST_REASONS))
    rest = counts.total() - sum(common.values())
    return common | ({_OTHER: rest} if rest else {})


def _totals(seen: cluster.Cluster) -> NodeTotals:
    return NodeTotals(
        nodes=len(seen.nodes),
        avoided=sum(use.node.avoided for use in seen.nodes),
        cpus=sum(use.node.cpus for use in seen.nodes),
        cpus_used=sum(use.cpus for use in seen.nodes),
        gpus=sum(use.node.gpus for use in seen.nodes),
        gpus_used=sum(use.gpus for use in seen.nodes),
    )

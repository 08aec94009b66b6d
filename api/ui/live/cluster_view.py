"""ClusterReader: the current state of the cluster, read after every event with a constant number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchsvc.domain import Event
from searchsvc.service.service import Service
from searchsvc.service.system.cluster import Cluster


@dataclass(frozen=True, slots=True)
class ClusterReader:
    """Reader of the cluster. It keeps no state."""

    service: Service

    def read(self, events: Sequence[Event] | None) -> Cluster:  # noqa: ARG002 - any event may change the cluster
        """Read the cluster. Raises StoreUnavailable."""
        return self.service.system.cluster()

"""ClusterReader: the cluster as it is now, read whenever anything happens; a few statements, however much there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from searchsvc.domain import Event
from searchsvc.service.service import Service
from searchsvc.service.system.cluster import Cluster


@dataclass(frozen=True, slots=True)
class ClusterReader:
    """Keeps nothing."""

    service: Service

    def read(self, events: Sequence[Event] | None) -> Cluster:  # noqa: ARG002 - whatever they are about
        """Raises StoreUnavailable."""
        return self.service.system.cluster()

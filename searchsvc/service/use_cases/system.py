"""System: the cluster and the health of the installation."""

from __future__ import annotations

from searchsvc.service.system import cluster, vitals
from searchsvc.service.system.doctor import examine
from searchsvc.service.system.health import HealthReport
from searchsvc.service.use_cases.context import ServiceContext


class SystemService:
    """The use cases for operators of the service."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def cluster(self) -> cluster.Cluster:
        """Return the nodes that drivers report, the running attempts, the queue with reasons, and the controllers."""
        return cluster.look(self._context.store)

    def vitals(self) -> vitals.Vitals:
        """Return the vital signs of the installation: drivers, queue, nodes, database and disks."""
        return vitals.measure(self._context.store, self._context.settings)

    def doctor(self) -> HealthReport:
        """Check the installation, with advice on how to fix each failure."""
        return examine(self._context.settings)

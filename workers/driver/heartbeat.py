"""The heartbeat: renews the lease, counts the time used, and reads requests to the job.

It is a thread with its own database connection, so that a slow algorithm or a slow Ray does not cost the lease.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from searchsvc.domain import Job, JobState, Lease, Node
from searchsvc.errors import LeaseLost, StoreUnavailable
from searchsvc.settings import Settings
from searchsvc.store import Store

logger = logging.getLogger(__name__)


class Heartbeat(threading.Thread):
    """Renews the lease of a job; `job` is the job as of the last beat."""

    def __init__(
        self,
        store: Store,
        lease: Lease,
        settings: Settings,
        job: Job,
        *,
        on_lost: Callable[[], None],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Create the thread.

        `on_lost` is called if the lease belongs to another driver. `check` is called at every beat and may end the
        process.
        """
        super().__init__(name="heartbeat", daemon=True)
        self.job = job
        self.gpus_in_use = 0.0
        self.nodes: tuple[Node, ...] = ()
        """Nodes of the cluster at the last look; reported to the store when they change."""
        self._reported: tuple[Node, ...] = ()
        self._store, self._lease, self._settings = store, lease, settings
        self._on_lost = on_lost
        self._check = check
        self._done = threading.Event()
        self._counted = time.monotonic()

    def run(self) -> None:
        while not self._done.wait(self._settings.heartbeat_seconds):
            self._check()
            try:
                self.beat()
            except LeaseLost:
                self._on_lost()
                return
            except StoreUnavailable as error:
                logger.warning("the database does not answer: %s", error)

    def beat(self) -> Job:
        """Renew the lease and add the time since the last beat.

        Raises LeaseLost, StoreUnavailable (the next beat then counts the time).
        """
        now = time.monotonic()
        seconds = now - self._counted
        gpu_seconds = seconds * self.gpus_in_use
        ttl = self._settings.lease_seconds
        self.job = self._store.heartbeat(self._lease, ttl, seconds=seconds, gpu_seconds=gpu_seconds)
        self._counted = now
        if (nodes := self.nodes) != self._reported:
            self._store.report_nodes(self._lease, nodes)
            self._reported = nodes
        return self.job

    def stop(self) -> None:
        """Stop the thread: no beat begins after this returns."""
        self._done.set()
        if self.is_alive():
            self.join()

    # ---- state of the job ------------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """True if no new trial may start: the user stops the job, or its time is up."""
        return self.job.state is JobState.STOPPING or self.time_is_up

    @property
    def time_is_up(self) -> bool:
        budget, job = self.job.spec.budget, self.job
        seconds = budget.seconds is not None and job.seconds_used >= budget.seconds
        gpu = budget.gpu_hours is not None and job.gpu_seconds_used >= budget.gpu_hours * 3600
        return seconds or gpu

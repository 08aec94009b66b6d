"""The heartbeat: renews the lease, counts the time used, and learns what is asked of the job.

A thread with a connection of its own, so that a slow algorithm or a slow Ray does not cost the lease.
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
    """`job` is the job as the last beat found it."""

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
        """`on_lost`: the lease is another driver's. `check`: called at every beat, and may end the process."""
        super().__init__(name="heartbeat", daemon=True)
        self.job = job
        self.gpus_in_use = 0.0
        self.nodes: tuple[Node, ...] = ()
        """What the cluster has, as it was last looked at; told to the store when it is another."""
        self._told: tuple[Node, ...] = ()
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
        """One beat. Raises LeaseLost, StoreUnavailable (the time is then counted by the next)."""
        now = time.monotonic()
        seconds = now - self._counted
        gpu_seconds = seconds * self.gpus_in_use
        ttl = self._settings.lease_seconds
        self.job = self._store.heartbeat(self._lease, ttl, seconds=seconds, gpu_seconds=gpu_seconds)
        self._counted = now
        if (nodes := self.nodes) != self._told:
            self._store.report_nodes(self._lease, nodes)
            self._told = nodes
        return self.job

    def stop(self) -> None:
        """No beat begins after this returns."""
        self._done.set()
        if self.is_alive():
            self.join()

    # ---- what the job says -----------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """Nothing new is to start: the user stops the job, or its time is up."""
        return self.job.state is JobState.STOPPING or self.time_is_up

    @property
    def time_is_up(self) -> bool:
        budget, job = self.job.spec.budget, self.job
        seconds = budget.seconds is not None and job.seconds_used >= budget.seconds
        gpu = budget.gpu_hours is not None and job.gpu_seconds_used >= budget.gpu_hours * 3600
        return seconds or gpu

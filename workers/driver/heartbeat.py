"""The signs of life of a driver, each of its own thread: the heartbeat for the store, the pulse for the controller.

The heartbeat renews the lease, reports the time used and what the job waits for, and reads requests to the job. It has
its own database connection, so that a slow algorithm or a slow Ray does not cost the lease. The pulse goes on whatever
the database does (`searchsvc.controller.pulse`).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from enum import IntEnum, auto

from searchsvc.controller.pulse import PULSE_SECONDS, PULSE_VARIABLE, RUNNING, STARTING
from searchsvc.domain import Job, JobState, Lease, Node
from searchsvc.errors import LeaseLost, StoreUnavailable
from searchsvc.settings import Settings
from searchsvc.store import Store

logger = logging.getLogger(__name__)


class Cause(IntEnum):
    """Cause of waiting; a job that waits for several causes shows the reason of the first."""

    RAY = auto()
    """Ray cannot be reached."""
    STORAGE = auto()
    """Files cannot be written."""
    ROOM = auto()
    """The cluster has no room for any trial."""


class UsedTime:
    """A stopwatch that runs from `begin` on, except while the job waits. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._reasons: dict[Cause, str] = {}
        self._has_begun = False
        self._seconds = 0.0
        self._since: float | None = None
        """Time up to which `_seconds` counts; None while the stopwatch stands."""

    @property
    def reason(self) -> str | None:
        """The reason why no trial can run, or None if the job does not wait."""
        with self._lock:
            return self._reasons[min(self._reasons)] if self._reasons else None

    @property
    def seconds(self) -> float:
        """Seconds counted so far and not deducted."""
        with self._lock:
            self._count()
            return self._seconds

    def begin(self) -> None:
        """Start to count: from now on a trial can run, unless the job waits."""
        with self._lock:
            self._has_begun = True
            self._count()

    def wait(self, cause: Cause, reason: str | None) -> None:
        """Note why no trial can run; None: this cause is over."""
        with self._lock:
            self._count()
            if reason is None:
                self._reasons.pop(cause, None)
            else:
                self._reasons[cause] = reason
            self._count()

    def deduct(self, seconds: float) -> None:
        """Subtract seconds that have been stored."""
        with self._lock:
            self._seconds -= seconds

    def _count(self) -> None:
        now = self._clock()
        if self._since is not None:
            self._seconds += now - self._since
        self._since = now if self._has_begun and not self._reasons else None


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
        self._used = UsedTime()

    def run(self) -> None:
        while not self._done.wait(self._settings.heartbeat_seconds):
            try:
                self._check()
                self.beat()
            except LeaseLost:
                self._on_lost()
                return
            except StoreUnavailable as error:
                logger.warning("the database does not answer: %s", error)
            except Exception:  # a driver without heartbeats would lose its job
                logger.exception("a heartbeat failed and is repeated")

    def beat(self) -> Job:
        """Renew the lease, and store the time used and the reason for waiting.

        Of the time since the last beat, at most `lease_seconds` count: if it is longer, the database or this process
        stood still. Raises LeaseLost and StoreUnavailable.
        """
        elapsed, ttl = self._used.seconds, self._settings.lease_seconds
        seconds = min(elapsed, ttl)
        self.job = self._store.heartbeat(self._lease, ttl, seconds=seconds, gpu_seconds=seconds * self.gpus_in_use)
        self._used.deduct(elapsed)
        if (reason := self.waiting_for) != self.job.reason:
            self.job = self._store.report_wait(self._lease, reason)
        if (nodes := self.nodes) != self._reported:
            self._store.report_nodes(self._lease, nodes)
            self._reported = nodes
        return self.job

    def begin_counting(self) -> None:
        """Count the time from now on: Ray is connected, and a trial can run unless the job waits."""
        self._used.begin()

    def wait_for(self, cause: Cause, reason: str | None) -> None:
        """Note why no trial can run: shown as the reason of the job, whose time is not counted; None: no longer."""
        self._used.wait(cause, reason)

    @property
    def is_healthy(self) -> bool:
        """False if the thread has ended without being stopped."""
        return self.is_alive() or self._done.is_set()

    def stop(self) -> None:
        """Stop the thread: no beat begins after this returns."""
        self._done.set()
        if self.is_alive():
            self.join()

    # ---- state of the job ------------------------------------------------------------------------------------------

    @property
    def waiting_for(self) -> str | None:
        """The reason why no trial can run, or None if the job does not wait."""
        return self._used.reason

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


class Pulse(threading.Thread):
    """Writes a byte into the controller's pipe again and again; a driver without a controller needs none."""

    def __init__(self) -> None:
        """Take the pipe from the environment, so that no process that the driver starts inherits it."""
        super().__init__(name="pulse", daemon=True)
        descriptor = os.environ.pop(PULSE_VARIABLE, None)
        self._descriptor = None if descriptor is None else int(descriptor)
        self._is_healthy: Callable[[], bool] = lambda: True
        self._has_started: Callable[[], bool] = lambda: False
        if self._descriptor is not None:
            os.set_inheritable(self._descriptor, False)
            os.set_blocking(self._descriptor, False)

    def guard(self, is_healthy: Callable[[], bool], *, has_started: Callable[[], bool]) -> None:
        """Fall silent while `is_healthy` returns False, so that the controller replaces the driver.

        Once `has_started` returns True, the driver reports that it has made its imports and is connected to Ray; from
        then on the controller expects a pulse without pauses.
        """
        self._is_healthy, self._has_started = is_healthy, has_started

    def run(self) -> None:
        pause = threading.Event()
        while self._descriptor is not None and self._beat(self._descriptor):
            pause.wait(PULSE_SECONDS)

    def _beat(self, descriptor: int) -> bool:
        """Write a byte if the driver is healthy. Return False if the controller has ended."""
        if not self._is_healthy():
            return True
        try:
            os.write(descriptor, RUNNING if self._has_started() else STARTING)
        except BlockingIOError:  # the controller is suspended, and the pipe is full
            return True
        except OSError:
            return False
        return True

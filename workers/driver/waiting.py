"""Reasons that the store shows for trials which wait, and for a job none of whose trials can start."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from workers.driver.attempts import ActiveAttempts
from workers.driver.heartbeat import Cause, Heartbeat
from workers.driver.ledger import Ledger
from workers.driver.placement import Placement
from workers.driver.volume import ArtifactsVolume

EXPLAIN_SECONDS = 1.0
PATIENCE_SECONDS = 2.0
"""Waiting time after which a trial gets a reason."""


class WaitingReasons:
    """Explains, at most once a second, why trials wait; also gives the heartbeat the cluster's nodes."""

    def __init__(
        self,
        ledger: Ledger,
        heartbeat: Heartbeat,
        placement: Placement,
        attempts: ActiveAttempts,
        volume: ArtifactsVolume,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger, self._heartbeat, self._placement, self._attempts = ledger, heartbeat, placement, attempts
        self._volume, self._clock = volume, clock
        self._explained = -math.inf

    def update(self) -> None:
        """Store the reasons of all trials that have waited for longer than PATIENCE_SECONDS."""
        now = self._clock()
        if now - self._explained < EXPLAIN_SECONDS:
            return
        self._explained = now
        self._heartbeat.nodes = self._placement.nodes()
        self._explain_submitted(now)
        self._explain_open(now)
        self._heartbeat.wait_for(Cause.ROOM, self._shortage(now))
        self._heartbeat.wait_for(Cause.STORAGE, None if self._attempts else self._volume.reason)

    def _explain_submitted(self, now: float) -> None:
        """Attempts that Tune has, but for which Ray has no room or has started no process yet."""
        pending = [attempt for attempt in self._attempts.values() if attempt.actor is None and attempt.test is None]
        late = [attempt for attempt in pending if now - attempt.submitted > PATIENCE_SECONDS]
        reasons = {workers: self._placement.why_waiting(workers) for workers in {attempt.workers for attempt in late}}
        for attempt in late:
            self._ledger.explain(attempt.trial, reasons[attempt.workers])

    def _shortage(self, now: float) -> str | None:
        """Return why none of the submitted attempts can start, or None if any has started or can start."""
        attempts = self._attempts.values()
        if any(attempt.actor is not None or now - attempt.submitted <= PATIENCE_SECONDS for attempt in attempts):
            return None
        shortages = {workers: self._placement.shortage(workers) for workers in {one.workers for one in attempts}}
        return next(iter(shortages.values())) if shortages and all(shortages.values()) else None

    def _explain_open(self, now: float) -> None:
        """Trials that Tune does not have yet, because no trial can write or all slots are taken."""
        late = [trial for trial in self._ledger.waiting if now - trial.since > PATIENCE_SECONDS]
        if not late:
            return
        taken = f"{len(self._attempts)} of {self._placement.slots()} trials at once are running"
        for trial in late:
            self._ledger.explain(trial, self._volume.reason or taken)

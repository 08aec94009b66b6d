"""Detection of leases whose driver has died, without trusting any clock but the monotonic clock of this process.

Clocks of machines differ and are set, and a stalled database delays every renewal. So a lease counts as expired only
if its mark has stayed the same for `lease_seconds` during which this process was awake and the database accepted
writes: a live driver would have renewed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from searchsvc.domain import LeaseMark


class LeaseWatch:
    """Watches the marks of leases, and returns those that their drivers no longer renew."""

    def __init__(
        self,
        lease_seconds: float,
        heartbeat_seconds: float,
        *,
        read: Callable[[], Iterable[LeaseMark]],
        probe: Callable[[], object],
        monotonic: Callable[[], float],
    ) -> None:
        """Create a watch that has seen nothing yet.

        `read` returns the current marks. `probe` writes to the database. Both raise an exception if they cannot.
        """
        self._lease_seconds, self._heartbeat_seconds = lease_seconds, heartbeat_seconds
        self._read, self._probe, self._monotonic = read, probe, monotonic
        self._unmoved: dict[LeaseMark, float] = {}
        """Seconds for which each mark has stayed the same although its driver could have renewed the lease."""
        self._observed = self._probed = -math.inf

    def look(self) -> None:
        """Read the current marks. Raises what `read` and `probe` raise.

        The time since the last look counts only up to a quarter of a lease: this process, or the whole machine with
        its drivers, may have been suspended. All marks are observed anew if the database did not answer, or took
        longer than half a lease, which leaves a driver too little time for a renewal.
        """
        try:
            self._observe()
            if any(seconds >= self._lease_seconds / 2 for seconds in self._unmoved.values()):
                self._check_writes()
        except BaseException:
            self._unmoved.clear()
            raise

    def expired(self, lease_seconds: float | None = None) -> frozenset[LeaseMark]:
        """Return the marks that have not moved for `lease_seconds`. Default: the lease of the watch."""
        limit = self._lease_seconds if lease_seconds is None else lease_seconds
        return frozenset(mark for mark, seconds in self._unmoved.items() if seconds >= limit)

    def _observe(self) -> None:
        began = self._monotonic()
        marks = list(self._read())
        now = self._monotonic()
        gap = min(now - self._observed, self._lease_seconds / 4)
        self._observed = now
        is_slow = now - began > self._lease_seconds / 2
        self._unmoved = {
            mark: self._unmoved[mark] + gap if mark in self._unmoved and not is_slow else 0.0 for mark in marks
        }

    def _check_writes(self) -> None:
        """Write to the database, at most once in a heartbeat."""
        began = self._monotonic()
        if began - self._probed < self._heartbeat_seconds:
            return
        self._probe()
        self._probed = self._monotonic()
        if self._probed - began > self._lease_seconds / 2:
            self._unmoved.clear()

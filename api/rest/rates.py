"""The rate limit of requests: so many per minute for each token, in each process that answers requests."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from searchsvc.domain import Token
from searchsvc.errors import LimitExceeded

_MINUTE = 60.0


class RequestRates:
    """A bucket per token, which holds a minute's requests and is refilled evenly."""

    def __init__(self, per_minute: int | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Limit each token to `per_minute` requests; None: no limit."""
        self._per_minute, self._clock = per_minute, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}
        """Requests left, and when, by id of the token."""

    def take(self, token: Token) -> None:
        """Count a request of the token. Raises LimitExceeded if there were too many."""
        if self._per_minute is None:
            return
        with self._lock:
            now = self._clock()
            left, at = self._buckets.get(token.id, (float(self._per_minute), now))
            left = min(float(self._per_minute), left + (now - at) * self._per_minute / _MINUTE)
            is_allowed = left >= 1
            self._buckets[token.id] = (left - 1 if is_allowed else left, now)
        if not is_allowed:
            wait = (1 - left) * _MINUTE / self._per_minute
            use = f"this token has sent {self._per_minute:,} requests within a minute, which is its limit"
            cure = f"repeat this one in {math.ceil(wait)} s, and follow events instead of polling"
            raise LimitExceeded(f"{use} (SEARCHSVC_LIMIT_REQUESTS): {cure}", retry_after_seconds=wait)

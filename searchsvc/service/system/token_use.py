"""The times at which tokens were last used, stored in the background.

A request must be answered although the database accepts no writes. So the time is noted in memory, and a thread stores
it within a minute. It does not wait for the database, and what it cannot store is tried again a minute later.
"""

from __future__ import annotations

import logging
import threading
import time

from searchsvc.domain import Token
from searchsvc.store import Store

_RESOLUTION_SECONDS = 60.0
_STORE_EVERY_SECONDS = 60.0

_log = logging.getLogger(__name__)


class TokenUse:
    """Collects the uses of tokens, and stores them from time to time."""

    def __init__(self, store: Store, *, store_every_seconds: float = _STORE_EVERY_SECONDS) -> None:
        self._store, self._every = store, store_every_seconds
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}
        self._timer: threading.Timer | None = None
        self._next = 0.0
        self.failures = 0
        """Number of attempts to store that failed."""

    def note(self, token: Token, at: float) -> None:
        """Note the use of a token at the time `at`, unless a use within the last minute is stored."""
        if token.used_at is None or at - token.used_at > _RESOLUTION_SECONDS:
            with self._lock:
                self._noted[token.id] = at
                self._schedule()

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(max(0.0, self._next - time.monotonic()), self._store_noted)
            self._timer.daemon = True
            self._timer.start()

    def _store_noted(self) -> None:
        with self._lock:
            noted, self._noted = self._noted, {}
        try:
            self._store.touch_tokens(noted)
        except Exception as error:  # noqa: BLE001 - a thread without a caller: the next try is its only way on
            _log.info("the last use of %d tokens is not stored yet: %s", len(noted), error)
            with self._lock:
                self.failures += 1
                self._noted = noted | self._noted
        with self._lock:
            self._next = time.monotonic() + self._every
            self._timer = None
            if self._noted:
                self._schedule()

"""Readiness: whether the database can be used, looked up seldom, however often it is asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from searchsvc.errors import SearchsvcError
from searchsvc.store import Store

_VALID_SECONDS = 2.0


class Readiness:
    """The last answer to the question whether the service is ready.

    Anybody may ask, without a token. So a single thread at a time asks the database, over the pool of the store, and
    the answer is valid for a while; meanwhile, and while the database is asked again, others get the last answer.
    """

    def __init__(
        self, store: Store, *, valid_seconds: float = _VALID_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._valid_seconds, self._clock = store, valid_seconds, clock
        self._asking = threading.Lock()
        self._asked_at: float | None = None
        self._error: SearchsvcError | None = None

    def check(self) -> None:
        """Raise StoreUnavailable or StoreOutdated unless the database answers and has the schema of this version."""
        if self._is_old() and self._asking.acquire(blocking=self._asked_at is None):
            try:
                if self._is_old():
                    self._ask()
            finally:
                self._asking.release()
        if self._error is not None:
            raise type(self._error)(str(self._error))

    def _is_old(self) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at >= self._valid_seconds

    def _ask(self) -> None:
        try:
            self._store.check_ready()
        except SearchsvcError as error:
            self._error = error
        else:
            self._error = None
        self._asked_at = self._clock()

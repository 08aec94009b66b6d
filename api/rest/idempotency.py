"""Idempotency keys of actions: the same request sent again is answered again and not done again.

The creation of jobs does not need this: its keys are stored with the job. Actions are remembered by this process, for a
day and up to a number of keys.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from searchsvc.errors import Conflict

KEPT_SECONDS = 86_400.0
KEPT_KEYS = 10_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _StoredAnswer:
    request: str
    at: float
    value: Any
    done: bool


class Replays:
    """Answers by (who asked, key)."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers: OrderedDict[tuple[str, str], _StoredAnswer] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def once(self, who: str, key: str | None, request: str, act: Callable[[], T]) -> T:
        """What `act` returned when this key first came; a request that failed may be sent again.

        `request` says what was asked for. Raises Conflict where the key came with another request, or where the first
        is not answered yet.
        """
        if key is None:
            return act()
        known = self._begin((who, key), request)
        if known is not None:
            value: T = known.value
            return value
        try:
            value = act()
        except BaseException:
            with self._lock:
                del self._answers[who, key]
            raise
        with self._lock:
            self._answers[who, key] = _StoredAnswer(request, self._clock(), value, done=True)
        return value

    def _begin(self, name: tuple[str, str], request: str) -> _StoredAnswer | None:
        """The answer that is known; None: there is none, and from now on others wait for ours."""
        with self._lock:
            self._forget()
            known = self._answers.get(name)
            if known is None:
                self._answers[name] = _StoredAnswer(request, self._clock(), None, done=False)
                return None
        if known.request != request:
            raise Conflict(f"the idempotency key {name[1]!r} was used for another request: take a new one")
        if not known.done:
            raise Conflict(f"the request with the idempotency key {name[1]!r} is still being answered")
        return known

    def _forget(self) -> None:
        """The oldest, where there are too many or they are too old. Those not answered yet are kept."""
        oldest = self._clock() - KEPT_SECONDS
        for name, answer in list(self._answers.items()):
            if len(self._answers) < KEPT_KEYS and answer.at > oldest:
                break
            if answer.done:
                del self._answers[name]

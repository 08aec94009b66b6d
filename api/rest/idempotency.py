"""Idempotency keys of actions: a repeated request gets the same response and is not executed twice.

The creation of jobs does not need this: its keys are stored with the job. The keys of actions are kept in this process,
for a day and up to a maximum number.
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
    """Responses by (owner, key)."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers: OrderedDict[tuple[str, str], _StoredAnswer] = OrderedDict()
        self._lock = threading.Lock()
        self._clock = clock

    def once(self, owner: str, key: str | None, request: str, act: Callable[[], T]) -> T:
        """Return the result of `act` for the first request with this key; a failed request may be repeated.

        `request` identifies the operation. Raises Conflict if the key was used for another request, or if the first
        request is still running.
        """
        if key is None:
            return act()
        answer = self._begin((owner, key), request)
        if answer is not None:
            value: T = answer.value
            return value
        try:
            value = act()
        except BaseException:
            with self._lock:
                del self._answers[owner, key]
            raise
        with self._lock:
            self._answers[owner, key] = _StoredAnswer(request, self._clock(), value, done=True)
        return value

    def _begin(self, name: tuple[str, str], request: str) -> _StoredAnswer | None:
        """Return the stored answer. If there is none, return None and reserve the key for this request."""
        with self._lock:
            self._forget()
            answer = self._answers.get(name)
            if answer is None:
                self._answers[name] = _StoredAnswer(request, self._clock(), None, done=False)
                return None
        if answer.request != request:
            raise Conflict(f"the idempotency key {name[1]!r} was used for another request: use a new key")
        if not answer.done:
            raise Conflict(f"the request with the idempotency key {name[1]!r} is still being answered")
        return answer

    def _forget(self) -> None:
        """Drop the oldest answers if there are too many or they are too old. Requests that still run are kept."""
        oldest = self._clock() - KEPT_SECONDS
        for name, answer in list(self._answers.items()):
            if len(self._answers) < KEPT_KEYS and answer.at > oldest:
                break
            if answer.done:
                del self._answers[name]

"""Limits on slow requests: of each kind, a few are carried out at once, so that none delays the others.

Handlers run in a pool of threads that all routes share. A slow request waits outside of the pool until it is the turn
of its kind, after its body has arrived; so threads always remain for quick requests, and a client that sends slowly
keeps nobody waiting.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import MappingProxyType

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.errors import response_to
from searchsvc.errors import RuntimeUnavailable

AT_ONCE = 2
WAITING = 64
"""Most requests of a kind that wait; further ones are refused."""
_RETRY_SECONDS = 5.0

_JOBS = "/api/v1/jobs"
KINDS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "plan": re.compile(rf"^POST {_JOBS}(/[^/]+:(clone|transfer))?$"),
        "recommend": re.compile(rf"^POST {_JOBS}/[^/]+:recommend$"),
        "labels": re.compile(
            rf"^(POST {_JOBS}/[^/]+:(reassess|relabel)"
            rf"|GET {_JOBS}/[^/]+/relabelling(/(questions|labels|images/.*))?"
            rf"|GET /ui/files/[^/]+/validation/.*)$"
        ),
        "export": re.compile(rf"^GET ({_JOBS}/[^/]+/export|/ui/exports/.*)$"),
        "analysis": re.compile(
            rf"^GET ({_JOBS}/[^/]+/(importance|report|distributions|transfer|pareto|trials/[^/]+/architecture)"
            rf"|/api/v1/trials:compare)$"
        ),
    }
)
"""Slow kinds of requests, by method and path."""


class KindLimits:
    """Middleware that carries out a few requests of each slow kind at once."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._waiting = dict.fromkeys(KINDS, 0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = kind_of(scope)
        if kind is None:
            await self.app(scope, receive, send)
            return
        turn = _Turn(self, kind)

        async def receive_and_wait() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                await turn.take()
            return message

        async def send_and_leave(message: Message) -> None:
            turn.leave()  # the work is done; a slow reader of the answer keeps nobody waiting
            await send(message)

        try:
            if scope["method"] == "GET":
                await turn.take()
        except RuntimeUnavailable as error:
            await response_to(Request(scope), error)(scope, receive, send)
            return
        try:
            await self.app(scope, receive_and_wait, send_and_leave)
        finally:
            turn.leave()

    async def acquire(self, kind: str) -> asyncio.Semaphore:
        """Wait for a turn. Raises RuntimeUnavailable if too many requests wait already."""
        turns = self._turns.setdefault(kind, asyncio.Semaphore(AT_ONCE))
        if turns.locked() and self._waiting[kind] >= WAITING:
            error = RuntimeUnavailable(f"{self._waiting[kind]} requests of the kind `{kind}` wait already: try again")
            error.retry_after_seconds = _RETRY_SECONDS
            raise error
        self._waiting[kind] += 1
        try:
            await turns.acquire()
        finally:
            self._waiting[kind] -= 1
        return turns


class _Turn:
    """The turn of a request, taken and left at most once."""

    def __init__(self, limits: KindLimits, kind: str) -> None:
        self._limits, self._kind = limits, kind
        self._held: asyncio.Semaphore | None = None
        self._is_over = False

    async def take(self) -> None:
        if self._held is None and not self._is_over:
            self._held = await self._limits.acquire(self._kind)

    def leave(self) -> None:
        if self._held is not None:
            self._held.release()
        self._held, self._is_over = None, True


def kind_of(scope: Scope) -> str | None:
    """Return the slow kind of a request; None for quick requests."""
    if scope["type"] != "http":
        return None
    request = f"{scope['method']} {scope['path']}"
    return next((kind for kind, pattern in KINDS.items() if pattern.match(request)), None)

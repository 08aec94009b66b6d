"""Idempotency keys of POST requests: a repeated request gets the recorded answer and is not carried out twice.

Whether two requests are the same is decided on what the client sent, before anything in it is looked up. The answers
are in the database, so that it does not matter which process receives the repetition, or whether it was restarted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from http import HTTPStatus
from typing import TypeVar

import anyio
from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import kind_of_status
from api.rest.bodies import text_of
from api.rest.errors import problem, response_to
from searchsvc.domain import Token
from searchsvc.errors import Conflict, SearchsvcError
from searchsvc.service.service import Service
from searchsvc.store.access.requests import RecordedAnswer, RequestKey, Reservation

KEY_PATTERN = r"^[!-~]+$"
LONGEST_KEY = 255
HELD_SECONDS = 60.0
"""Time after which a request counts as dead unless its process has renewed it."""
THREADS = 8
_RECORDED_HEADERS = ("content-type", "location")

T = TypeVar("T")
_log = logging.getLogger(__name__)


def record_instead(request: Request, error: Conflict) -> None:
    """Let a repetition of this request be answered by `error`, because its answer must not be stored."""
    request.state.recorded_instead = error


class IdempotentRequests:
    """Middleware that carries out each POST request with an idempotency key once."""

    def __init__(self, app: ASGIApp, *, service: Service, held_seconds: float = HELD_SECONDS) -> None:
        self.app, self._service, self._held_seconds = app, service, held_seconds
        self._threads: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or _key_of(scope) is None:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            owner = await self._in_thread(lambda: self._owner(request))
            body = await text_of(request)
            begun = await self._begin(owner, scope, body)
        except SearchsvcError as error:
            await response_to(request, error)(scope, receive, send)
            return
        except HTTPException as error:
            await problem(request, kind_of_status(error.status_code), str(error.detail))(scope, receive, send)
            return
        except ClientDisconnect:
            return
        if isinstance(begun, RecordedAnswer):
            await Response(begun.body, begun.status, dict(begun.headers))(scope, receive, send)
        else:
            await self._carry_out(begun, scope, body, receive, send)

    def _owner(self, request: Request) -> Token:
        """Return the token of a request, before its body is read. Raises Unauthenticated."""
        scheme, secret = get_authorization_scheme_param(request.headers.get("authorization"))
        return self._service.access.authenticate(secret if scheme.lower() == "bearer" else None)

    async def _begin(self, owner: Token, scope: Scope, body: bytes) -> Reservation | RecordedAnswer:
        """Reserve the request, or return the recorded answer. Raises Conflict."""
        headers, key = Headers(scope=scope), _key_of(scope)
        assert key is not None
        query, media_type = scope["query_string"].decode("latin-1"), headers.get("content-type", "")
        sent = (scope["method"], scope["path"], query, media_type)
        fingerprint = hashlib.sha256("\n".join(sent).encode() + b"\n" + body).hexdigest()
        sent_request = RequestKey(owner, key, fingerprint)
        return await self._in_thread(lambda: self._service.store.begin_request(sent_request, self._held_seconds))

    async def _carry_out(
        self, reservation: Reservation, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> None:
        store, state = self._service.store, scope.setdefault("state", {})
        state["request_id"] = reservation.id
        answer = _Recorder()
        try:
            async with self._renewing(reservation):
                await self.app(scope, _replayed(body, receive), answer)
        except Exception:
            await self._in_thread(lambda: store.abandon_request(reservation, is_undone=False))
            raise
        if not answer.messages:  # the client has gone
            await self._in_thread(lambda: store.abandon_request(reservation, is_undone=False))
            return
        error: Conflict | None = state.get("recorded_instead")
        if error is None or answer.status not in (HTTPStatus.CREATED, HTTPStatus.CONFLICT):
            await self._note(reservation, answer.recorded(), is_done=answer.status < 400)
        else:
            replacement = response_to(Request(scope), error)
            if answer.status == HTTPStatus.CONFLICT:  # an earlier try was carried out, but its answer was lost
                answer.replace(replacement)
            headers = {"content-type": replacement.headers["content-type"]}
            recorded = RecordedAnswer(replacement.status_code, headers, bytes(replacement.body))
            await self._note(reservation, recorded, is_done=True)
        for message in answer.messages:
            await send(message)

    async def _note(self, reservation: Reservation, recorded: RecordedAnswer, *, is_done: bool) -> None:
        """Record the answer, or release the key of a request that failed; the client gets its answer in any case."""
        store = self._service.store
        try:
            if is_done:
                await self._in_thread(lambda: store.finish_request(reservation, recorded))
            else:
                is_undone = recorded.status < 500
                await self._in_thread(lambda: store.abandon_request(reservation, is_undone=is_undone))
        except SearchsvcError as error:
            _log.warning("the answer to the request %s is not recorded: %s", reservation.id, error)

    @contextlib.asynccontextmanager
    async def _renewing(self, reservation: Reservation) -> AsyncIterator[None]:
        """Hold the reservation for the duration of the block."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._held_seconds / 4)
                with contextlib.suppress(SearchsvcError):
                    await self._in_thread(
                        lambda: self._service.store.renew_request(reservation, self._held_seconds)
                    )

        task = asyncio.create_task(renew(), name="reservation of a request")
        try:
            yield
        finally:
            task.cancel()

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run `call` in a thread that is not used for request handlers."""
        self._threads = self._threads or anyio.CapacityLimiter(THREADS)
        return await anyio.to_thread.run_sync(call, limiter=self._threads)


class _Recorder:
    """Collects the messages of a response."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    def recorded(self) -> RecordedAnswer:
        """Return the response as it is stored."""
        sent: Mapping[str, str] = Headers(raw=self.messages[0]["headers"])
        headers = {name: sent[name] for name in _RECORDED_HEADERS if name in sent}
        return RecordedAnswer(self.status, headers, b"".join(part.get("body", b"") for part in self.messages[1:]))

    def replace(self, response: Response) -> None:
        """Replace the response by another."""
        start = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        self.messages = [start, {"type": "http.response.body", "body": response.body}]


def _key_of(scope: Scope) -> str | None:
    """Return the key of a request; None if it has none, or one that its route refuses."""
    key = Headers(scope=scope).get("idempotency-key")
    return key if key is not None and len(key) <= LONGEST_KEY and re.fullmatch(KEY_PATTERN, key) else None


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receiver of a body that was already read; after it, it waits as the original does."""
    parts = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        message = next(parts, None)
        return message if message is not None else await receive()

    return replay

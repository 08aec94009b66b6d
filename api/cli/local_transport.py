"""LocalTransport: the API inside this process, for httpx, answers streamed as they are made.

httpx's own ASGITransport collects an answer before it hands it on, which never ends for a stream of events.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import Future
from typing import Any

import httpx

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class LocalTransport(httpx.BaseTransport):
    """Runs an ASGI app, its lifespan included, on an event loop in a thread of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="searchctl-api", daemon=True)
        self._thread.start()
        self._lifespan = _Lifespan(app, self._loop)
        self._lifespan.start()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Start the request; the body of the answer is read as it comes."""
        exchange = _Exchange(request, request.read())
        exchange.task = asyncio.run_coroutine_threadsafe(exchange.run(self._app), self._loop)
        start = exchange.take()
        assert start is not None
        return httpx.Response(start["status"], headers=start.get("headers", ()), stream=_Body(exchange))

    def close(self) -> None:
        """End the app and its loop."""
        self._lifespan.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()


class _Lifespan:
    """The startup and shutdown of the app, in one task as ASGI has it."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self._app, self._loop = app, loop
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: queue.Queue[Message] = queue.Queue()

    def start(self) -> None:
        self._task = asyncio.run_coroutine_threadsafe(self._run(), self._loop)
        self._task.add_done_callback(self._ended)
        self._ask("lifespan.startup")

    def stop(self) -> None:
        if not self._task.done():
            self._ask("lifespan.shutdown")

    def _ask(self, kind: str) -> None:
        self._loop.call_soon_threadsafe(self._inbox.put_nowait, {"type": kind})
        answer = self._answers.get()
        if "error" in answer:
            raise answer["error"]

    async def _run(self) -> None:
        async def send(message: Message) -> None:
            self._answers.put(message)

        await self._app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._inbox.get, send)

    def _ended(self, task: Future[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._answers.put({"type": "ended", **({"error": error} if error else {})})


class _Exchange:
    """One request and the messages of its answer."""

    task: Future[None]

    def __init__(self, request: httpx.Request, body: bytes) -> None:
        self._scope = _scope(request)
        self._body: list[bytes] = [body]
        self._messages: queue.Queue[Message | BaseException | None] = queue.Queue()
        self._started = False

    async def run(self, app: ASGIApp) -> None:
        gone = asyncio.Event()

        async def receive() -> Message:
            if self._body:
                return {"type": "http.request", "body": self._body.pop(), "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            self._messages.put(message)

        try:
            await app(self._scope, receive, send)
        except BaseException as error:
            self._messages.put(error)
            raise
        finally:
            self._messages.put(None)

    def take(self) -> Message | None:
        """The next message; None at the end. An error before the answer began is raised here."""
        message = self._messages.get()
        if isinstance(message, BaseException):
            if self._started:
                return None
            raise message
        self._started = True
        return message


class _Body(httpx.SyncByteStream):
    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    def __iter__(self) -> Iterator[bytes]:
        while (message := self._exchange.take()) is not None:
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    def close(self) -> None:
        self._exchange.task.cancel()


def _scope(request: httpx.Request) -> MutableMapping[str, Any]:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "server": (url.host, url.port or 80),
        "client": ("127.0.0.1", 0),
        "root_path": "",
        "state": {},
    }

"""LocalTransport: requests to an ASGI app inside this process, with answers streamed as they are made."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

from api.cli.transport import Answer, Request

Message = MutableMapping[str, Any]
ASGIApp = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


class LocalTransport:
    """Runs an ASGI app, including its lifespan, on an event loop in its own thread."""

    def __init__(self, app: ASGIApp, address: str, *, on_close: Callable[[], None] = lambda: None) -> None:
        """`address`: the URL that the app sees in its requests; `on_close`: called when the app has ended."""
        self.address = address
        self._app, self._on_close = app, on_close
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="searchctl-api", daemon=True)
        self._thread.start()
        self._lifespan = _Lifespan(app, self._loop)
        self._lifespan.start()

    def send(self, request: Request) -> Answer:
        """Start a request and wait for the start of the answer; errors of the app are raised here."""
        exchange = _Exchange(_scope(request, self.address), request.body or b"")
        exchange.task = asyncio.run_coroutine_threadsafe(exchange.run(self._app), self._loop)
        start = exchange.take()
        assert start is not None
        return _LocalAnswer(exchange, start)

    def close(self) -> None:
        """End the app and its loop."""
        self._lifespan.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()
        self._on_close()


class _Lifespan:
    """The startup and shutdown of the app, in a single task as ASGI demands."""

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
    """A request and the messages of its answer."""

    task: Future[None]

    def __init__(self, scope: MutableMapping[str, Any], body: bytes) -> None:
        self._scope = scope
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
        """Return the next message, or None at the end. Raises an error of the app before the answer began."""
        message = self._messages.get()
        if isinstance(message, BaseException):
            if self._started:
                return None
            raise message
        self._started = True
        return message


class _LocalAnswer:
    """The answer of the app, read while the app makes it."""

    def __init__(self, exchange: _Exchange, start: Message) -> None:
        self._exchange = exchange
        self._headers = {name.lower(): value.decode("latin-1") for name, value in start.get("headers", ())}
        self.status: int = start["status"]
        self.reason = HTTPStatus(self.status).phrase

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower().encode())

    def chunks(self) -> Iterator[bytes]:
        while (message := self._exchange.take()) is not None:
            if body := message.get("body", b""):
                yield body
            if not message.get("more_body", False):
                return

    def close(self) -> None:
        self._exchange.task.cancel()


def _scope(request: Request, address: str) -> MutableMapping[str, Any]:
    """Return the request as ASGI describes it."""
    url = urlsplit(address)
    raw_path, _, query = request.target.partition("?")
    headers = {"Host": url.netloc, **request.headers}
    if request.body is not None or request.method == "POST":
        headers["Content-Length"] = str(len(request.body or b""))
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "scheme": url.scheme,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "server": (url.hostname, url.port or 80),
        "client": ("127.0.0.1", 0),
        "root_path": "",
        "state": {},
    }

"""Events pushed to many clients: one reader of the store for all of them (server-sent events).

A client first reads the store from where it stands to the end, then takes what the reader hands out. The reader asks
the store for new events a few times a second, only while there are clients, with one query whatever their number. A
client that does not keep up is not waited for: its queue is dropped, and it reads the store again from the last event
it was sent. So every client gets every event once and in order, and none costs more memory than one queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from api.rest.schemas.events import Event as EventSchema
from searchsvc.domain import Event
from searchsvc.errors import NotFound, StoreUnavailable

PING_SECONDS = 15.0
RETRY_MILLISECONDS = 2000
TICK_SECONDS = 0.25
BATCH = 500
THREADS = 4
QUEUE = 1000
"""Events that may wait for one subscriber before it has to read the store itself."""

_AFTER_ERROR_SECONDS = 5.0
_log = logging.getLogger(__name__)

Read = Callable[[int, str | None, int], Sequence[Event]]
"""(after, job_id, limit) -> the events after that sequence number, of one job or of all."""
Chunks = AsyncIterator[bytes]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """An event as it is sent, written once for all clients."""

    sequence: int
    job_id: str
    kind: str
    text: bytes
    event: Event

    @classmethod
    def of(cls, event: Event) -> Frame:
        data = EventSchema.of(event).model_dump_json()
        text = format_sse_event(id=str(event.sequence), data_str=data)
        return cls(event.sequence, event.job_id, event.kind, text, event)


@dataclass(eq=False, slots=True)
class Subscriber:
    """One listener: what was handed out and is not sent yet."""

    job_id: str | None
    waiting: list[Frame] = field(default_factory=list)
    missed: bool = True
    """Whether there may be events that only the store has."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def hand(self, frames: Iterable[Frame]) -> None:
        """Add what this subscriber listens to; where too much waits, all of it is dropped."""
        mine = [frame for frame in frames if self.job_id in (None, frame.job_id)]
        if len(self.waiting) + len(mine) > QUEUE:
            self.waiting, self.missed = [], True
        else:
            self.waiting += mine
        if mine:
            self.arrived.set()

    def take(self) -> list[Frame]:
        """Everything that waits."""
        taken, self.waiting = self.waiting, []
        self.arrived.clear()
        return taken


class Feed:
    """The shared reader. Its methods run on one event loop; the store is read in a few threads of their own."""

    def __init__(self, read: Read, last: Callable[[], int], *, tick_seconds: float = TICK_SECONDS) -> None:
        self.subscribers: set[Subscriber] = set()
        self._read_store, self._last, self._tick_seconds = read, last, tick_seconds
        self._starting = asyncio.Lock()
        self._threads = anyio.CapacityLimiter(THREADS)
        self._reader: asyncio.Task[None] | None = None

    async def read(self, after: int, job_id: str | None) -> list[Frame]:
        """A batch of stored events; a full one means that there may be more."""
        return await self.in_thread(lambda: [Frame.of(event) for event in self._read_store(after, job_id, BATCH)])

    async def in_thread(self, call: Callable[[], T]) -> T:
        """What `call` returns, from a thread that no request handler waits for."""
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    @asynccontextmanager
    async def listening(self, job_id: str | None) -> AsyncIterator[Subscriber]:
        """A client that is handed every event stored from now on."""
        subscriber = Subscriber(job_id)
        self.subscribers.add(subscriber)
        try:
            async with self._starting:
                if self._reader is None or self._reader.done():
                    position = await self.in_thread(self._last)
                    self._reader = asyncio.create_task(self._run(position), name="event reader")
            yield subscriber
        finally:
            self.subscribers.discard(subscriber)

    async def _run(self, position: int) -> None:
        """Hands out until the last subscriber has left; where the store does not answer, goes on when it does."""
        while self.subscribers:
            frames = await self._next(position)
            for subscriber in self.subscribers:
                subscriber.hand(frames)
            if frames:
                position = frames[-1].sequence
            if len(frames) < BATCH:
                await asyncio.sleep(self._tick_seconds)

    async def _next(self, position: int) -> list[Frame]:
        """A batch after that position; none where it cannot be read: clients then read by themselves."""
        try:
            return await self.read(position, None)
        except StoreUnavailable:
            return []
        except Exception:  # noqa: BLE001 - a reader that ended would leave all clients waiting without a word
            _log.exception("events cannot be read")
            for subscriber in self.subscribers:
                subscriber.missed = True
                subscriber.arrived.set()
            await asyncio.sleep(_AFTER_ERROR_SECONDS)
            return []


async def stream(feed: Feed, after: int, job_id: str | None, is_over: Callable[[], bool] | None) -> Chunks:
    """The text of an event stream from the event after `after` on.

    `is_over` is asked whenever the job may have ended; when it says so, the stream ends after the last stored event.
    Where the store does not answer the stream ends too: the subscriber comes back by itself.
    """
    yield f"retry: {RETRY_MILLISECONDS}\n\n".encode()
    position = after
    with contextlib.suppress(StoreUnavailable, NotFound):
        async with feed.listening(job_id) as subscriber:
            while True:
                frames = subscriber.take()
                if subscriber.missed:
                    subscriber.missed = False
                    async for batch in _stored(feed, position, job_id):
                        yield _text(batch)
                        position = batch[-1].sequence
                    may_be_over = True
                else:
                    frames = [frame for frame in frames if frame.sequence > position]
                    yield _text(frames) or KEEPALIVE_COMMENT
                    position = frames[-1].sequence if frames else position
                    may_be_over = not frames or any(frame.kind.startswith("job.") for frame in frames)
                if is_over and may_be_over and await feed.in_thread(is_over):
                    break
                await _wait(subscriber)
            async for batch in _stored(feed, position, job_id):
                yield _text(batch)


async def _stored(feed: Feed, after: int, job_id: str | None) -> AsyncIterator[list[Frame]]:
    """What the store has after a sequence number, batch by batch."""
    while batch := await feed.read(after, job_id):
        yield batch
        after = batch[-1].sequence
        if len(batch) < BATCH:
            return


async def _wait(subscriber: Subscriber) -> None:
    """Until something has been handed to the subscriber, or it is time for a ping."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(subscriber.arrived.wait(), PING_SECONDS)


def _text(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.text for frame in frames)

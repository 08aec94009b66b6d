"""Server-sent events for many subscribers, with a single reader of the store for all of them.

A subscriber first reads the store from its position to the end, then receives the events of the shared reader. The
reader polls the store a few times a second, only while there are subscribers, with the same query for any number of
them. It does not wait for a slow subscriber: the queue is dropped, and the subscriber reads the store again from its
last event. So every subscriber gets every event once and in order, and needs no more memory than its queue.
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
"""Maximum number of queued events of a subscriber; with more, it reads the store itself."""

_AFTER_ERROR_SECONDS = 5.0
_log = logging.getLogger(__name__)

Read = Callable[[int, str | None, int], Sequence[Event]]
"""(after, job_id, limit) -> the events after that sequence number, of a job or of all jobs."""
Chunks = AsyncIterator[bytes]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """A serialised event, shared by all subscribers."""

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
    """A listener, with its queue of events that are not sent yet."""

    job_id: str | None
    waiting: list[Frame] = field(default_factory=list)
    missed: bool = True
    """True if there may be events that are only in the store."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, frames: Iterable[Frame]) -> None:
        """Queue the events of this subscriber's job; if the queue is full, drop all of it."""
        mine = [frame for frame in frames if self.job_id in (None, frame.job_id)]
        if len(self.waiting) + len(mine) > QUEUE:
            self.waiting, self.missed = [], True
        else:
            self.waiting += mine
        if mine:
            self.arrived.set()

    def take(self) -> list[Frame]:
        """Empty the queue and return its events."""
        frames, self.waiting = self.waiting, []
        self.arrived.clear()
        return frames


class Feed:
    """The shared reader of events. It runs on an event loop, and reads the store in a few threads of its own."""

    def __init__(self, read: Read, last: Callable[[], int], *, tick_seconds: float = TICK_SECONDS) -> None:
        self.subscribers: set[Subscriber] = set()
        self._read_store, self._last, self._tick_seconds = read, last, tick_seconds
        self._starting = asyncio.Lock()
        self._threads = anyio.CapacityLimiter(THREADS)
        self._reader: asyncio.Task[None] | None = None

    async def read(self, after: int, job_id: str | None) -> list[Frame]:
        """Read a batch of stored events; if it is full, there may be more."""
        return await self.in_thread(lambda: [Frame.of(event) for event in self._read_store(after, job_id, BATCH)])

    async def in_thread(self, call: Callable[[], T]) -> T:
        """Run `call` in a thread that is not used for request handlers."""
        return await anyio.to_thread.run_sync(call, limiter=self._threads)

    @asynccontextmanager
    async def listening(self, job_id: str | None) -> AsyncIterator[Subscriber]:
        """Subscribe to the events that are stored from now on."""
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
        """Distribute new events until the last subscriber has left, through outages of the store."""
        while self.subscribers:
            frames = await self._next(position)
            for subscriber in self.subscribers:
                subscriber.push(frames)
            if frames:
                position = frames[-1].sequence
            if len(frames) < BATCH:
                await asyncio.sleep(self._tick_seconds)

    async def _next(self, position: int) -> list[Frame]:
        """Read the next batch; empty if it cannot be read: subscribers then read the store themselves."""
        try:
            return await self.read(position, None)
        except StoreUnavailable:
            return []
        except Exception:  # noqa: BLE001 - if the reader ended, all subscribers would wait forever
            _log.exception("events cannot be read")
            for subscriber in self.subscribers:
                subscriber.missed = True
                subscriber.arrived.set()
            await asyncio.sleep(_AFTER_ERROR_SECONDS)
            return []


async def stream(feed: Feed, after: int, job_id: str | None, is_over: Callable[[], bool] | None) -> Chunks:
    """Generate the text of an event stream, starting after the event `after`.

    `is_over` is called whenever the job may have ended; if it has, the stream ends after the last stored event.
    The stream also ends if the store does not answer: clients reconnect by themselves.
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
    """Read all stored events after a sequence number, batch by batch."""
    while batch := await feed.read(after, job_id):
        yield batch
        after = batch[-1].sequence
        if len(batch) < BATCH:
            return


async def _wait(subscriber: Subscriber) -> None:
    """Wait until the subscriber has events, or a ping is due."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(subscriber.arrived.wait(), PING_SECONDS)


def _text(frames: Iterable[Frame]) -> bytes:
    return b"".join(frame.text for frame in frames)

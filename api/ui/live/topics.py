"""Topics: something that many pages look at, read once for all of them whenever events say that it may have changed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from api.rest.sse import Feed, Subscriber
from searchsvc.domain import Event
from searchsvc.errors import SearchsvcError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

BEAT_SECONDS = 5.0
"""What changes without an event, such as the time that is left, is read again this often."""
GAP_SECONDS = 0.5
"""However many events come, no topic is read more often."""
SHARE_SECONDS = 0.02
"""From page to page, when many are handed something new: between two of them the event loop is free for others, and of
more pages each is brought up to date less often.
"""
LATE_SECONDS = 3.0
"""Pages say so where reading has taken so long."""
RETRY_SECONDS = 5.0
"""After an error that nobody expected, reading begins anew when so long has passed."""

_log = logging.getLogger(__name__)


class Late(SearchsvcError):
    """Reading has not ended yet."""


class Unreadable(SearchsvcError):
    """Reading met an error that nobody expected; the log has it whole."""


class Model(Protocol[T_co]):
    """Keeps what it has read, and brings it up to date. Called in threads, never twice at once."""

    def read(self, events: Sequence[Event] | None) -> T_co:
        """A new picture after these events; None: read everything anew."""
        ...


@dataclass(eq=False, slots=True)
class Watcher(Generic[T]):
    """One page: the newest picture, and whether it has seen it."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    view: T | None = None
    problem: SearchsvcError | None = None
    """Why `view` is not as new as it might be."""
    at: float = 0.0
    """When `view` was read, in Unix seconds."""

    async def next(self) -> None:
        """Wait for a picture, or a problem, that this page has not seen."""
        await self.changed.wait()
        self.changed.clear()


class Topic(Generic[T]):
    """One thing to look at, about one job or all (None)."""

    def __init__(
        self,
        feed: Feed,
        job_id: str | None,
        model: Model[T],
        *,
        beat_seconds: float = BEAT_SECONDS,
        is_whole: Callable[[T], bool] = lambda _: True,
    ) -> None:
        """`is_whole`: False for a picture that is the first that could be had; the next one follows at once."""
        self._feed, self._job_id, self._model, self._beat_seconds = feed, job_id, model, beat_seconds
        self._is_whole = is_whole
        self._watchers: set[Watcher[T]] = set()
        self._task: asyncio.Task[None] | None = None
        self._latest: Watcher[T] = Watcher()

    @property
    def is_watched(self) -> bool:
        return bool(self._watchers)

    @contextmanager
    def watched(self) -> Iterator[Watcher[T]]:
        """A watcher that hears of every change from now on; at once, where the topic is known already."""
        watcher: Watcher[T] = Watcher()
        self._watchers.add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="topic of a page")
        elif self._latest.view is not None:
            self._hand(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    async def current(self) -> T:
        """The newest picture, read now where there is none. Raises what keeps it from being read."""
        with self.watched() as watcher:
            while watcher.view is None:
                await watcher.next()
                if watcher.view is None and watcher.problem is not None and not isinstance(watcher.problem, Late):
                    raise watcher.problem
            return watcher.view

    async def _run(self) -> None:
        """Reads until the last page has gone, whatever goes wrong."""
        while self._watchers:
            try:
                await self._listen()
            except SearchsvcError as error:
                await self._fail(error)
            except Exception as error:  # noqa: BLE001 - pages that stay as they are, without a word, would be worse
                _log.exception("a page cannot be read")
                await self._fail(Unreadable(f"Reading failed ({type(error).__name__}); see the service's log"))

    async def _fail(self, error: SearchsvcError) -> None:
        self._latest.problem = error
        await self._hand_to_all()
        await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        async with self._feed.listening(self._job_id) as client:
            client.missed = True
            while self._watchers:
                await self._read(client)
                await self._hand_to_all()
                await asyncio.sleep(GAP_SECONDS)
                if self._latest.view is None or self._is_whole(self._latest.view):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(client.arrived.wait(), self._beat_seconds)

    async def _hand_to_all(self) -> None:
        for watcher in list(self._watchers):
            self._hand(watcher)
            await asyncio.sleep(SHARE_SECONDS)

    async def _read(self, client: Subscriber) -> None:
        events = [frame.event for frame in client.take()]
        anew, client.missed = client.missed, False
        reading = asyncio.ensure_future(self._feed.in_thread(lambda: self._model.read(None if anew else events)))
        try:
            if not (await asyncio.wait((reading,), timeout=LATE_SECONDS))[0]:
                self._latest.problem = Late("The database is slow to answer")
                for watcher in self._watchers:
                    self._hand(watcher)
            self._latest.view = await reading
            self._latest.problem, self._latest.at = None, time.time()
        except SearchsvcError as error:
            self._latest.problem, client.missed = error, True

    def _hand(self, watcher: Watcher[T]) -> None:
        watcher.view, watcher.problem, watcher.at = self._latest.view, self._latest.problem, self._latest.at
        watcher.changed.set()

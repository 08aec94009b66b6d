"""Topics report every error to their pages and continue to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise

import pytest

from api.rest.sse import Feed
from api.ui.live import topics
from api.ui.live.topics import Topic, Unreadable
from searchsvc.domain import Event
from searchsvc.errors import StoreUnavailable


class Faulty:
    """A reader that fails at first, then counts its reads."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self._errors = list(errors)
        self.reads: list[bool] = []

    def read(self, events: Sequence[Event] | None) -> int:
        self.reads.append(events is None)
        if self._errors:
            raise self._errors.pop(0)
        return len(self.reads)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_SECONDS", "GAP_SECONDS", "BEAT_SECONDS"):
        monkeypatch.setattr(topics, name, 0.01)


@pytest.mark.parametrize(
    ("error", "reported"),
    [(ValueError("a fault of ours"), Unreadable), (StoreUnavailable("away"), StoreUnavailable)],
)
def test_a_page_is_told_of_every_error_and_goes_on(error: Exception, reported: type[Exception]) -> None:
    model = Faulty([error])
    feed = Feed(lambda *_: [], lambda: 0)
    topic: Topic[int] = Topic(feed, None, model, beat_seconds=0.01)

    async def watch() -> tuple[Exception | None, int | None]:
        with topic.watched() as watcher:
            await watcher.next()
            problem = watcher.problem
            while watcher.view is None:
                await watcher.next()
            assert watcher.problem is None
            return problem, watcher.view

    problem, view = asyncio.run(asyncio.wait_for(watch(), 10))
    assert type(problem) is reported
    assert view == 2
    assert model.reads[:2] == [True, True]


def test_a_first_picture_is_followed_by_the_next_without_an_event() -> None:
    feed = Feed(lambda *_: [], lambda: 0)
    topic: Topic[int] = Topic(feed, None, Faulty([]), beat_seconds=60.0, is_whole=lambda reads: reads > 1)

    async def watch() -> int | None:
        with topic.watched() as watcher:
            while watcher.view != 2:
                await watcher.next()
            with suppress(TimeoutError):
                await asyncio.wait_for(watcher.next(), 0.3)
            return watcher.view

    assert asyncio.run(asyncio.wait_for(watch(), 10)) == 2


def test_many_pages_are_handed_a_picture_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "SHARE_SECONDS", 0.01)
    topic: Topic[int] = Topic(Feed(lambda *_: [], lambda: 0), None, Faulty([]), beat_seconds=60.0)

    async def hears() -> float:
        with topic.watched() as watcher:
            await watcher.next()
            return asyncio.get_running_loop().time()

    async def watch() -> list[float]:
        return sorted(await asyncio.gather(*(hears() for _ in range(10))))

    on_change = asyncio.run(asyncio.wait_for(watch(), 10))
    assert min(later - earlier for earlier, later in pairwise(on_change)) > 0.005


def test_a_page_that_cannot_even_listen_is_told_too() -> None:
    answers: Iterator[Exception | int] = iter([StoreUnavailable("away"), 0])

    def last() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    topic: Topic[int] = Topic(Feed(lambda *_: [], last), None, Faulty([]), beat_seconds=0.01)

    async def watch() -> int | None:
        with topic.watched() as watcher:
            await watcher.next()
            assert isinstance(watcher.problem, StoreUnavailable)
            await watcher.next()
            return watcher.view

    assert asyncio.run(asyncio.wait_for(watch(), 10)) == 1


def test_a_reader_of_events_that_fails_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.rest.sse._AFTER_ERROR_SECONDS", 0.01)
    reads: list[int] = []

    def read(after: int, job_id: str | None, limit: int) -> Sequence[Event]:
        reads.append(after)
        if len(reads) == 1:
            raise ValueError("a fault of ours")
        return []

    feed = Feed(read, lambda: 0, tick_seconds=0.01)

    async def listen() -> bool:
        async with feed.listening(None) as client:
            client.missed = False
            await client.arrived.wait()
            while len(reads) < 3:
                await asyncio.sleep(0.01)
            return client.missed

    assert asyncio.run(asyncio.wait_for(listen(), 10))

"""Events over REST: pushed to many, resumed without loss or repetition."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.rest import sse
from searchsvc.domain import Event, Job
from searchsvc.service.service import Service

Evaluate = Callable[..., list[str]]
STREAM = {"Accept": "text/event-stream"}


@pytest.fixture
def another_job(service: Service, spec: dict[str, Any]) -> Job:
    return service.jobs.submit({**spec, "name": "another"})[0]


def sequences(text: str) -> list[int]:
    return [int(line[4:]) for line in text.splitlines() if line.startswith("id: ")]


def stored(service: Service, job: Job) -> list[int]:
    return [event.sequence for event in service.events.read(job_id=job.id, limit=100_000)]


def test_a_stream_of_an_ended_job_has_all_its_events_and_ends(
    client: TestClient, service: Service, job: Job, evaluate: Evaluate
) -> None:
    evaluate(job, 300)
    service.jobs.cancel(job.id)
    answer = client.get(f"/api/v1/jobs/{job.id}/events", headers=STREAM, params={"until_final": "true"})
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert sequences(answer.text) == stored(service, job)
    assert "retry: " in answer.text
    data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [one["sequence"] for one in data] == stored(service, job)


def test_last_event_id_goes_on_where_a_stream_broke(
    client: TestClient, service: Service, job: Job, evaluate: Evaluate
) -> None:
    evaluate(job, 20)
    service.jobs.cancel(job.id)
    path, query = f"/api/v1/jobs/{job.id}/events", {"until_final": "true"}
    stored_sequences = stored(service, job)
    resumed = client.get(path, headers={**STREAM, "Last-Event-ID": str(stored_sequences[9])}, params=query)
    assert sequences(resumed.text) == stored_sequences[10:]
    after = client.get(path, headers=STREAM, params={**query, "after": stored_sequences[-1]})
    assert sequences(after.text) == []


def quick_feed(service: Service) -> sse.Feed:
    read = lambda after, job, limit: service.events.read(after=after, job_id=job, limit=limit)  # noqa: E731
    return sse.Feed(read, service.events.last_sequence, tick_seconds=0.01)


class Writer(threading.Thread):
    """Appends events to a job, as a driver does, until it is asked to end."""

    def __init__(self, service: Service, job: Job, count: int) -> None:
        super().__init__()
        claimed = service.store.claim_job(job.id, "test", 60.0)
        assert claimed is not None
        self.service, self.job, self.count, self.lease = service, job, count, claimed[1]

    def run(self) -> None:
        writer = self.service.store.writer(self.lease)
        for number in range(self.count):
            writer.event("test.happened", {"number": number})
            if number % 7 == 0:
                writer.flush()
                time.sleep(0.002)
        writer.flush()
        self.service.jobs.cancel(self.job.id)
        self.service.store.release(self.lease)


async def read(feed: sse.Feed, after: int, job_id: str, stop: Callable[[list[int]], bool]) -> list[int]:
    """Return the sequence numbers of a stream until `stop`."""
    seen: list[int] = []
    async for chunk in sse.stream(feed, after, job_id, None):
        seen += sequences(chunk.decode())
        if stop(seen):
            break
    return seen


def test_streams_that_break_and_resume_while_a_writer_appends_see_every_event_once(service: Service, job: Job) -> None:
    feed = quick_feed(service)
    writer = Writer(service, job, 600)

    async def breaking(pieces: int) -> list[int]:
        """Break off after some events, and continue after the last event received."""
        seen = [0]
        while seen[-1] < last:
            seen += await read(feed, seen[-1], job.id, lambda new: len(new) >= pieces or new[-1:] >= [last])
        return seen[1:]

    async def all_at_once() -> list[list[int]]:
        writer.start()
        return await asyncio.wait_for(asyncio.gather(*(breaking(pieces) for pieces in (10_000, 5, 40, 113))), 60)

    last = service.events.last_sequence() + 600
    results = asyncio.run(all_at_once())
    writer.join()
    assert len(service.events.read(job_id=job.id, limit=10_000)) > 600
    expected = [one for one in stored(service, job) if one <= last]
    for seen in results:
        assert [one for one in seen if one <= last] == expected


def test_two_hundred_clients_cost_one_query_per_tick(service: Service, job: Job) -> None:
    reads: list[str | None] = []

    def counted(after: int, job_id: str | None, limit: int) -> list[Event]:
        reads.append(job_id)
        return service.events.read(after=after, job_id=job_id, limit=limit)

    feed = sse.Feed(counted, service.events.last_sequence, tick_seconds=0.02)
    writer = Writer(service, job, 50)
    last = service.events.last_sequence() + 50

    async def listen() -> list[list[int]]:
        clients = [asyncio.create_task(read(feed, 0, job.id, lambda seen: seen[-1:] >= [last])) for _ in range(200)]
        while len(feed.subscribers) < 200 or reads.count(job.id) < 200:
            await asyncio.sleep(0.01)
        reads.clear()
        began = time.monotonic()
        writer.start()
        seen = await asyncio.wait_for(asyncio.gather(*clients), 30)
        assert len(reads) <= (time.monotonic() - began) / 0.02 + 2
        return seen

    seen = asyncio.run(listen())
    writer.join()
    assert all(one == seen[0] for one in seen)
    assert seen[0][-1] >= last
    assert job.id not in reads, "only the shared reader has asked the store"


def test_a_slow_client_falls_back_to_the_store_and_misses_nothing(
    service: Service, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "QUEUE", 20)
    feed = quick_feed(service)
    writer = Writer(service, job, 300)
    longest = 0

    async def slowly() -> list[int]:
        nonlocal longest
        seen: list[int] = []
        stream = sse.stream(feed, 0, job.id, lambda: service.jobs.get(job.id).state.is_final)
        async for chunk in stream:
            new = sequences(chunk.decode())
            if new and not seen:  # from now on, the client reads nothing until all is written
                writer.start()
                await asyncio.to_thread(writer.join)
                [client] = feed.subscribers
                while not client.missed:
                    longest = max(longest, len(client.waiting))
                    await asyncio.sleep(0.01)
                longest = max(longest, len(client.waiting))
            seen += new
            if seen and seen[-1] >= last:
                break
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        return seen

    last = service.events.last_sequence() + 300
    seen = asyncio.run(asyncio.wait_for(slowly(), 60))
    assert seen == [one for one in stored(service, job) if one <= seen[-1]]
    assert longest <= 20


def test_a_listener_of_a_job_gets_no_event_of_another_job(service: Service, job: Job, another_job: Job) -> None:
    feed = quick_feed(service)
    writers = [Writer(service, job, 200), Writer(service, another_job, 200)]
    start = service.events.last_sequence()

    async def everything(job_id: str | None, streams: asyncio.Barrier) -> list[int]:
        """Read live until the jobs have ended."""
        seen: list[int] = []
        over = lambda: all(service.jobs.get(one.id).state.is_final for one in (job, another_job))  # noqa: E731
        async for chunk in sse.stream(feed, start, job_id, over):
            if not seen and chunk.startswith(b"retry"):
                await streams.wait()
            seen += sequences(chunk.decode())
        return seen

    async def listen() -> list[list[int]]:
        streams = asyncio.Barrier(4)
        tasks = [asyncio.create_task(everything(one, streams)) for one in (job.id, another_job.id, None)]
        await streams.wait()
        for writer in writers:
            writer.start()
        return await asyncio.wait_for(asyncio.gather(*tasks), 60)

    seen = asyncio.run(listen())
    for writer in writers:
        writer.join()
    ours, theirs = ([one for one in stored(service, of) if one > start] for of in (job, another_job))
    assert min(len(ours), len(theirs)) > 200
    assert seen == [ours, theirs, sorted(ours + theirs)]


class StepwiseWriter:
    """Appends an event at a time to a job that it has claimed."""

    def __init__(self, service: Service, job: Job) -> None:
        claimed = service.store.claim_job(job.id, "test", 60.0)
        assert claimed is not None
        self._writer = service.store.writer(claimed[1])

    def append(self) -> None:
        self._writer.event("test.happened", {})
        self._writer.flush()


async def next_events(stream: sse.Chunks) -> list[int]:
    """Return the next sequence numbers of a stream."""
    seen: list[int] = []
    while not seen:
        seen = sequences((await anext(stream)).decode())
    return seen


def test_events_that_were_sent_live_are_not_sent_again_from_the_store(service: Service, job: Job) -> None:
    feed, writer = quick_feed(service), StepwiseWriter(service, job)

    async def listen() -> list[int]:
        stream = sse.stream(feed, service.events.last_sequence(), job.id, None)
        seen: list[int] = []
        for turn in range(4):
            if turn == 3:  # as if the queue had overflowed
                [subscriber] = feed.subscribers
                subscriber.missed = True
            writer.append()
            seen += await next_events(stream)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        return seen

    assert asyncio.run(asyncio.wait_for(listen(), 60)) == stored(service, job)[-4:]


def test_the_end_of_a_job_is_looked_up_only_when_it_may_have_come(service: Service, job: Job) -> None:
    feed, writer = quick_feed(service), StepwiseWriter(service, job)
    looks = 0

    def is_over() -> bool:
        nonlocal looks
        looks += 1
        return service.jobs.get(job.id).state.is_final

    async def listen() -> list[int]:
        stream = sse.stream(feed, service.events.last_sequence(), job.id, is_over)
        counts = []
        for _ in range(5):
            writer.append()
            await next_events(stream)
            counts.append(looks)
        service.jobs.pause(job.id)
        await next_events(stream)  # job.pausing
        writer.append()
        await next_events(stream)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        return [*counts, looks]

    first, *others, last = asyncio.run(asyncio.wait_for(listen(), 60))
    assert first <= 1  # after what was stored already
    assert set(others) <= {1}
    assert last == 2


def test_after_an_unexpected_error_of_the_reader_nothing_is_missing(
    service: Service, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event is stored while the reader fails, and the reader continues behind it."""
    monkeypatch.setattr(sse, "_AFTER_ERROR_SECONDS", 0.0)
    writer = StepwiseWriter(service, job)
    caught_up, failed = threading.Event(), threading.Event()

    def failing(after: int, job_id: str | None, limit: int) -> list[Event]:
        if job_id is not None:
            events = service.events.read(after=after, job_id=job_id, limit=limit)
            caught_up.set()
            return events
        if caught_up.is_set() and not failed.is_set():
            writer.append()
            failed.set()
            raise ValueError("a row that cannot be read")
        return []

    feed = sse.Feed(failing, service.events.last_sequence, tick_seconds=0.01)

    async def listen() -> list[int]:
        stream = sse.stream(feed, service.events.last_sequence(), job.id, None)
        seen = await next_events(stream)
        await stream.aclose()  # type: ignore[attr-defined] # it is a generator
        return seen

    assert asyncio.run(asyncio.wait_for(listen(), 60)) == stored(service, job)[-1:]


def test_the_reader_rests_when_nobody_listens(service: Service, job: Job) -> None:
    reads = 0

    def counted(after: int, job_id: str | None, limit: int) -> list[Event]:
        nonlocal reads
        reads += 1
        return service.events.read(after=after, job_id=job_id, limit=limit)

    feed = sse.Feed(counted, service.events.last_sequence, tick_seconds=0.01)

    async def come_and_go() -> None:
        await read(feed, 0, job.id, bool)
        while any(task.get_name() == "event reader" for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)
        before = reads
        assert not feed.subscribers
        assert await read(feed, 0, job.id, bool) == stored(service, job)
        assert reads > before

    asyncio.run(come_and_go())


def test_an_idle_stream_is_pinged(service: Service, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "PING_SECONDS", 0.05)
    feed = quick_feed(service)

    async def first_ping() -> bytes:
        async for chunk in sse.stream(feed, service.events.last_sequence(), job.id, None):
            if chunk.startswith(b":"):
                return chunk
        return b""

    assert asyncio.run(asyncio.wait_for(first_ping(), 10)) == b": ping\n\n"


def test_latest_means_only_what_is_still_to_come(client: TestClient, job: Job) -> None:
    assert client.get("/api/v1/events", params={"after": "latest"}).json()["items"] == []
    page = client.get("/api/v1/events").json()
    assert [one["kind"] for one in page["items"]] == ["job.submitted"]

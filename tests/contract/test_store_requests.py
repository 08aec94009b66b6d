"""Requests with an idempotency key, on both databases and from several processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from alembic import command
from sqlalchemy import insert, select

from searchsvc.domain import Token, Verdict, new_id
from searchsvc.errors import Conflict, RequestUnderWay
from searchsvc.store import Store, schema
from searchsvc.store.access.requests import RETENTION_SECONDS, RecordedAnswer, RequestKey, Reservation
from searchsvc.store.database import Database
from searchsvc.store.tables import idempotency, verdicts
from tests.support.jobs import Clock, a_claimed_job, a_spec

DONE = RecordedAnswer(201, {"content-type": "application/json", "location": "/jobs/1"}, b'{"id": "1"}')
HELD_SECONDS = 30.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1e9)


@pytest.fixture
def stores(database_url: str, clock: Clock) -> Iterator[tuple[Store, Store]]:
    """The stores of two processes on one database."""
    pair = Store.open(database_url, clock=clock), Store.open(database_url, clock=clock)
    yield pair
    for store in pair:
        store.close()


def a_token(name: str = "ci", created_at: float = 0.0) -> Token:
    return Token(new_id(), name, "submit", created_at, None, None, None)


def reserved(store: Store, request: RequestKey) -> Reservation:
    begun = store.begin_request(request, HELD_SECONDS)
    assert isinstance(begun, Reservation)
    return begun


def test_a_repeated_request_gets_the_recorded_answer_from_any_process(stores: tuple[Store, Store]) -> None:
    first, second = stores
    request = RequestKey(a_token(), "k", "hash")
    first.finish_request(reserved(first, request), DONE)
    assert first.begin_request(request, HELD_SECONDS) == DONE
    assert second.begin_request(request, HELD_SECONDS) == DONE
    with pytest.raises(Conflict, match="another request"):
        second.begin_request(RequestKey(request.owner, "k", "other"), HELD_SECONDS)


def test_tokens_of_one_name_share_nothing(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    store.finish_request(reserved(store, RequestKey(a_token("ci"), "k", "hash")), DONE)
    assert isinstance(store.begin_request(RequestKey(a_token("ci"), "k", "other"), HELD_SECONDS), Reservation)


def test_a_request_under_way_is_not_carried_out_again(stores: tuple[Store, Store], clock: Clock) -> None:
    first, second = stores
    request = RequestKey(a_token(), "k", "hash")
    reservation = reserved(first, request)
    with pytest.raises(RequestUnderWay) as under_way:
        second.begin_request(request, HELD_SECONDS)
    assert under_way.value.retry_after_seconds == 5.0
    clock.now += HELD_SECONDS - 1
    first.renew_request(reservation, HELD_SECONDS)
    clock.now += HELD_SECONDS - 1
    with pytest.raises(RequestUnderWay):
        second.begin_request(request, HELD_SECONDS)


def test_the_next_try_of_a_process_that_died_has_the_same_id(stores: tuple[Store, Store], clock: Clock) -> None:
    first, second = stores
    request = RequestKey(a_token(), "k", "hash")
    dead = reserved(first, request)
    clock.now += HELD_SECONDS + 1
    again = reserved(second, request)
    assert (again.id, again.holder == dead.holder) == (dead.id, False)
    first.finish_request(dead, RecordedAnswer(500, {}, b"late"))
    first.abandon_request(dead, is_undone=True)
    with pytest.raises(RequestUnderWay):
        first.begin_request(request, HELD_SECONDS)
    second.finish_request(again, DONE)
    assert first.begin_request(request, HELD_SECONDS) == DONE


def test_a_failed_request_may_be_repeated(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    owner = a_token()
    failed = reserved(store, RequestKey(owner, "k", "hash"))
    store.abandon_request(failed, is_undone=False)
    with pytest.raises(Conflict, match="another request"):
        store.begin_request(RequestKey(owner, "k", "corrected"), HELD_SECONDS)
    again = reserved(store, RequestKey(owner, "k", "hash"))
    assert again.id == failed.id, "it may have had its effect"
    store.abandon_request(again, is_undone=True)
    assert reserved(store, RequestKey(owner, "k", "corrected")).id != failed.id


def test_answers_are_kept_for_seven_days(stores: tuple[Store, Store], clock: Clock) -> None:
    store, _ = stores
    request, other = RequestKey(a_token(), "k", "hash"), RequestKey(a_token(), "other", "hash")
    store.finish_request(reserved(store, request), DONE)
    clock.now += RETENTION_SECONDS - 1
    assert store.begin_request(request, HELD_SECONDS) == DONE
    clock.now += 2
    reserved(store, other)
    assert isinstance(store.begin_request(request, HELD_SECONDS), Reservation)


def test_of_many_tries_at_once_one_is_carried_out(stores: tuple[Store, Store]) -> None:
    request, begun = RequestKey(a_token(), "k", "hash"), list[str]()
    start = threading.Barrier(12)

    def begin(store: Store) -> None:
        start.wait(30)
        try:
            begun.append(type(store.begin_request(request, HELD_SECONDS)).__name__)
        except RequestUnderWay:
            begun.append("under way")

    threads = [threading.Thread(target=begin, args=(stores[number % 2],)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(begun) == ["Reservation", *["under way"] * 11]


def test_keys_of_an_earlier_version_lead_to_their_job(
    stores: tuple[Store, Store], database_url: str, clock: Clock
) -> None:
    store, _ = stores
    job, _ = store.create_job(a_spec(), owner="ci")
    row = {"owner": "ci", "key": "k", "request_hash": "?", "job_id": job.id, "created_at": clock.now}
    database = Database(database_url, wait_seconds=5)
    database.write(lambda connection: connection.execute(insert(idempotency), row))
    database.close()
    later, earlier = a_token("ci", created_at=clock.now + 1), a_token("ci", created_at=clock.now - 1)
    assert reserved(store, RequestKey(later, "k", "hash")).id != job.id, "another token of that name"
    assert reserved(store, RequestKey(a_token("cd"), "k", "hash")).id != job.id
    assert reserved(store, RequestKey(earlier, "k", "hash")).id == job.id
    clock.now += RETENTION_SECONDS + 1
    assert reserved(store, RequestKey(earlier, "k", "hash")).id != job.id


def test_raters_of_an_earlier_version_become_their_tokens(store: Store, database_url: str) -> None:
    job, _ = a_claimed_job(store)
    tokens = [a_token(name) for name in ("ann", "ci", "ci")]
    for number, token in enumerate(tokens):
        store.add_token(token, f"hash {number}")
    database = Database(database_url, wait_seconds=5)
    database.write(lambda connection: command.downgrade(schema.alembic_config(connection), "0008"))
    rows = [
        {"job_id": job.id, "rater": rater, "image": 1, "label": 2, "accepted": True, "at": 1.0}
        for rater in ("ann", "ci", "somebody")
    ]
    database.write(lambda connection: connection.execute(insert(verdicts), rows))
    schema.upgrade(database_url)
    assert {verdict.rater for verdict in store.verdicts(job.id)} == {tokens[0].id, "ci", "somebody"}
    store.put_verdict(job.id, Verdict(tokens[1].id, 1, 2, False, 2.0))
    database.write(lambda connection: command.downgrade(schema.alembic_config(connection), "0008"))
    raters = database.read(lambda connection: connection.execute(select(verdicts.c.rater)).scalars().all())
    assert sorted(raters) == sorted(["ann", "ci", "somebody", tokens[1].id])
    schema.upgrade(database_url)
    database.close()

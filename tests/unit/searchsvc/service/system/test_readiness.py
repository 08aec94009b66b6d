"""Readiness: the database is asked seldom, by one thread at a time."""

from __future__ import annotations

import math
import threading

import pytest

from searchsvc.errors import StoreOutdated, StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.readiness import Readiness
from searchsvc.store import Store
from tests.support.jobs import Clock


@pytest.fixture
def asked(service: Service, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The questions to the database."""
    questions: list[str] = []
    monkeypatch.setattr(service.store, "ping", lambda: questions.append("ping"))
    return questions


def test_an_answer_is_valid_for_some_seconds(service: Service, asked: list[str]) -> None:
    clock = Clock()
    readiness = Readiness(service.store, valid_seconds=2.0, clock=clock)
    for _ in range(100):
        readiness.check()
    assert len(asked) == 1
    clock.now += 2.0
    readiness.check()
    assert len(asked) == 2


@pytest.mark.parametrize("kind", [StoreUnavailable, StoreOutdated])
def test_a_bad_answer_is_repeated_and_ends_with_the_next_good_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch, kind: type[StoreUnavailable | StoreOutdated]
) -> None:
    clock, asked = Clock(), []

    def down() -> None:
        asked.append("down")
        raise kind("the reason")

    readiness = Readiness(service.store, valid_seconds=2.0, clock=clock)
    with monkeypatch.context() as patch:
        patch.setattr(service.store, "ping", down)
        for _ in range(3):
            with pytest.raises(kind, match="the reason"):
                readiness.check()
    assert len(asked) == 1
    clock.now += 2.0
    readiness.check()


def test_while_the_database_is_asked_others_get_the_last_answer(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    readiness = Readiness(service.store, valid_seconds=2.0, clock=clock)
    readiness.check()
    clock.now += 2.0
    hangs, answers = threading.Event(), threading.Event()

    def hang() -> None:
        hangs.set()
        assert answers.wait(60)

    monkeypatch.setattr(service.store, "ping", hang)
    thread = threading.Thread(target=readiness.check)
    thread.start()
    assert hangs.wait(60)
    for _ in range(50):
        readiness.check()  # would wait for the thread above, which waits for this thread
    answers.set()
    thread.join(60)
    assert not thread.is_alive()


def test_a_service_whose_connections_are_all_in_use_is_ready_while_the_database_answers(sqlite_url: str) -> None:
    store = Store.open(sqlite_url, connections=1)
    in_use, done = threading.Event(), threading.Event()

    def use(_connection: object) -> None:
        in_use.set()
        assert done.wait(60)

    thread = threading.Thread(target=store._database.read, args=(use,))
    thread.start()
    assert in_use.wait(60)
    store._database._answered_at = math.inf  # just now, however slow this machine is
    Readiness(store).check()
    store._database._answered_at = -math.inf
    with pytest.raises(StoreUnavailable, match="did not answer within 1 s, it is busy"):
        Readiness(store).check()
    done.set()
    thread.join(60)
    Readiness(store).check()
    store.close()

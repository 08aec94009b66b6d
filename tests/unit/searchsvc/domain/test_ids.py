"""Identifiers sort by the time of their creation, within a process in the order of creation."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from searchsvc.domain.ids import is_id, new_id


def test_ids_of_one_moment_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: moment)
    made = [new_id() for _ in range(10_000)]
    assert made == sorted(set(made))


def test_a_clock_that_is_set_back_does_not_reorder_them(monkeypatch: pytest.MonkeyPatch) -> None:
    first = new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert new_id() > first


def test_threads_never_make_the_same_time() -> None:
    made = list[str]()
    threads = [threading.Thread(target=lambda: made.extend(new_id() for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({thread[:18] for thread in made}) == len(made) == 8000


def test_an_id_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert is_id(str(made))
    assert not is_id("latest")

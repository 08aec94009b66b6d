"""Heavy work in child processes: results and errors come back, and no child outlives its use."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import Job
from searchsvc.errors import InvalidInput, NotFound, RuntimeUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system.children import AT_ONCE, CALLS, ChildProcesses
from searchsvc.settings import Settings
from tests.support.system import wait_for


@pytest.fixture
def children(settings: Settings) -> Iterator[ChildProcesses]:
    pool = ChildProcesses(settings)
    yield pool
    pool.close()
    assert pool.pids() == []


@pytest.fixture
def outside(service: Service, children: ChildProcesses) -> Service:
    """The service with its heavy work in child processes."""
    return Service(service.store, service.settings, children=children)


@contextmanager
def a_locked_database(settings: Settings) -> Iterator[None]:
    """Make every write wait."""
    with closing(sqlite3.connect(settings.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


def _write(pool: ChildProcesses) -> None:
    """Call something that writes, in a child."""
    pool.run("plan", "store.revoke_token", "no token")


def _begun(pool: ChildProcesses, executor: ThreadPoolExecutor) -> tuple[Future[None], int]:
    """Begin a call that waits for the database; return it with the process of its child."""
    future = executor.submit(_write, pool)
    [pid] = wait_for(lambda: pool.pids() or None, seconds=30)
    wait_for(lambda: "searchsvc.service.child" in Path(f"/proc/{pid}/cmdline").read_text() or None, seconds=30)
    return future, pid


def test_results_are_those_of_this_process(
    outside: Service, service: Service, document: dict[str, Any], finished_job: Callable[..., Job], tmp_path: Path
) -> None:
    assert outside.jobs.plan(document) == service.jobs.plan(document)
    job, is_new = outside.jobs.submit(document)
    assert is_new
    assert service.jobs.get(job.id) == job
    finished = finished_job(12)
    limits: tuple[()] = ()
    assert outside.recommendations.recommend(finished.id, limits).items
    study = outside.exports.write(finished.id, format="optuna", destination=tmp_path / "study.db")
    assert study.read_bytes().startswith(b"SQLite format 3")


def test_errors_of_the_user_come_back_whole(outside: Service, service: Service, document: dict[str, Any]) -> None:
    document["task"], document["budget"] = "unknown", {"trials": -1}
    faults = []
    for each in (outside, service):
        with pytest.raises(InvalidInput) as refused:
            each.jobs.plan(document)
        faults.append(refused.value.faults)
    assert faults[0] == faults[1] != ()
    with pytest.raises(NotFound, match="no job"):
        outside.exports.write("01890000-0000-7000-8000-000000000000", format="optuna", destination=Path("x"))


def test_a_fault_of_ours_is_logged_with_its_place(children: ChildProcesses) -> None:
    with pytest.raises(RuntimeError, match="AttributeError"):
        children.run("plan", "jobs.no_such_use_case")


def test_a_child_serves_several_calls_and_ends_when_it_is_idle(settings: Settings, service: Service) -> None:
    pool = ChildProcesses(settings, idle_seconds=5.0)
    pids = set()
    for _ in range(3):
        assert pool.run("plan", "access.tokens") == []
        pids |= set(pool.pids())
    [pid] = pids
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or None, seconds=60)  # not even a zombie
    assert pool.pids() == []
    assert pool.run("plan", "access.tokens") == [], "another child takes over"
    pool.close()


def test_a_child_ends_after_a_number_of_calls(children: ChildProcesses, service: Service) -> None:
    first = None
    for _ in range(CALLS):
        children.run("plan", "access.tokens")
        first = first or children.pids()
    children.run("plan", "access.tokens")
    assert children.pids() != first


def test_the_death_of_a_child_is_an_answer(children: ChildProcesses, settings: Settings, service: Service) -> None:
    with a_locked_database(settings), ThreadPoolExecutor(1) as executor:
        future, pid = _begun(children, executor)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(RuntimeUnavailable, match="signal 9") as died:
            future.result(60)
    assert died.value.retry_after_seconds
    assert children.run("plan", "access.tokens") == []


def test_a_call_that_takes_too_long_is_killed(settings: Settings, service: Service) -> None:
    pool = ChildProcesses(settings, longest_seconds=3.0)
    with a_locked_database(settings), pytest.raises(RuntimeUnavailable, match="took longer than 3 s"):
        _write(pool)
    assert pool.pids() == []


def test_each_kind_has_a_few_children_of_its_own(
    children: ChildProcesses, settings: Settings, service: Service
) -> None:
    with ThreadPoolExecutor(8) as executor:
        with a_locked_database(settings):
            slow = [executor.submit(_write, children) for _ in range(2 * AT_ONCE)]
            wait_for(lambda: len(children.pids()) == AT_ONCE or None, seconds=30)
            assert children.run("export", "access.tokens") == [], "another kind is not delayed"
            assert len(children.pids()) == AT_ONCE + 1
            assert not any(call.done() for call in slow)
        errors = [call.exception(60) for call in slow]
    assert [type(error) for error in errors] == [NotFound] * len(slow)
    assert threading.active_count() < 50

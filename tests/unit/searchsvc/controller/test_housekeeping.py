"""Housekeeping: old events and the files of deleted jobs go, everything else stays, and errors harm nobody."""

from __future__ import annotations

import fcntl
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.controller.controller import Controller
from searchsvc.controller.housekeeping import (
    EVERY_SECONDS,
    LARGEST_LOG_BYTES,
    SWEEP_EVERY_SECONDS,
    Housekeeping,
    rotate,
)
from searchsvc.domain import new_id
from searchsvc.errors import StoreUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system import removal
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import Clock, a_spec

DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(sqlite_url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(sqlite_url, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "home", database_url=sqlite_url, event_days=7.0).prepare()


@pytest.fixture
def housekeeping(store: Store, settings: Settings, clock: Clock) -> Housekeeping:
    return Housekeeping(store, settings, clock=clock, monotonic=clock)


def _make_files(settings: Settings, job_id: str) -> list[Path]:
    """Make all files that a job may have."""
    log = settings.job_log(job_id)
    files = [
        settings.trial_dir(job_id, "trial") / "model.safetensors",
        settings.data_dir / "ray" / "tune" / job_id / "state.json",
        log,
        log.with_suffix(".log.1"),
    ]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("content")
    return files


def _deleted_job(store: Store) -> str:
    job_id = store.create_job(a_spec())[0].id
    store.delete_job(job_id)
    return job_id


def test_files_that_a_deletion_left_are_removed_at_the_start(
    store: Store, settings: Settings, housekeeping: Housekeeping
) -> None:
    files = _make_files(settings, _deleted_job(store))
    housekeeping.run()
    assert [file for file in files if file.exists()] == []
    assert list(settings.artifacts_dir.iterdir()) == []


def test_a_folder_that_a_worker_made_again_is_removed_some_hours_later(
    store: Store, settings: Settings, housekeeping: Housekeeping, clock: Clock
) -> None:
    job_id = _deleted_job(store)
    housekeeping.run()
    files = _make_files(settings, job_id)
    clock.now += EVERY_SECONDS
    housekeeping.run()
    assert all(file.exists() for file in files)
    clock.now += SWEEP_EVERY_SECONDS
    housekeeping.run()
    assert not any(file.exists() for file in files)


def test_a_deletion_is_remembered_longer_than_other_events(
    store: Store, settings: Settings, housekeeping: Housekeeping, clock: Clock
) -> None:
    job_id = _deleted_job(store)
    clock.now += 100 * DAY
    housekeeping.run()
    assert [event.kind for event in store.events(after=0)] == ["job.deleted"]
    files = _make_files(settings, job_id)
    clock.now += SWEEP_EVERY_SECONDS
    housekeeping.run()
    assert not any(file.exists() for file in files)


def test_files_of_jobs_and_of_others_stay(
    store: Store, settings: Settings, housekeeping: Housekeeping, caplog: pytest.LogCaptureFixture
) -> None:
    stored = _make_files(settings, store.create_job(a_spec())[0].id)
    of_another_database = _make_files(settings, new_id())
    named_by_the_user = [settings.artifacts_dir / "backup" / "notes.txt", settings.logs_dir / "standby.log"]
    for file in named_by_the_user:
        file.parent.mkdir(exist_ok=True)
        file.write_text("mine")
    with caplog.at_level(logging.WARNING):
        housekeeping.run()
    assert all(file.exists() for file in (*stored, *of_another_database, *named_by_the_user))
    assert "files of 1 jobs that this database never held" in caplog.text


def test_old_events_are_removed_after_the_days_of_the_setting(
    store: Store, housekeeping: Housekeeping, clock: Clock
) -> None:
    store.create_job(a_spec())
    clock.now += 6 * DAY
    recent = store.create_job(a_spec())[0]
    housekeeping.run()
    assert len(store.events(after=0)) == 2
    clock.now += 2 * DAY
    housekeeping.run()
    assert [event.job_id for event in store.events(after=0)] == [recent.id]


def test_without_the_setting_events_are_kept(store: Store, settings: Settings, clock: Clock) -> None:
    kept = Settings(data_dir=settings.data_dir, database_url=settings.database_url)
    store.create_job(a_spec())
    clock.now += 10_000 * DAY
    Housekeeping(store, kept, clock=clock, monotonic=clock).run()
    assert len(store.events(after=0)) == 1


def test_an_error_in_a_task_is_counted_and_the_other_tasks_run(
    store: Store, settings: Settings, housekeeping: Housekeeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _make_files(settings, _deleted_job(store))

    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(store, "forget_events", fail)
    housekeeping.run()
    assert housekeeping.errors == 1
    assert not any(file.exists() for file in files)


def test_a_controller_does_not_wait_for_housekeeping_nor_fail_with_it(
    store: Store, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, goes_on, threads = threading.Event(), threading.Event(), []

    def hang(*_: object, **__: object) -> None:
        threads.append(threading.current_thread())
        hangs.set()
        assert goes_on.wait(60)
        raise RuntimeError("broken")

    monkeypatch.setattr(store, "forget_events", hang)
    controller = Controller(Service(store, settings), standby_command=None, stop_cluster=None)
    for _ in range(3):
        controller.turn()  # would hang
    assert hangs.wait(60)
    controller.turn()
    goes_on.set()
    assert len(threads) == 1
    threads[0].join(60)
    controller.turn()


def test_tasks_run_once_a_minute(store: Store, settings: Settings, clock: Clock) -> None:
    housekeeping, runs = Housekeeping(store, settings, clock=clock, monotonic=clock), []
    housekeeping.run = lambda: runs.append(clock.now)  # type: ignore[method-assign]  # counted instead
    for _ in range(5):
        housekeeping.poke()
        housekeeping.close()
        clock.now += EVERY_SECONDS / 2
    assert len(runs) == 3


def test_a_log_is_rotated_while_a_process_writes_to_it(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    with log.open("ab", buffering=0) as driver:  # as a driver's output is opened
        driver.write(b"first lines\n")
        rotate(log, largest_bytes=100)
        assert log.read_text() == "first lines\n"
        rotate(log, largest_bytes=5)
        driver.write(b"later lines\n")
    assert log.read_text() == "later lines\n"
    assert (tmp_path / "job.log.1").read_text() == "first lines\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.log", "job.log.1"]


def test_two_controllers_do_not_rotate_a_log_at_once(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("first lines\n")
    with log.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        rotate(log, largest_bytes=5)
    assert log.read_text() == "first lines\n"
    rotate(log, largest_bytes=5)
    assert log.read_text() == ""


def test_a_link_in_the_place_of_a_log_is_left_alone(
    settings: Settings, housekeeping: Housekeeping, tmp_path: Path
) -> None:
    target = tmp_path / "precious"
    target.write_bytes(b"x" * (LARGEST_LOG_BYTES + 1))
    link = settings.logs_dir / "job.log"
    link.symlink_to(target)
    housekeeping.run()
    with pytest.raises(OSError, match="symbolic links"):
        rotate(link)
    assert target.stat().st_size == LARGEST_LOG_BYTES + 1
    assert housekeeping.errors == 0


def test_long_logs_are_rotated(settings: Settings, housekeeping: Housekeeping) -> None:
    long, short = settings.logs_dir / "long.log", settings.logs_dir / "short.log"
    long.write_bytes(b"x" * (LARGEST_LOG_BYTES + 1))
    short.write_bytes(b"x" * LARGEST_LOG_BYTES)
    housekeeping.run()
    assert (long.stat().st_size, short.stat().st_size) == (0, LARGEST_LOG_BYTES)
    assert long.with_suffix(".log.1").stat().st_size == LARGEST_LOG_BYTES + 1


def test_what_a_killed_process_left_of_a_deleted_job_is_removed(
    housekeeping: Housekeeping, store: Store, settings: Settings
) -> None:
    job, _ = store.create_job(a_spec())
    files = _make_files(settings, job.id)
    store.delete_job(job.id)
    housekeeping.run()
    assert store.jobs_to_remove() == []
    assert not any(path.exists() for path in files)


def test_an_end_of_the_controller_interrupts_the_removal_of_a_job_after_a_part(
    housekeeping: Housekeeping, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "ROWS_REMOVED_AT_ONCE", 1)
    job, _ = store.create_job(a_spec())
    store.pause_job(job.id)
    store.delete_job(job.id)
    housekeeping.close()
    removal.remove_deleted(store, housekeeping._settings, housekeeping._stop.wait)
    assert store.jobs_to_remove() == [job.id]

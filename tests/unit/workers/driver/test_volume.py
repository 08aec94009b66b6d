"""No trial starts while the artifacts volume cannot be written; nothing else changes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from workers.driver import volume
from workers.driver.volume import LONGEST_PAUSE_SECONDS, PROBE_SECONDS, ArtifactsVolume

MESSAGE = "Traceback ...\nOSError: [Errno 28] No space left on device"


class Disk:
    """A file system whose state the test sets, and the volume on it, whose probes run when the test says so."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.errors: list[int] = []
        """Numbers of the errors of the next writes; then writes succeed."""
        self.free = 2**40
        self.slept: list[float] = []
        self.reasons: list[str | None] = []
        """Reasons while the volume waited."""
        self._probes: list[Callable[[], None]] = []
        self.volume = ArtifactsVolume(folder, run=self._probes.append, sleep=self._sleep)
        write = Path.write_bytes

        def checked(path: Path, data: bytes) -> int:
            if self.errors:
                raise OSError(number := self.errors.pop(0), os.strerror(number))
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", checked)
        monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=self.free, f_frsize=1))

    def fail(self, trial: str = "trial", node: str = "node", number: int = 0) -> None:
        self.volume.failed(trial, MESSAGE, suspect=(node, number))

    def probe(self) -> None:
        for probe in self._probes:
            probe()
        self._probes.clear()

    @property
    def probes(self) -> int:
        return len(self._probes)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.reasons.append(self.volume.reason)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path / "job", monkeypatch)


def test_trials_wait_from_the_failure_until_a_probe_has_written(disk: Disk, tmp_path: Path) -> None:
    assert disk.volume.reason is None
    disk.fail()
    assert "No space left on device" in str(disk.volume.reason)
    disk.errors, disk.free = [errno.ENOSPC] * 3, 4096
    disk.probe()
    assert disk.volume.reason is None
    assert disk.slept == [0.0, *[PROBE_SECONDS] * 3]
    expected = (
        f"the artifacts volume cannot be written: {tmp_path / 'job'}: No space left on device; 4,096 bytes are free"
    )
    assert disk.reasons[1:] == [expected] * 3
    assert list((tmp_path / "job").iterdir()) == []


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE], ids=os.strerror)
def test_any_error_of_the_volume_is_waited_for(disk: Disk, number: int) -> None:
    disk.fail()
    disk.errors = [number]
    disk.probe()
    assert os.strerror(number) in str(disk.reasons[1])
    assert disk.volume.reason is None


def test_room_for_two_of_the_largest_file_is_waited_for(disk: Disk, tmp_path: Path) -> None:
    checkpoint = tmp_path / "job" / "trial" / "1" / "last.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    os.truncate(checkpoint, 10_000)
    disk.fail()
    disk.free = 19_999
    sleep = disk.volume._sleep

    def freeing(seconds: float) -> None:
        sleep(seconds)
        if seconds:
            disk.free = 20_000

    disk.volume._sleep = freeing
    disk.probe()
    assert disk.reasons[1] == (
        f"the artifacts volume is full: {tmp_path / 'job'} has 19,999 bytes free, and a trial needs 20,000"
    )
    assert disk.volume.reason is None


def test_failures_while_trials_wait_start_no_further_probes(disk: Disk) -> None:
    for number in range(5):
        disk.fail(number=number)
    assert disk.probes == 1


def test_a_node_is_blamed_only_if_the_volume_works_here(disk: Disk) -> None:
    disk.fail(node="a", number=1)
    disk.fail(node="b", number=2)
    disk.errors = [errno.ENOSPC]
    disk.probe()
    assert disk.volume.suspects() == []
    disk.fail(node="a", number=1)
    disk.probe()
    assert disk.volume.suspects() == [("a", 1)]
    assert disk.volume.suspects() == []


def test_pauses_grow_while_trials_fail_on_a_volume_that_works_here(disk: Disk) -> None:
    for _ in range(8):
        disk.fail()
        disk.probe()
    assert disk.slept == [0.0, 3.0, 6.0, 12.0, 24.0, 48.0, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert "trials start again in 60 s" in str(disk.reasons[-1])
    disk.volume.succeeded()
    disk.fail()
    disk.probe()
    assert disk.slept[-1] == 0.0


def test_a_probe_runs_in_its_own_thread_and_leaves_no_file(tmp_path: Path) -> None:
    started: list[Any] = []
    real = volume._in_background

    def run(action: Callable[[], None]) -> None:
        done = volume.threading.Event()
        started.append(done)
        real(lambda: (action(), done.set()))  # type: ignore[func-returns-value]

    writable = ArtifactsVolume(tmp_path, run=run)
    writable.failed("trial", MESSAGE, suspect=(None, 0))
    assert started[0].wait(60.0)
    assert writable.reason is None
    assert list(tmp_path.iterdir()) == []

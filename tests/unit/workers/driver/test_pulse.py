"""The driver's end of the pulse: it outlives its controller, and reports a driver whose heartbeat has ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from searchsvc.controller.pulse import PULSE_VARIABLE, RUNNING, STARTING
from workers.driver import heartbeat as module
from workers.driver.heartbeat import Pulse


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The controller's end of the pipe of the next pulse, which beats without pauses worth mentioning."""
    monkeypatch.setattr(module, "PULSE_SECONDS", 0.001)
    reading, writing = os.pipe()
    monkeypatch.setenv(PULSE_VARIABLE, str(writing))
    yield reading
    for descriptor in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_a_driver_beats_as_starting_until_it_has_started(reading: int) -> None:
    pulse, started = Pulse(), threading.Event()
    pulse.start()
    assert [os.read(reading, 1) for _ in range(3)] == [STARTING] * 3
    pulse.guard(lambda: True, has_started=started.is_set)
    started.set()
    while os.read(reading, 1) == STARTING:
        pass
    assert os.read(reading, 1) == RUNNING
    os.close(reading)
    pulse.join(60)


def test_a_driver_outlives_its_controller(reading: int) -> None:
    pulse = Pulse()
    os.close(reading)
    pulse.start()
    pulse.join(60)
    assert not pulse.is_alive()


def test_a_full_pipe_neither_blocks_nor_ends_the_pulse(reading: int) -> None:
    pulse, looks = Pulse(), threading.Semaphore(0)

    def is_healthy() -> bool:
        looks.release()
        return True

    assert pulse._descriptor is not None
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pulse._descriptor, STARTING * 4096)
    pulse.guard(is_healthy, has_started=lambda: True)
    pulse.start()
    for _ in range(5):
        assert looks.acquire(timeout=60)
    while not os.read(reading, 1 << 16).endswith(RUNNING):
        pass
    os.close(reading)
    pulse.join(60)


def test_a_driver_that_is_not_healthy_falls_silent(reading: int) -> None:
    looks = threading.Semaphore(0)

    def is_healthy() -> bool:
        looks.release()
        return False

    pulse = Pulse()
    pulse.guard(is_healthy, has_started=lambda: False)
    pulse.start()
    for _ in range(5):
        assert looks.acquire(timeout=60)
    os.set_blocking(reading, False)
    with pytest.raises(BlockingIOError):
        os.read(reading, 1)
    pulse.guard(lambda: True, has_started=lambda: False)
    os.set_blocking(reading, True)
    assert os.read(reading, 1) == STARTING
    os.close(reading)
    pulse.join(60)


def test_processes_that_a_driver_starts_do_not_inherit_its_pulse(reading: int) -> None:
    pulse = Pulse()
    assert PULSE_VARIABLE not in os.environ
    assert pulse._descriptor is not None
    assert not os.get_inheritable(pulse._descriptor)
    child = subprocess.run(
        [sys.executable, "-c", "import os, sys; os.fstat(int(sys.argv[1]))", str(pulse._descriptor)],
        capture_output=True,
        close_fds=False,
        check=False,
        text=True,
    )
    assert "Bad file descriptor" in child.stderr


def test_a_driver_without_a_controller_needs_no_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PULSE_VARIABLE, raising=False)
    pulse = Pulse()
    pulse.start()
    pulse.join(60)
    assert not pulse.is_alive()

"""The pulse of a driver: silence counts only while the controller looks, and longer while a driver starts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from searchsvc.controller.pulse import RUNNING, STARTING, Patience, PulseReader

PATIENCE = Patience(starting_seconds=60.0, running_seconds=3.0)


class Pipe:
    """The two ends of a pulse, and the controller's clock."""

    def __init__(self) -> None:
        self.now = 0.0
        reading, self.writing = os.pipe()
        self.reader = PulseReader(reading, lambda: self.now)
        self.reader.is_hung(PATIENCE)

    def hung_after(self, seconds: float) -> bool:
        """Look every half second."""
        hung = False
        for _ in range(round(seconds / 0.5)):
            self.now += 0.5
            hung = self.reader.is_hung(PATIENCE)
        return hung


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.writing)


def test_a_silent_driver_is_hung_after_a_lease(pipe: Pipe) -> None:
    os.write(pipe.writing, RUNNING)
    assert not pipe.hung_after(3.0)  # the first look finds the byte
    assert pipe.hung_after(0.5)
    os.write(pipe.writing, RUNNING)
    assert not pipe.hung_after(0.5)


def test_a_driver_that_starts_may_be_silent_for_longer(pipe: Pipe) -> None:
    assert not pipe.hung_after(59.5)
    os.write(pipe.writing, STARTING)
    assert not pipe.hung_after(60.0)
    assert pipe.hung_after(1.0)


def test_the_last_of_several_bytes_tells_whether_the_driver_runs(pipe: Pipe) -> None:
    os.write(pipe.writing, STARTING + STARTING + RUNNING)
    assert not pipe.hung_after(0.5)
    assert pipe.reader.is_running
    assert pipe.hung_after(3.0)


@pytest.mark.parametrize("suspended_seconds", [3.0, 3600.0])
def test_a_suspended_controller_does_not_hold_its_own_silence_against_a_driver(
    pipe: Pipe, suspended_seconds: float
) -> None:
    os.write(pipe.writing, RUNNING)
    assert not pipe.hung_after(1.0)
    pipe.now += suspended_seconds
    assert not pipe.reader.is_hung(PATIENCE)
    assert pipe.hung_after(3.0)


def test_a_driver_that_closed_its_end_is_silent() -> None:
    pipe = Pipe()
    os.write(pipe.writing, RUNNING)
    os.close(pipe.writing)
    assert not pipe.hung_after(0.5)
    assert pipe.hung_after(3.5)

"""The time that a job uses: only seconds in which a trial could run."""

from __future__ import annotations

from workers.driver.heartbeat import Cause, UsedTime


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_nothing_counts_before_the_first_trial_can_run() -> None:
    clock = Clock()
    used = UsedTime(clock)
    clock.now += 50
    assert used.seconds == 0
    used.begin()
    clock.now += 2
    assert used.seconds == 2


def test_nothing_counts_while_the_job_waits() -> None:
    clock = Clock()
    used = UsedTime(clock)
    used.begin()
    clock.now += 1
    used.wait(Cause.RAY, "waits for Ray")
    clock.now += 1000
    assert (used.seconds, used.reason) == (1, "waits for Ray")
    used.wait(Cause.RAY, None)
    clock.now += 2
    assert (used.seconds, used.reason) == (3, None)


def test_a_job_that_waits_for_two_things_waits_until_both_are_over() -> None:
    clock = Clock()
    used = UsedTime(clock)
    used.begin()
    used.wait(Cause.ROOM, "no GPU")
    used.wait(Cause.RAY, "waits for Ray")
    assert used.reason == "waits for Ray"
    used.wait(Cause.RAY, None)
    clock.now += 5
    assert (used.seconds, used.reason) == (0, "no GPU")
    used.wait(Cause.ROOM, None)
    clock.now += 5
    assert used.seconds == 5


def test_seconds_that_are_stored_are_not_counted_again() -> None:
    clock = Clock()
    used = UsedTime(clock)
    used.begin()
    clock.now += 4
    stored = used.seconds
    clock.now += 1  # storing takes time
    used.deduct(stored)
    assert used.seconds == 1

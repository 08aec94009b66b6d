"""A lease is expired only if a live driver could have renewed it: clocks, stalls and suspended machines do not end one.

Time is that of a fake monotonic clock; a turn is a look at the marks.
"""

from __future__ import annotations

import pytest

from searchsvc.controller.lease_watch import LeaseWatch
from searchsvc.domain import LeaseMark
from searchsvc.errors import StoreUnavailable

LEASE, HEARTBEAT, TURN = 3.0, 0.5, 0.2
DEAD = LeaseMark("job", 1, "mark of a dead driver")


class Scene:
    """A watch over marks that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.marks = [DEAD]
        self.probes = 0
        self.read_seconds = self.probe_seconds = 0.0
        self.outage: Exception | None = None
        self.watch = LeaseWatch(LEASE, HEARTBEAT, read=self.read, probe=self.probe, monotonic=lambda: self.now)

    def read(self) -> list[LeaseMark]:
        self.now += self.read_seconds
        return self.marks

    def probe(self) -> None:
        self.probes += 1
        self.now += self.probe_seconds
        if self.outage is not None:
            raise self.outage

    def turns(self, seconds: float) -> None:
        """Look every TURN for so many seconds."""
        for _ in range(round(seconds / TURN)):
            self.now += TURN
            self.watch.look()


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    made.watch.look()
    return made


def test_a_mark_that_does_not_move_for_a_lease_is_expired(scene: Scene) -> None:
    scene.turns(LEASE - TURN)
    assert scene.watch.expired() == frozenset()
    scene.turns(2 * TURN)
    assert scene.watch.expired() == {DEAD}
    assert scene.watch.expired(2 * LEASE) == frozenset()
    scene.turns(LEASE)
    assert scene.watch.expired(2 * LEASE) == {DEAD}


def test_a_mark_that_moves_is_never_expired_and_others_are_judged_by_themselves(scene: Scene) -> None:
    for beat in range(20):
        scene.marks = [DEAD, LeaseMark("other", 1, f"beat {beat}")]
        scene.turns(HEARTBEAT)
    assert scene.watch.expired() == {DEAD}


def test_a_released_or_new_lease_begins_anew(scene: Scene) -> None:
    scene.turns(LEASE - TURN)
    scene.marks = []
    scene.turns(TURN)
    scene.marks = [DEAD]
    scene.turns(LEASE - TURN)
    assert scene.watch.expired() == frozenset()


@pytest.mark.parametrize("suspended_seconds", [LEASE, 3600.0])
def test_a_suspended_process_or_machine_does_not_make_a_lease_expire(scene: Scene, suspended_seconds: float) -> None:
    scene.turns(HEARTBEAT)
    scene.now += suspended_seconds
    scene.watch.look()
    assert scene.watch.expired() == frozenset()
    scene.turns(LEASE)
    assert scene.watch.expired() == {DEAD}


def test_a_stall_of_the_writer_gives_every_driver_a_whole_lease_afterwards(scene: Scene) -> None:
    scene.turns(LEASE / 2 - TURN)
    scene.probe_seconds = 5.0  # the lock was held for so long
    scene.turns(2 * TURN)
    assert scene.probes == 1
    scene.probe_seconds = 0.0
    scene.turns(LEASE - TURN)
    assert scene.watch.expired() == frozenset()
    scene.turns(2 * TURN)
    assert scene.watch.expired() == {DEAD}


def test_while_writes_fail_nothing_expires(scene: Scene) -> None:
    scene.outage = StoreUnavailable("read-only")
    failures = 0
    for _ in range(100):
        scene.now += TURN
        try:
            scene.watch.look()
        except StoreUnavailable:
            failures += 1
        assert scene.watch.expired() == frozenset()
    assert failures > 1
    scene.outage = None
    scene.turns(LEASE + TURN)
    assert scene.watch.expired() == {DEAD}


def test_a_slow_read_begins_anew(scene: Scene) -> None:
    scene.turns(LEASE - TURN)
    scene.read_seconds = LEASE
    scene.turns(TURN)
    scene.read_seconds = 0.0
    scene.turns(LEASE - TURN)
    assert scene.watch.expired() == frozenset()


def test_writes_are_tried_only_while_a_driver_is_late_and_at_most_once_in_a_heartbeat(scene: Scene) -> None:
    for beat in range(20):
        scene.marks = [LeaseMark("job", 1, f"beat {beat}")]
        scene.turns(HEARTBEAT)
    assert scene.probes == 0
    scene.turns(10.0)
    assert 0 < scene.probes <= 10.0 / HEARTBEAT

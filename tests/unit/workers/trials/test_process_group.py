"""Exchange between two processes of one supernet, and the loss of one of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import psutil
import pytest
import torch

from searchsvc.domain import FailureKind
from searchsvc.errors import TrialFailed
from tests.support import groups
from workers.trials import process_group as module
from workers.trials.process_group import ProcessGroup, Rendezvous, listener_at


@contextmanager
def other_process(end: str) -> Iterator[tuple[ProcessGroup, list[list[float]]]]:
    """Yield rank 0 of a group whose rank 1 is a process, and the tensors of rank 1 after a mean and a `same`."""
    with listener_at(groups.HOST) as listener:
        port = listener.getsockname()[1]
        process = groups.start(port, end)
        group = ProcessGroup(Rendezvous(0, 2, groups.HOST, port), "cpu", groups.HOST, listener)
    try:
        averaged, shared = torch.tensor([0.0, 1.0]), torch.tensor([7.0, 8.0])
        group.mean(averaged)
        group.same(shared)
        assert process.stdout is not None
        theirs = json.loads(process.stdout.readline())
        assert [averaged.tolist(), shared.tolist()] == theirs
        yield group, theirs
    finally:
        process.kill()
        process.communicate()
        group.close()


def failure_of(action: Callable[[], None]) -> TrialFailed:
    """Return the error that a call raises."""
    with pytest.raises(TrialFailed) as caught:
        action()
    return caught.value


def test_a_mean_is_that_of_all_and_the_same_is_that_of_rank_0() -> None:
    with other_process("sleeps") as (_, theirs):
        assert theirs == [[1.0, 3.0], [7.0, 8.0]]
        listening = [one for one in psutil.Process().net_connections() if one.status == psutil.CONN_LISTEN]
        assert {one.laddr.ip for one in listening} == {groups.HOST}  # and on no other interface


@pytest.mark.parametrize("end", ["dies", "leaves"])
def test_a_process_that_is_gone_is_missed_at_once(end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss is noticed long before the silence of a process would count; otherwise the test would time out."""
    monkeypatch.setattr(module, "SILENCE_SECONDS", 3600.0)
    with other_process(end) as (group, _):
        error = failure_of(partial(group.mean, torch.zeros(1000)))
    assert error.kind is FailureKind.LOST
    assert str(error).startswith("rank 0 of 2 has lost another process of its supernet: ")


def test_a_process_that_says_nothing_is_missed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SILENCE_SECONDS", 2.0)
    with other_process("sleeps") as (group, _):
        error = failure_of(partial(group.mean, torch.zeros(1000)))
    assert error.kind is FailureKind.LOST
    assert "2000ms" in str(error)  # it waited so long


def test_a_process_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "JOIN_SECONDS", 1.0)
    with listener_at(groups.HOST) as listener:
        place = Rendezvous(0, 2, groups.HOST, listener.getsockname()[1])
        error = failure_of(lambda: ProcessGroup(place, "cpu", groups.HOST, listener).close())
    assert error.kind is FailureKind.LOST

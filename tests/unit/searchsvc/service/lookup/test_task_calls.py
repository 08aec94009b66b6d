"""Errors of a task's code, which may be a plug-in, reach the user as faults that name the task."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from searchsvc import tasks
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.service.service import Service
from tests.support.tasks import NoOp

Document = dict[str, Any]


class Broken(NoOp):
    """Fails when it inspects a dataset, by a mistake of its own."""

    name = "broken"

    def inspect(self, dataset: Any, seed: int) -> Any:  # noqa: ARG002 - the protocol names it
        return dataset["a key that nobody wrote"]


def a_job(task: str) -> Document:
    return {
        "name": "a job",
        "task": task,
        "dataset": {"name": "nothing"},
        "space": {"parameters": [{"type": "float", "name": "x", "low": 0, "high": 1}]},
        "objectives": [{"metric": "score"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 1},
    }


def offer(monkeypatch: pytest.MonkeyPatch, **places: str) -> None:
    entries = [EntryPoint(name, place, tasks.GROUP) for name, place in places.items()]
    monkeypatch.setattr(tasks, "entry_points", lambda **_: entries)


def test_a_task_that_fails_in_inspect_is_invalid_input(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "find", lambda _: Broken())
    with pytest.raises(InvalidInput) as refused:
        service.jobs.submit(a_job("broken"), trusted=True)
    message = "the task broken failed in inspect: KeyError: 'a key that nobody wrote'"
    assert [(fault.pointer, fault.message) for fault in refused.value.faults] == [("/dataset", message)]


def test_a_task_that_cannot_be_imported_is_invalid_input(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, lost="no_such_package.tasks:TASK")
    with pytest.raises(InvalidInput) as refused:
        service.jobs.submit(a_job("lost"), trusted=True)
    (fault,) = refused.value.faults
    assert fault.pointer == "/task"
    assert fault.message.startswith(
        "the task 'lost' cannot be imported from no_such_package.tasks:TASK: ModuleNotFound"
    )


def test_a_task_that_cannot_be_imported_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, lost="no_such_package.tasks:TASK", noop="tests.support.tasks:NoOp")
    assert [task.name for task in tasks.all_tasks()] == ["noop"]
    with pytest.raises(NotFound):
        tasks.find("lost")

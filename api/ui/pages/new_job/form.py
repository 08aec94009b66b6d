"""The form of the new-job page: common settings of a spec as fields. A field edits the text of the spec only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.ui.parts.fields import Choice, TextField
from api.ui.parts.widgets import Text, box
from searchsvc import tasks
from searchsvc.algorithms import ALGORITHMS
from searchsvc.domain import Metric
from searchsvc.errors import InvalidInput
from searchsvc.service.documents.documents import load_document
from searchsvc.service.documents.yaml_text import Path
from searchsvc.service.service import Service
from searchsvc.spaces.catalogue import SPACES

Edit = Callable[[Sequence[tuple[Path, Any]]], Awaitable[None]]
"""Function that takes paths and their new values; None removes a path."""

_COSTS = ("flops", "params", "latency")


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """Options that the fields offer for a task."""

    metrics: tuple[Metric, ...]
    datasets: tuple[str, ...]
    spaces: tuple[str, ...]


def task_options(service: Service) -> Mapping[str, TaskOptions]:
    """Return the options by task. Loads the tasks."""
    datasets = service.catalogue.datasets()
    return {
        task.name: TaskOptions(
            task.metrics,
            tuple(one.name for one in datasets if one.task == task.name),
            tuple(one.name for one in SPACES.values() if one.task == task.name),
        )
        for task in tasks.all_tasks()
    }


class Form:
    """Fields for the document in the editor."""

    def __init__(self, offered: Mapping[str, TaskOptions], edit: Edit) -> None:
        self._offered, self._edit = offered, edit
        self._document: Mapping[str, Any] = {}
        with box("form") as self.element:
            self._name = TextField("Name", self._setter("name"))
            self._task = Choice("Task", self._pick_task, list(offered))
            self._dataset = Choice("Dataset", lambda name: self._pick_dataset(name, self._part("dataset").get("path")))
            self._path = TextField("Path of the dataset's files", lambda path: self._pick_dataset(None, path or None))
            self._space = Choice("Space", lambda name: edit([(["space"], {"name": name})]))
            self._algorithm = Choice("Algorithm", lambda name: edit([(["algorithm"], {"name": name})]), [*ALGORITHMS])
            self._objective = Choice("First objective", self._pick_objective)
            self._epochs = TextField("Epochs per trial", self._setter("fidelity", "epochs"), inputmode="numeric")
            self._trials = TextField("Maximum trials", self._setter("budget", "trials"), inputmode="numeric")
            self._seconds = TextField("Maximum seconds", self._setter("budget", "seconds"), inputmode="decimal")
        self._limits = _Limits(edit)

    def show(self, document: Mapping[str, Any] | None) -> None:
        """Show the document in the fields. None: the text cannot be parsed, so the fields are disabled."""
        self.element.classes(remove="unreadable") if document is not None else self.element.classes(add="unreadable")
        if document is None:
            return
        self._document = document
        offered = self._offered.get(str(document.get("task")))
        if offered is not None:
            self._dataset.offer(offered.datasets)
            self._space.offer(offered.spaces)
            self._objective.offer([one.name for one in offered.metrics])
        dataset, objectives = self._part("dataset"), document.get("objectives")
        first = objectives[0] if isinstance(objectives, list) and objectives else {}
        self._name.show(document.get("name"))
        self._task.show(document.get("task"))
        self._dataset.show(dataset.get("format", dataset.get("name")))
        self._path.show(dataset.get("path"))
        space = self._part("space")
        self._space.show("custom parameters" if "parameters" in space else space.get("name"))
        self._algorithm.show(self._part("algorithm").get("name"))
        self._objective.show(first.get("metric") if isinstance(first, Mapping) else None)
        self._epochs.show(self._part("fidelity").get("epochs"))
        self._trials.show(self._part("budget").get("trials"))
        self._seconds.show(self._part("budget").get("seconds"))
        self._limits.show(document.get("constraints"), [one.name for one in offered.metrics] if offered else [])

    def _part(self, name: str) -> Mapping[str, Any]:
        part = self._document.get(name)
        return part if isinstance(part, Mapping) else {}

    def _setter(self, *path: str) -> Callable[[str], Awaitable[None]]:
        return lambda given: self._edit([(path, value_of(given))])

    def _pick_task(self, name: str) -> Awaitable[None]:
        """Select a task; dataset, space and objective belong to a task and are replaced."""
        offered = self._offered[name]
        objective = {"metric": offered.metrics[0].name, "goal": offered.metrics[0].goal}
        return self._edit(
            [
                (["task"], name),
                (["dataset"], {"name": offered.datasets[0]}),
                (["space"], {"name": offered.spaces[0]}),
                (["objectives"], [objective]),
            ]
        )

    def _pick_dataset(self, name: str | None, path: str | None) -> Awaitable[None]:
        dataset = self._part("dataset")
        name = name or dataset.get("format", dataset.get("name"))
        return self._edit([(["dataset"], {"format": name, "path": path} if path else {"name": name})])

    def _pick_objective(self, metric: str) -> Awaitable[None]:
        goals = {one.name: one.goal for offered in self._offered.values() for one in offered.metrics}
        objective = {"metric": metric, "goal": goals.get(metric, "maximize")}
        objectives = self._document.get("objectives")
        whole = not isinstance(objectives, list) or not objectives
        return self._edit([(["objectives"], [objective]) if whole else (["objectives", 0], objective)])


class _Limits:
    """The constraints, a line each. Lines are kept while their number is the same: a reader may be editing a line."""

    def __init__(self, edit: Edit) -> None:
        self._edit = edit
        self._lines: list[_Limit] = []
        with box("stack limits"):
            Text("h3", "Limits", "small")
            self._holder = box("stack")
            add = Text("button", "Add a limit", "plain")
        add.props["type"] = "button"
        add.on("click", self._add)

    def show(self, constraints: object, metrics: Sequence[str]) -> None:
        limits = [one for one in constraints if isinstance(one, Mapping)] if isinstance(constraints, list) else []
        if len(limits) != len(self._lines):
            self._holder.clear()
            with self._holder:
                self._lines = [_Limit(place, self._edit) for place in range(len(limits))]
        for line, limit in zip(self._lines, limits, strict=True):
            line.show(limit, list(dict.fromkeys([*_COSTS, *metrics])))

    def _add(self) -> Awaitable[None]:
        return self._edit([(["constraints", len(self._lines)], {"metric": "flops", "max": 1e6})])


class _Limit:
    """A constraint."""

    def __init__(self, place: int, edit: Edit) -> None:
        def change(key: str) -> Callable[[str], Awaitable[None]]:
            return lambda given: edit([(["constraints", place, key], value_of(given))])

        with box("limit"):
            self._metric = Choice("Metric", change("metric"))
            self._least = TextField("At least", change("min"), inputmode="decimal")
            self._most = TextField("At most", change("max"), inputmode="decimal")
            remove = Text("button", "Remove", "plain")
        remove.props["type"], remove.props["aria-label"] = "button", f"Remove limit {place + 1}"
        remove.on("click", lambda: edit([(["constraints", place], None)]))

    def show(self, limit: Mapping[str, Any], metrics: Sequence[str]) -> None:
        self._metric.offer(metrics)
        self._metric.show(limit.get("metric"))
        self._least.show(limit.get("min"))
        self._most.show(limit.get("max"))


def value_of(entry: str) -> Any:
    """Parse the text of a field as YAML, for example into a number. Return None if it is empty."""
    try:
        return load_document(entry) if entry.strip() else None
    except InvalidInput:
        return entry

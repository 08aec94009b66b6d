"""docs/tasks.md describes every member of a task, and its template is a task that installs and trains."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml

from searchsvc import tasks
from searchsvc.domain import DatasetInfo, Decision, JobSpec, Measurement, Outcome, TrialState, TrialTask, task
from searchsvc.domain.spec import Fidelity
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from tests.architecture.install import install
from workers.trials.run_trial import run_trial

PAGE = (Path(__file__).parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
PROTOCOLS = [
    item
    for item in vars(task).values()
    if inspect.isclass(item) and Protocol in item.__mro__ and item.__module__ == task.__name__
]
RECORDS = (DatasetInfo, TrialTask)


def block(language: str) -> str:
    match = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert match
    return match[1]


def described(name: str) -> set[str]:
    """Return the members in the table below a heading."""
    section = re.search(rf"^#+ {name}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"no section {name}"
    cells = re.findall(r"^\| (`.*?`) \|", section[1], re.MULTILINE)
    return {member for cell in cells for member in re.findall(r"`([^`]+)`", cell)}


def members(protocol: type) -> set[str]:
    """Return the members that a protocol adds, methods with the names of their arguments."""
    methods = {name: member for name, member in vars(protocol).items() if inspect.isfunction(member) and name[0] != "_"}
    signatures = {
        f"{name}({', '.join(list(inspect.signature(method).parameters)[1:])})" for name, method in methods.items()
    }
    return signatures | set(inspect.get_annotations(protocol))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_every_member_of_a_protocol_is_described(protocol: type) -> None:
    assert described(protocol.__name__) == members(protocol)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_of_a_record_is_described(record: Any) -> None:
    properties = {name for name, member in vars(record).items() if isinstance(member, property)}
    assert described(record.__name__) == {field.name for field in fields(record)} | properties


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[task.Task]:
    """The task of the template, installed."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "searchsvc_line.py").write_text(block("python"), encoding="utf-8")
    install(package, block("toml"))
    monkeypatch.syspath_prepend(package)
    yield tasks.find("line")
    sys.modules.pop("searchsvc_line", None)


@pytest.fixture
def trial(tmp_path: Path) -> TrialTask:
    spec = JobSpec.parse({**SPEC, "fidelity": Fidelity(epochs=5).model_dump()})
    return TrialTask.of(spec, trial_id="t", number=0, values={"lr": 0.5}, directory=str(tmp_path / "trial"))


SPEC: dict[str, Any] = {
    "name": "line",
    "task": "line",
    "dataset": {"name": "points"},
    "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.01, "high": 1.0}]},
    "objectives": [{"metric": "error", "goal": "minimize"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 1},
}


def trained(trial: TrialTask, stop_after: int = 0) -> tuple[Outcome, list[Measurement]]:
    measurements: list[Measurement] = []

    def report(measurement: Measurement) -> Decision:
        measurements.append(measurement)
        return Decision.STOP if len(measurements) == stop_after else Decision.CONTINUE

    return run_trial(trial, report), measurements


def test_the_template_trains_tests_and_exports_a_trial(line: task.Task, trial: TrialTask, tmp_path: Path) -> None:
    outcome, measurements = trained(trial)
    assert outcome.state is TrialState.SUCCEEDED, outcome.message
    assert [made.name for made in outcome.files] == ["model.safetensors"]
    errors = [measurement.metrics["error"] for measurement in measurements]
    assert errors == sorted(errors, reverse=True)
    assert line.test(trial)["error"] < errors[0]
    line.export("line", trial, tmp_path / "line.json")
    assert len(json.loads((tmp_path / "line.json").read_text())) == 2


def test_the_template_continues_after_a_kill_with_the_same_measurements(line: task.Task, trial: TrialTask) -> None:
    Path(trial.directory).mkdir()
    killed = line.train(trial)
    before = [next(killed), next(killed)]
    killed.close()
    _, after = trained(trial)
    metrics = [measurement.metrics for measurement in (*before, *after)]
    (Path(trial.directory) / "last.pt").unlink(missing_ok=True)
    assert metrics == [measurement.metrics for measurement in trained(trial)[1]]


def test_a_spec_of_the_page_resolves(line: task.Task, tmp_path: Path) -> None:
    blueprint = resolve(
        JobSpec.parse(yaml.safe_load(block("yaml"))), trusted=True, settings=Settings(data_dir=tmp_path)
    )
    assert blueprint.task is line

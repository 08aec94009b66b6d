"""Names and values as the field writes them, in every place: `null`, `opt/lr`, `λ`, `ap/traffic light`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api import text
from api.cli.commands.recommend import constraints
from api.cli.main import app as searchctl
from api.cli.specs import read_spec
from api.rest.app import create_app
from api.ui.charts import parameters as charts
from api.ui.charts.candidates import RankedCandidate
from searchsvc.domain import Job, Measurement, Proposal, new_id
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.spaces import Categorical, Space
from searchsvc.store import Store
from tests.support.jobs import DONE, a_claimed_job

CHOICES = (None, True, 1, "1", "null", 0.5)
METRIC, LIMITED = "ap/[/x] = 犬", "ap/traffic light"
PARAMETERS = [
    {"type": "categorical", "name": "opt/lr [red]", "choices": list(CHOICES)},
    {"type": "float", "name": "λ", "low": 0.1, "high": 1.0, "log": True},
    {"type": "integer", "name": "model.depth", "low": 1, "high": 9, "when": {"opt/lr [red]": None}},
    {"type": "float", "name": "<b>&amp; learning rate", "low": 0.0, "high": 1.0, "step": 0.1},
]
TRIALS = 16


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Service]:
    settings = Settings(data_dir=tmp_path_factory.mktemp("names")).prepare()
    (settings.data_dir / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    store = Store.open(settings.database_url)
    yield Service(store, settings)
    store.close()


@pytest.fixture(scope="module")
def job(service: Service) -> Job:
    """A job whose names and values are odd, with a result per trial."""
    objectives = [{"metric": METRIC}, {"metric": LIMITED, "goal": "minimize"}]
    limits = [{"metric": LIMITED, "max": 0.9}]
    store = service.store
    job, lease = a_claimed_job(store, space={"parameters": PARAMETERS}, objectives=objectives, constraints=limits)
    space = Space(job.spec.space.parameters)  # type: ignore[union-attr]  # it is an inline space
    matrix = space.sample(TRIALS, np.random.default_rng(0))
    matrix[:, 0] = np.arange(TRIALS) % len(CHOICES)  # every choice occurs
    matrix[:, 2] = np.where(matrix[:, 0] == 0, 3, np.nan)
    writer = store.writer(lease)
    for number, candidate in enumerate(space.from_matrix(matrix)):
        trial = new_id()
        writer.add_trials([(trial, number, Proposal(candidate=candidate, asks=number + 1, told=0))])
        writer.start_attempt(trial, 1, "node", 1, 0.0)
        measured = Measurement(1, {METRIC: number / TRIALS, LIMITED: 0.5 + number / 100}, 0.5)
        writer.measure(trial, measured, measured)
        writer.finish(trial, 1, DONE, number)
    writer.flush()
    return job


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    token = service.access.create("tests", scope=Scope.ADMIN)[1]
    app = create_app(service, settings=service.settings)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(app, base_url="http://127.0.0.1:8700", headers=headers) as client:
        yield client


def test_rest_returns_values_with_their_types(client: TestClient, job: Job) -> None:
    trials = client.get(f"/api/v1/jobs/{job.id}/trials", params={"page_size": TRIALS}).json()["items"]
    values = [trial["values"]["opt/lr [red]"] for trial in trials]
    assert list(map(repr, values[: len(CHOICES)])) == list(map(repr, CHOICES))
    assert all(
        ("model.depth" in trial["values"]) == (value is None) for trial, value in zip(trials, values, strict=True)
    )
    best = client.get(f"/api/v1/jobs/{job.id}/trials", params={"order": "best"}).json()["items"]
    assert best[0]["metrics"][METRIC] == (TRIALS - 1) / TRIALS


def test_rest_computes_the_importance_of_parameters_for_a_metric(client: TestClient, job: Job) -> None:
    answer = client.get(f"/api/v1/jobs/{job.id}/importance", params={"metric": METRIC})
    assert answer.status_code == 200, answer.text


def test_rest_compares_trials_that_differ_in_types_only(client: TestClient, job: Job) -> None:
    answer = client.get("/api/v1/trials:compare", params={"trials": [f"{job.id}/1", f"{job.id}/2"]})
    assert answer.json()["parameters"]["opt/lr [red]"] == [True, 1], answer.text
    assert "opt/lr [red]" in answer.json()["differing"]


def test_csv_tells_null_from_a_parameter_that_is_not_active(service: Service, job: Job, tmp_path: Path) -> None:
    path = service.exports.write(job.id, format="csv", destination=tmp_path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["parameter.opt/lr [red]"] for row in rows[:3]] == ["null", "True", "1"]
    assert [row["parameter.model.depth"] for row in rows[:2]] == ["3", ""]
    assert float(rows[3][f"metric.{METRIC}"]) == 3 / TRIALS


def test_a_study_of_optuna_has_the_same_values(service: Service, job: Job, tmp_path: Path) -> None:
    path = service.exports.write(job.id, format="optuna", destination=tmp_path)
    study = optuna.load_study(study_name=job.name, storage=f"sqlite:///{path}")
    values = [trial.params["opt/lr [red]"] for trial in study.trials]
    assert list(map(repr, values[: len(CHOICES)])) == list(map(repr, CHOICES))


@pytest.mark.parametrize(
    "command",
    [
        ["show", "JOB"],
        ["trials", "JOB", "--values"],
        ["best", "JOB"],
        ["pareto", "JOB"],
        ["compare", "JOB/0", "JOB/1", "--all"],
    ],
    ids=" ".join,
)
def test_commands_show_names_as_they_are(
    command: list[str], service: Service, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHSVC_DATA_DIR", str(service.settings.data_dir))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("SEARCHSVC_URL", raising=False)
    answer = CliRunner().invoke(searchctl, [part.replace("JOB", job.id) for part in command])
    assert answer.exit_code == 0, answer.output
    assert METRIC in answer.output
    if command[0] == "trials":
        assert "opt/lr [red]=null" in answer.output


def test_charts_have_a_place_for_every_choice(job: Job) -> None:
    space = Space(job.spec.space.parameters)  # type: ignore[union-attr]  # it is an inline space
    candidates = [
        RankedCandidate(number, {"opt/lr [red]": value, "λ": 0.5}, float(number), number / 10)
        for number, value in enumerate(CHOICES)
    ]
    choice, number = space.parameters[0], space.parameters[1]
    labels = text.labels(CHOICES)
    assert len(set(labels)) == len(CHOICES)
    options: dict[str, Any] = charts.slice_of(candidates, choice, METRIC)
    assert sorted(point[0] for point in options["series"][0]["data"]) == sorted(labels)
    drawn = charts.parallel(candidates, space.parameters, METRIC)
    assert all(line["value"][0] in labels for line in drawn["series"][0]["data"])
    charts.rank(candidates, choice, number, METRIC)
    charts.contour(candidates, choice, number, METRIC, minimised=False)


def test_limits_and_settings_take_names_with_signs_and_dots(tmp_path: Path) -> None:
    assert constraints([f"{METRIC}=0.5"], []) == [{"metric": METRIC, "max": 0.5}]
    path = tmp_path / "spec.yaml"
    path.write_text("space: {name: x}\n", encoding="utf-8")
    document = read_spec(str(path), ["/space/fix/model.depth=3", "/space/fix/opt~1lr=null"])
    assert document["space"]["fix"] == {"model.depth": 3, "opt/lr": None}


def test_a_label_is_written_as_json_if_it_would_repeat() -> None:
    assert text.labels(["a", None, 0.1]) == ["a", "null", "0.1"]
    assert text.labels([1, "1", True, "true"]) == ["1", '"1"', "true", '"true"']
    assert Categorical("x", (None, "null")).choices == (None, "null")

"""Exports, opened with the libraries that they are meant for."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from searchsvc.domain import ExportFormat, Job, TrialTask
from searchsvc.errors import Conflict, InvalidInput, NotFound
from searchsvc.service.documents.documents import load_document
from searchsvc.service.service import Service
from searchsvc.spaces import catalogue
from tests.support.statements import statements

Finished = Callable[..., Job]


def _study(path: Path, name: str = "digits") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


def test_optuna_opens_the_study_and_finds_the_same_best(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    study = _study(service.exports.write(job.id, format="optuna", destination=tmp_path / "study.db"))
    best = service.results.best(job.id, 1)[0]
    assert study.best_trial.number == best.number
    assert study.best_trial.params == dict(best.values)
    assert study.best_trial.value == pytest.approx(best.metrics["accuracy"] if best.metrics else None)
    assert study.best_trial.intermediate_values == pytest.approx({1: 0.611, 2: 0.612})
    assert study.metric_names == ["accuracy"]
    states = [trial.state.name for trial in study.trials]
    assert (states.count("COMPLETE"), states.count("PRUNED"), states.count("FAIL")) == (9, 1, 2)
    assert all(trial.system_attrs["constraints"][0] <= 0 for trial in study.trials)


def test_optuna_goes_on_with_the_study_and_draws_its_plots(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    study = _study(service.exports.write(job.id, format="optuna", destination=tmp_path))
    assert optuna.importance.get_param_importances(study)
    distributions = study.best_trial.distributions
    kernel = catalogue.find("mbconv-small").space["kernel"]
    assert distributions["kernel"] == optuna.distributions.CategoricalDistribution(kernel.choices)
    study.sampler = optuna.samplers.TPESampler(seed=0, n_startup_trials=2)
    study.tell(study.ask(distributions), 0.9)
    assert study.best_value == 0.9


def test_open_trials_are_enqueued_in_the_study(service: Service, finished_job: Finished, tmp_path: Path) -> None:
    job = finished_job(12)
    service.jobs.retry(job.id)
    study = _study(service.exports.write(job.id, format="optuna", destination=tmp_path / "study.db"))
    [waiting, _] = study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    suggested = study.ask(study.best_trial.distributions)
    assert suggested.number == waiting.number == 4
    assert dict(service.trials.get(f"{job.id}/4").values).items() <= suggested.params.items()


def test_a_thousand_trials_become_a_study_in_as_many_statements_as_a_hundred(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    counts = []
    for trials in (100, 1000):
        job = finished_job(trials, name=f"of-{trials}", fidelity={"epochs": 1}, constraints=[])
        with statements() as sent:
            path = service.exports.write(job.id, format="optuna", destination=tmp_path / f"{trials}.db")
        counts.append(len(sent))
        assert len(_study(path, job.name).trials) == trials
    assert counts[1] <= counts[0] + 20


def test_csv_holds_the_trials_that_are_kept(service: Service, finished_job: Finished, tmp_path: Path) -> None:
    path = service.exports.write(
        finished_job(12).id, format="csv", destination=tmp_path, keep=lambda one: one.number % 5 == 1
    )
    with path.open() as file:
        assert [row["number"] for row in csv.DictReader(file)] == ["1", "6", "11"]


def test_csv_has_a_row_per_trial_and_a_column_per_parameter_and_metric(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    path = service.exports.write(job.id, format="csv", destination=tmp_path)
    assert path == tmp_path / "digits.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    trials = service.store.all_trials(job.id)
    assert [row["number"] for row in rows] == [str(number) for number in range(12)]
    assert [float(row["parameter.lr"]) for row in rows] == [trial.values["lr"] for trial in trials]
    assert float(rows[0]["metric.accuracy"]) == pytest.approx(0.502)
    assert (rows[4]["state"], rows[4]["failure"]) == ("FAILED", "DIVERGED")
    assert rows[0]["started_at"] == "1970-01-01T00:16:40.000Z"


def test_the_spec_of_a_trial_proposes_exactly_its_candidate(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    path = service.exports.write(job.id, format="spec", destination=tmp_path / "again.yaml", trial="3")
    plan = service.jobs.plan(load_document(path.read_text()))
    assert plan.space_size == 1
    assert plan.candidates[0].candidate == service.trials.get(f"{job.id}/3").proposal.candidate
    assert (plan.spec.name, plan.spec.budget.trials) == ("digits-trial-3", 1)


def test_the_spec_of_an_inline_space_can_be_submitted_again(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    parameters: list[dict[str, Any]] = [
        {"type": "float", "name": "lr", "low": 1e-3, "high": 0.1, "log": True},
        {"type": "categorical", "name": "optimizer", "choices": ["sgd", "adamw"]},
        {"type": "float", "name": "momentum", "low": 0.5, "high": 0.9, "when": {"optimizer": "sgd"}},
    ]
    job = finished_job(4, space={"parameters": parameters}, constraints=[])
    path = service.exports.write(job.id, format="spec", destination=tmp_path / "again.yaml")
    plan = service.jobs.plan(load_document(path.read_text()))
    assert plan.candidates[0].candidate == service.results.best(job.id, 1)[0].proposal.candidate


def test_weights_are_those_of_the_best_or_of_the_given_trial(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(12)
    best = service.exports.write(job.id, format="weights", destination=tmp_path / "best.safetensors")
    named = service.exports.write(
        job.id, format="weights", destination=tmp_path / "three.safetensors", trial=f"{job.id}/3"
    )
    assert (best.read_bytes(), named.read_bytes()) == (b"weights of trial 11", b"weights of trial 3")


def test_damaged_weights_are_not_exported_and_what_is_there_stays(
    service: Service, finished_job: Finished, tmp_path: Path
) -> None:
    job = finished_job(2)
    trial = service.trials.get(f"{job.id}/1")
    (service.settings.trial_dir(job.id, trial.id) / "model.safetensors").write_bytes(b"weights of trial X")
    target = tmp_path / "model.safetensors"
    target.write_bytes(b"before")
    with pytest.raises(Conflict, match="is damaged"):
        service.exports.write(job.id, format="weights", destination=target)
    assert [(path.name, path.read_bytes()) for path in tmp_path.glob("*model*")] == [("model.safetensors", b"before")]


class _RecordingTask:
    """A task whose export writes its arguments."""

    exports: Mapping[str, ExportFormat] = {"note": ExportFormat("a note", ".txt")}

    def export(self, format: str, task: TrialTask, destination: Path) -> None:  # noqa: A002 - the seam's
        files = {path.name: path.read_text() for path in Path(task.directory).iterdir()}
        arguments = json.dumps({"files": files, "seed": task.seed, "values": dict(task.values)})
        destination.write_text(f"{format}\n{arguments}\n")


def test_a_format_of_the_task_is_written_by_the_task_as_it_was_trained(
    service: Service, finished_job: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished_job(6, space={"name": "fbnetv3-small"}, constraints=[])
    monkeypatch.setattr("searchsvc.tasks.find", lambda _: _RecordingTask())
    path = service.exports.write(job.id, format="note", destination=tmp_path, trial="3")
    assert path == tmp_path / "digits.txt"
    name, arguments = path.read_text().splitlines()
    trial = service.trials.get(f"{job.id}/3")
    folder = service.settings.trial_dir(job.id, trial.id)
    values = {**trial.values, **catalogue.find("fbnetv3-small").constants}
    assert values["network"] == "fbnetv3-small"
    assert name == "note"
    assert json.loads(arguments) == {"files": {"model.safetensors": "weights of trial 3"}, "seed": 3, "values": values}
    (folder / "model.safetensors").write_bytes(b"weights of trial X")
    with pytest.raises(Conflict, match="is damaged"):
        service.exports.write(job.id, format="note", destination=tmp_path, trial="3")
    with pytest.raises(NotFound, match="has no weights"):
        service.exports.write(job.id, format="note", destination=tmp_path, trial="4")


def test_a_format_of_the_task_needs_only_the_weights(
    service: Service, finished_job: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished_job(2)
    monkeypatch.setattr("searchsvc.tasks.find", lambda _: _RecordingTask())
    [model] = service.trials.artifacts(f"{job.id}/1")
    gone = replace(model, name="predictions.npz", path=f"{model.path}.gone")
    monkeypatch.setattr(service.store, "artifacts", lambda _: [model, gone])
    note = service.exports.write(job.id, format="note", destination=tmp_path, trial="1").read_text()
    assert json.loads(note.splitlines()[1])["files"] == {"model.safetensors": "weights of trial 1"}


def test_what_every_job_has_is_exported_without_its_task(
    service: Service, finished_job: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = finished_job(2)
    monkeypatch.setattr("searchsvc.tasks.entry_points", lambda **_: [])
    assert service.exports.write(job.id, format="csv", destination=tmp_path).exists()
    with pytest.raises(InvalidInput, match="no format 'onnx'; there are weights, spec, csv, optuna"):
        service.exports.write(job.id, format="onnx", destination=tmp_path)


def test_what_cannot_be_exported_is_said(service: Service, finished_job: Finished, tmp_path: Path) -> None:
    job = finished_job(6)
    with pytest.raises(NotFound, match="has no weights"):
        service.exports.write(job.id, format="weights", destination=tmp_path, trial="4")
    with pytest.raises(InvalidInput, match="/format"):
        service.exports.write(job.id, format="pickle", destination=tmp_path)
    with pytest.raises(InvalidInput, match="/trial"):
        service.exports.write(job.id, format="csv", destination=tmp_path, trial="1")
    with pytest.raises(InvalidInput, match="/destination"):
        service.exports.write(job.id, format="csv", destination=Path("/proc/nothing/x.csv"))


def test_a_job_without_results_has_no_best_to_export(
    service: Service, document: dict[str, Any], tmp_path: Path
) -> None:
    job, _ = service.jobs.submit(document)
    with pytest.raises(Conflict, match="no finished trial"):
        service.exports.write(job.id, format="weights", destination=tmp_path)

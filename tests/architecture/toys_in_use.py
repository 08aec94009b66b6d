"""Run in a copy of the tree with all toys: print each toy as users meet it, in JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.cli.main import app as searchctl
from api.cli.server import web_app
from searchsvc.domain import Job, Measurement, Outcome, TrialTask, new_id
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, make_stopping_rule
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store
from workers.trials.run_trial import run_trial

ADDRESS = "http://127.0.0.1"
SPEC: dict[str, Any] = {
    "name": "all-toys",
    "task": "classification",
    "dataset": {"format": "toy", "path": "images.npy"},
    "space": {"name": "toy", "fix": {"class_loss": "toy"}},
    "objectives": [{"metric": "toy_error", "goal": "minimize"}],
    "algorithm": {"name": "toy", "power": 3.0},
    "stopping": {"name": "toy-rule", "margin": 0.5},
    "fidelity": {"epochs": 2},
    "budget": {"trials": 1},
}
OF_TASK: dict[str, Any] = {
    "name": "toy-task",
    "task": "toy",
    "dataset": {"name": "points"},
    "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.1, "high": 1.0}]},
    "objectives": [{"metric": "error", "goal": "minimize"}],
    "algorithm": {"name": "random"},
    "fidelity": {"epochs": 3},
    "budget": {"trials": 1},
}


class Toys:
    """A service with two jobs, one for the toy task and one that uses all other toys."""

    def __init__(self, folder: Path) -> None:
        levels = np.arange(60) % 2 * 200
        np.save(folder / "images.npy", np.zeros((60, 8, 8), np.uint8) + levels[:, None, None].astype(np.uint8))
        self.folder = folder
        self.settings = Settings(data_dir=folder / "data", data_roots=(folder,)).prepare()
        self.service = Service(Store.create(self.settings.database_url), self.settings)

    def run(self, document: dict[str, Any]) -> tuple[Job, list[Measurement], Outcome]:
        """Submit a job and train its only trial."""
        job, _ = self.service.jobs.submit(document)
        blueprint = resolve(job.spec, trusted=True, settings=self.settings)
        [proposal] = make_proposer(blueprint).propose(1)
        claimed = self.service.store.claim_job(job.id, "test", 60.0)
        assert claimed is not None
        writer, trial = self.service.store.writer(claimed[1]), new_id()
        writer.add_trials([(trial, 0, proposal)])
        writer.start_attempt(trial, 1, None, None, 0.0)
        folder = self.settings.trial_dir(job.id, trial)
        measurements, outcome = trained(blueprint, folder, dict(proposal.candidate.values))
        for measurement in measurements:
            writer.measure(trial, measurement, measurement)
        writer.finish(trial, 1, outcome, 0)
        writer.flush()
        self.service.store.release(claimed[1])
        return job, measurements, outcome

    def searchctl(self, *arguments: str) -> Any:
        """Return the document that a command prints."""
        command = [*arguments, "--json"]
        result = CliRunner(env={"SEARCHSVC_DATA_DIR": str(self.settings.data_dir)}).invoke(searchctl, command)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def get(self, *paths: str) -> list[str]:
        """Return answers of REST, and pages."""
        app, _ = web_app(self.service)
        _, secret = self.service.access.create("test", scope=Scope.ADMIN)
        headers, cookies = {"Authorization": f"Bearer {secret}"}, {"searchsvc_http": secret}
        with TestClient(app, base_url=ADDRESS, headers=headers, cookies=cookies) as client:
            answers = [client.get(path) for path in paths]
        assert {answer.status_code for answer in answers} == {200}
        return [answer.text for answer in answers]


def trained(blueprint: Blueprint, directory: Path, values: dict[str, Any]) -> tuple[list[Measurement], Outcome]:
    """Train a candidate, with the stopping rule of its job."""
    measurements, rule = [], make_stopping_rule(blueprint)

    def report(measurement: Measurement) -> Any:
        measurements.append(measurement)
        return rule.report(0, measurement)

    whole = {**blueprint.constants, **values}
    task = TrialTask.of(blueprint.spec, trial_id="toy", number=0, values=whole, directory=str(directory))
    return measurements, run_trial(task, report)


def names(entries: list[dict[str, Any]], name: str = "toy") -> bool:
    """Return whether a list of searchctl has an entry of that name."""
    return name in [entry["name"] for entry in entries]


def main(folder: Path) -> None:
    toys = Toys(folder)
    job, measurements, outcome = toys.run(SPEC)
    _, of_task, outcome_of_task = toys.run(OF_TASK)
    methods, tasks = toys.searchctl("algorithms"), {entry["name"]: entry for entry in toys.searchctl("tasks")}
    exported = toys.searchctl("export", job.id, "--format", "toy", "--output", str(folder / "classes.txt"))
    space, page = toys.get("/api/v1/spaces/detector-small", f"/ui/jobs/{job.id}")
    last = measurements[-1].metrics
    json.dump(
        {
            "algorithm": names(methods["algorithms"]) and job.spec.algorithm.options == {"power": 3.0},
            "stopping rule": names(methods["stopping_rules"], "toy-rule"),
            "space": names(toys.searchctl("spaces")),
            "dataset format": names(toys.searchctl("datasets")),
            "metric": names(tasks["classification"]["metrics"], "toy_error")
            and last["toy_error"] == 1 - last["accuracy"],
            "loss": job.spec.document()["space"]["fix"],
            "neck": next(one["choices"] for one in json.loads(space)["parameters"] if one["name"] == "neck"),
            "trial": [outcome.state, len(measurements)],
            "task": [outcome_of_task.state, len(of_task)],
            "export": Path(exported["path"]).read_text(),
            "command": toys.searchctl("toy"),
            "panel": "Number of trials" in page,
        },
        sys.stdout,
    )
    toys.service.store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

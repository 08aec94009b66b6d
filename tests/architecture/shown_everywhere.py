"""Run in a copy of the tree that stores an additional field of trials: print how REST, searchctl and others show it."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient
from typer.testing import CliRunner

from api.cli.main import app as searchctl
from api.rest.app import create_app
from api.ui.tables.rows import trial_row
from api.ui.tables.trial_columns import trial_columns
from searchsvc.domain import Candidate, Job, Measurement, Outcome, Proposal, TrialState, new_id
from searchsvc.service.exports import optuna_study, table
from searchsvc.service.exports.source import Source
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store

SPEC = {
    "name": "one-more-field",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.01, "high": 1.0}]},
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "random"},
    "budget": {"trials": 1},
}


def main(field: str, folder: Path) -> None:
    settings = Settings(data_dir=folder).prepare()
    service = Service(Store.create(settings.database_url), settings)
    job, _ = service.jobs.submit(SPEC)
    run_one_trial(service.store, job)
    (trial,) = service.store.all_trials(job.id)
    source = Source(service.store, settings.artifacts_dir, job, None)
    shown = {
        "domain": getattr(trial, field),
        "rest": rest(service, job)[field],
        "searchctl trials": json.loads(run(settings, "trials", job.id, "--json"))[0][field],
        "searchctl show": json.loads(run(settings, "show", job.id, "--trial", "0", "--json"))[field],
        "csv": csv_row(source, folder / "trials.csv")[field],
        "optuna": optuna_attribute(source, folder / "study.db", field),
        "row of the page": trial_row(trial, job.spec, on_front=False)[field],
        "columns of the page": [column["headerName"] for column in trial_columns(job.spec) if column["field"] == field],
    }
    json.dump(shown, sys.stdout)
    service.store.close()


def run_one_trial(store: Store, job: Job) -> None:
    claimed = store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    writer, trial = store.writer(claimed[1]), new_id()
    measured = Measurement(1, {"accuracy": 0.5}, 1.0)
    writer.add_trials([(trial, 0, Proposal(Candidate({"lr": 0.1}), asks=1, told=0))])
    writer.start_attempt(trial, 1, None, None, 0.0)
    writer.measure(trial, measured, measured)
    writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED), 0)
    writer.flush()
    store.release(claimed[1])


def rest(service: Service, job: Job) -> Any:
    app = create_app(service, settings=service.settings)
    client = TestClient(app, base_url="http://127.0.0.1")
    _, secret = service.access.create("test", scope=Scope.READ)
    answer = client.get(f"/api/v1/jobs/{job.id}/trials/0", headers={"Authorization": f"Bearer {secret}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def run(settings: Settings, *arguments: str) -> str:
    result = CliRunner(env={"SEARCHSVC_DATA_DIR": str(settings.data_dir)}).invoke(searchctl, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def csv_row(source: Source, path: Path) -> dict[str, str]:
    table.write(source, path)
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.DictReader(file))


def optuna_attribute(source: Source, path: Path, field: str) -> Any:
    optuna_study.write(source, path)
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT value_json FROM trial_user_attributes WHERE key = ?"
        return json.loads(connection.execute(query, (field,)).fetchone()[0])


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))

"""A service on a fresh SQLite store, a valid job spec, and jobs with results."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from searchsvc.domain import FailureKind, FileMade, Job, JobState, Measurement, Outcome, TrialState, new_id
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store

_DOCUMENT: dict[str, Any] = {
    "name": "digits",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy", "goal": "maximize"}],
    "constraints": [{"metric": "flops", "max": 1e6}],
    "algorithm": {"name": "random"},
    "fidelity": {"epochs": 2},
    "budget": {"trials": 12},
}


@pytest.fixture
def settings(sqlite_url: str, tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "home", database_url=sqlite_url, data_roots=(tmp_path / "data",)).prepare()


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    store = Store.open(settings.database_url)
    yield Service(store, settings, clock=lambda: 1000.0)
    store.close()


@pytest.fixture
def document() -> dict[str, Any]:
    """A valid job spec, to be changed by tests."""
    return copy.deepcopy(_DOCUMENT)


@pytest.fixture
def finished_job(service: Service, document: dict[str, Any]) -> Callable[..., Job]:
    """Create a job with results, of which every fifth trial failed and every seventh was stopped early."""

    def make(trials: int = 12, **changes: Any) -> Job:
        job, _ = service.jobs.submit({**document, "budget": {"trials": trials}, **changes})
        run_job(service, job, trials)
        return service.jobs.get(job.id)

    return make


def run_job(service: Service, job: Job, trials: int) -> None:
    """Store the writes of a driver without training: accuracy of step s of trial n is 0.5 + 0.01 n + 0.001 s."""
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    lease = claimed[1]
    service.store.heartbeat(lease, 60.0, seconds=60.0, gpu_seconds=0.0)
    writer = service.store.writer(lease)
    proposals = make_proposer(resolve(job.spec, trusted=True, settings=service.settings)).propose(trials)
    for number, proposal in enumerate(proposals):
        trial_id = new_id()
        writer.add_trials([(trial_id, number, proposal)])
        writer.start_attempt(trial_id, 1, "node", 1, 1000.0)
        for step in (1, 2):
            accuracy = 0.5 + 0.01 * number + 0.001 * step
            metrics = {"accuracy": accuracy, "loss": 1 - accuracy, "train_loss": 1.0}
            measurement = Measurement(step, metrics, seconds=float(step))
            writer.measure(trial_id, measurement, measurement)
        writer.finish(trial_id, 1, _outcome(service, job.id, trial_id, number), told=number)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()


def _outcome(service: Service, job_id: str, trial_id: str, number: int) -> Outcome:
    if number % 5 == 4:
        return Outcome(TrialState.FAILED, FailureKind.DIVERGED, "the loss became NaN")
    if number % 7 == 6:
        return Outcome(TrialState.STOPPED, message="worse than the others")
    folder = service.settings.trial_dir(job_id, trial_id)
    folder.mkdir(parents=True)
    content = f"weights of trial {number}".encode()
    (folder / "model.safetensors").write_bytes(content)
    made = FileMade("model.safetensors", len(content), hashlib.sha256(content).hexdigest())
    return Outcome(TrialState.SUCCEEDED, files=(made,))

"""A job of classifiers, then a job of detectors that starts from it by its id: trained, but without Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from searchsvc.domain import Decision, Job, JobState, Measurement, Trial, TrialTask, new_id
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.detection import SMALLEST, pets
from workers.trials.run_trial import run_trial


@pytest.fixture
def service(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    settings = Settings(data_dir=tmp_path / "home", database_url=sqlite_url).prepare()
    store = Store.open(sqlite_url)
    yield Service(store, settings)
    store.close()


def trained(service: Service, document: dict[str, Any]) -> tuple[Job, list[Trial]]:
    """Submit a job and do the work of a driver and its workers."""
    job, _ = service.jobs.submit(document, trusted=True)
    claimed = service.store.claim_job(job.id, "test", 600.0)
    assert claimed is not None
    writer = service.store.writer(claimed[1])
    blueprint = resolve(job.spec, trusted=True, settings=service.settings, store=service.store)
    budget = job.spec.budget.trials
    for number, proposal in enumerate(make_proposer(blueprint).propose(budget, budget=budget)):
        trial = new_id()
        writer.add_trials([(trial, number, proposal)])
        writer.start_attempt(trial, 1, "node", 1, 0.0)
        task = TrialTask.of(
            job.spec,
            trial_id=trial,
            number=number,
            values={**blueprint.constants, **proposal.candidate.values},
            directory=str(service.settings.trial_dir(job.id, trial)),
            pretrained=blueprint.pretrained,
        )

        def stored(measurement: Measurement, trial: str = trial) -> Decision:
            writer.measure(trial, measurement, measurement)
            return Decision.CONTINUE

        writer.finish(trial, 1, run_trial(task, stored), told=number)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()
    return job, service.store.all_trials(job.id)


def test_a_detector_starts_from_the_best_trial_of_a_job_of_classifiers(service: Service, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "noise.npz", x_train=images, y_train=np.arange(40) % 2)

    def space(fixed: dict[str, Any], **choices: list[Any]) -> dict[str, Any]:
        parameters = [{"type": "categorical", "name": name, "choices": some} for name, some in choices.items()]
        return {"parameters": parameters, "fix": fixed}

    first = {
        "name": "classifiers",
        "task": "classification",
        "dataset": {"format": "npz", "path": str(tmp_path / "noise.npz")},
        "space": space({"batch_size": 16}, network=["fbnetv3-small"], lr=[0.001, 0.01]),
        "objectives": [{"metric": "loss", "goal": "minimize"}],
        "algorithm": {"name": "random"},
        "fidelity": {"epochs": 1},
        "budget": {"trials": 2},
    }
    fixed = {name: value for name, value in SMALLEST.items() if name != "network"}
    second = {
        **first,
        "name": "detectors",
        "task": "detection",
        "dataset": pets(tmp_path / "pets"),
        "space": space(
            {**fixed, "backbone": "fbnetv3-small", "frozen_stages": 1, "layer_decay": 0.7}, network=["detector-small"]
        ),
        "objectives": [{"metric": "ap"}],
        "budget": {"trials": 1},
    }
    classifiers, _ = trained(service, first)
    detectors, [trial] = trained(service, {**second, "pretrained": {"job": classifiers.id}})
    assert trial.metrics is not None, trial
    assert trial.metrics["pretrained_share"] == 1.0
    assert "pretrained.json" in {one.name for one in service.trials.artifacts(trial.id)}
    best = service.results.best(classifiers.id, 1)[0]
    expected, loaded = (
        load_file(service.settings.trial_dir(job.id, one.id) / "model.safetensors")
        for job, one in ((classifiers, best), (detectors, trial))
    )
    assert torch.equal(loaded["neck.backbones.0.stem.0.weight"], expected["stem.0.weight"])
    assert not torch.equal(loaded["neck.backbones.0.blocks.4.conv_pw.weight"], expected["blocks.4.conv_pw.weight"])

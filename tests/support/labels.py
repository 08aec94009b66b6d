"""Jobs whose trials have stored predictions for the validation images of digits, without any training."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchsvc.domain import (
    Candidate,
    FileMade,
    Job,
    JobState,
    Measurement,
    Outcome,
    Proposal,
    TrialState,
    ValidationSplit,
    new_id,
)
from searchsvc.labels import Predictions
from searchsvc.service.labels.predictions import validation_of
from searchsvc.service.service import Service


def predictions_of(
    images: ValidationSplit, answers: NDArray[np.integer], *, labels: NDArray[np.integer] | None = None
) -> Predictions:
    """Return predictions with confident answers (n,), followed by all other classes in order."""
    count = len(images.classes)
    others = np.arange(count - 1) + (np.arange(count - 1) >= answers[:, None])
    classes = np.concatenate([answers[:, None], others], axis=1)
    shares = np.broadcast_to(np.array([0.9, *[0.1 / (count - 1)] * (count - 1)], np.float16), classes.shape)
    return Predictions(classes, shares, images.labels if labels is None else labels)


def a_labelled_job(service: Service, document: Mapping[str, Any], answers: Sequence[NDArray[np.integer]]) -> Job:
    """Return a finished job on digits with a trial per row of answers to its validation images."""
    job, _ = service.jobs.submit({**document, "budget": {"trials": len(answers)}})
    images = validation_of(job)
    claimed = service.store.claim_job(job.id, "test", 60.0)
    assert claimed is not None
    writer = service.store.writer(claimed[1])
    for number, row in enumerate(answers):
        trial, predictions = new_id(), predictions_of(images, row)
        folder = service.settings.trial_dir(job.id, trial)
        folder.mkdir(parents=True)
        (folder / "predictions.npz").write_bytes(content := predictions.content())
        measured = Measurement(1, {"accuracy": predictions.accuracy, "loss": 1 - predictions.accuracy}, 1.0)
        proposal = Proposal(Candidate({"lr": (number + 1) / 100}), asks=number + 1, told=0, costs={"flops": 1e5})
        writer.add_trials([(trial, number, proposal)])
        writer.start_attempt(trial, 1, "node", 1, job.created_at)
        writer.measure(trial, measured, measured)
        made = FileMade("predictions.npz", len(content), hashlib.sha256(content).hexdigest())
        writer.finish(trial, 1, Outcome(TrialState.SUCCEEDED, files=(made,)), number)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()
    return service.jobs.get(job.id)

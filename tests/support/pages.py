"""Jobs for pages, as drivers leave them in a store: results, failures, rounds and running trials."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from searchsvc.domain import (
    Candidate,
    FailureKind,
    FileMade,
    Job,
    JobState,
    Lease,
    Measurement,
    Outcome,
    Proposal,
    TrialState,
    new_id,
)
from searchsvc.service.lookup import checks
from searchsvc.service.service import Service
from searchsvc.store import JobWriter

TTL_SECONDS = 3600.0
EPOCHS = 8
SPEC: Mapping[str, Any] = {
    "name": "digits-small",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {"name": "mbconv-small"},
    "objectives": [{"metric": "accuracy"}, {"metric": "flops", "goal": "minimize"}],
    "constraints": [{"metric": "flops", "max": 5e5}],
    "algorithm": {"name": "tpe"},
    "stopping": {"name": "asha", "reduction": 3, "min_epochs": 2},
    "fidelity": {"epochs": EPOCHS},
    "budget": {"trials": 48, "seconds": 900.0},
}


class Running:
    """A running job, and the operations of its driver."""

    def __init__(self, service: Service, **changes: Any) -> None:
        self.service = service
        job, _ = service.jobs.submit({**SPEC, **changes})
        claimed = service.store.claim_job(job.id, "driver", TTL_SECONDS)
        assert claimed is not None
        self.id: str = job.id
        self.space = checks.space_of(job.spec, None)
        self.lease: Lease = claimed[1]
        self.writer: JobWriter = service.store.writer(self.lease)
        self.trials: list[str] = []

    @property
    def job(self) -> Job:
        return self.service.jobs.get(self.id)

    def propose(self, candidate: Candidate | None = None, **costs: float) -> int:
        """Add a trial that waits, and return its number."""
        number = len(self.trials)
        drawn = self.space.sample(1, np.random.default_rng(number))
        flops = costs.get("flops", 1e5 * (1 + (number * 7) % 11))
        proposal = Proposal(
            candidate or self.space.from_matrix(drawn)[0],
            asks=number + 1,
            told=0,
            costs={"flops": flops, "params": flops / 40},
            rejected={"flops": number % 3} if number % 3 else {},
        )
        self.trials.append(new_id())
        self.writer.add_trials([(self.trials[number], number, proposal)])
        return number

    def start(self, number: int) -> None:
        self.writer.start_attempt(self.trials[number], 1, "a3f1 10.0.0.7", 4200 + number, time.time())

    def measure(self, number: int, step: int, accuracy: float) -> None:
        measured = Measurement(step, {"accuracy": accuracy, "loss": 1.2 - accuracy}, 1.5 * step)
        self.writer.measure(self.trials[number], measured, measured)

    def end(self, number: int, outcome: Outcome = Outcome(TrialState.SUCCEEDED)) -> None:  # noqa: B008
        self.writer.finish(self.trials[number], 1, outcome, number)

    def flush(self) -> None:
        self.writer.flush()

    def beat(self, seconds: float) -> None:
        """Record time of the driver."""
        self.service.store.heartbeat(self.lease, TTL_SECONDS, seconds=seconds, gpu_seconds=0.0)

    def finish(self) -> None:
        self.writer.finish_job(JobState.SUCCEEDED)
        self.writer.flush()


def a_search(service: Service, trials: int = 24, *, seed: int = 0, **changes: Any) -> Running:
    """Create a running job with `trials` ended trials, some stopped early and one failed; two more run and wait."""
    running, random = Running(service, **changes), np.random.default_rng(seed)
    for _ in range(trials):
        number = running.propose()
        running.start(number)
        if number == 5:
            running.end(number, Outcome(TrialState.FAILED, FailureKind.DIVERGED, "loss is nan at step 3"))
            continue
        top = 0.75 + 0.2 * (1 - math.exp(-number / 12)) + 0.03 * float(random.standard_normal())
        stopped = number > 3 and number % 3 == 0
        for step in range(1, (2 if stopped else EPOCHS) + 1):
            running.measure(number, step, min(0.995, top * (1 - 0.6 * math.exp(-step / 2))))
        message = "asha: below the best third at epoch 2" if stopped else None
        state = TrialState.STOPPED if stopped else TrialState.SUCCEEDED
        files = () if stopped else (FileMade("model.safetensors", 123_456, "0f" * 32),)
        running.end(number, Outcome(state, None, message, files=files))
    for step in range(1, 4):
        if step == 1:
            at_work = running.propose()
            running.start(at_work)
        running.measure(at_work, step, 0.4 + 0.12 * step)
    running.propose()
    running.flush()
    running.beat(0.9 * trials)
    return running


def record_rounds(running: Running, count: int = 6) -> None:
    """Add rounds of an algorithm that reports the quality of its predictions."""
    for number in range(count):
        rho = 0.4 + 0.08 * number
        interval = {"rank_correlation": rho, "low": rho - 0.2, "high": min(1.0, rho + 0.15)}
        predictions = [[0.8 + 0.01 * one, 0.79 + 0.012 * one] for one in range(8)]
        quality = {"accuracy": {"results": 8, **interval, "predictions": predictions}} if number else {}
        running.writer.record_round(number, {"results": 8 * (number + 1), "early_stop_epoch": 3, "quality": quality})
    running.flush()

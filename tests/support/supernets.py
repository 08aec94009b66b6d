"""Jobs with a supernet in the state in which a driver leaves them in a store, without any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchsvc.algorithms.autohas import finalists
from searchsvc.domain import Candidate, Job, JobSpec, Measurement, Proposal, SharedSearch, TrialKind, new_id
from searchsvc.service.lookup import checks, supernets
from searchsvc.spaces import Space
from searchsvc.store import JobWriter, Store
from tests.support.jobs import DONE, TTL_SECONDS
from tests.support.tasks import named, searched

SPEC: Mapping[str, Any] = {
    "name": "shared",
    "task": "classification",
    "dataset": {"name": "digits"},
    "space": {
        "parameters": [
            {"type": "integer", "name": "n3", "low": 1, "high": 3},
            {"type": "categorical", "name": "optimizer", "choices": ["sgd", "adamw"]},
            {"type": "float", "name": "lr", "low": 0.001, "high": 0.1, "log": True},
        ]
    },
    "objectives": [{"metric": "accuracy"}],
    "algorithm": {"name": "autohas", "basis_values": 3, "finalists": 2},
    "fidelity": {"epochs": 2},
    "budget": {"trials": 9},
}
STEPS = 4
"""Steps of the supernet: twice the epochs of a trial."""


def a_job_with_a_supernet(store: Store, *, steps: int = STEPS, **changes: Any) -> Job:
    """Return a job whose supernet has measured `steps` steps; after all steps, its finalists have reached 0.5, 0.6, ...
    """
    spec = JobSpec.parse({**SPEC, **changes})
    job, _ = store.create_job(spec)
    claimed = store.claim_job(job.id, "driver", TTL_SECONDS)
    assert claimed is not None
    writer = store.writer(claimed[1])
    measured = _supernet(writer, _search(spec), steps)
    if steps == STEPS:
        space = Space(_search(spec).parameters)
        for place, candidate in enumerate(finalists(space, measured[-1].metrics)):
            accuracy = Measurement(1, {"accuracy": 0.5 + place / 10}, 1.0)
            _trial(writer, 1 + place, Proposal(candidate, asks=2 + place, told=1), [accuracy], ends=True)
    writer.flush()
    return store.job(job.id)


def _search(spec: JobSpec) -> SharedSearch:
    options = supernets.options_of(spec)
    assert options is not None
    return SharedSearch(checks.space_of(spec, None).parameters, (), None, options)


def _supernet(writer: JobWriter, search: SharedSearch, steps: int) -> list[Measurement]:
    measured = [Measurement(step, searched(search, step, STEPS), float(step)) for step in range(1, steps + 1)]
    if steps == STEPS:
        last = {**measured[-1].metrics, **named(search, search.options["finalists"], seed=0)}
        measured[-1] = Measurement(STEPS, last, float(STEPS))
    proposal = Proposal(Candidate({}), asks=1, told=0, kind=TrialKind.SUPERNET)
    _trial(writer, 0, proposal, measured, ends=steps == STEPS)
    return measured


def _trial(writer: JobWriter, number: int, proposal: Proposal, measured: list[Measurement], *, ends: bool) -> None:
    writer.add_trials([(trial_id := new_id(), number, proposal)])
    writer.start_attempt(trial_id, 1, "node", 1, 0.0)
    for measurement in measured:
        writer.measure(trial_id, measurement, measurement)
    if ends:
        writer.finish(trial_id, 1, DONE, number)

"""Recovery of a driver from the store, without Ray."""

from __future__ import annotations

from pathlib import Path

from searchsvc.domain import Candidate, JobSpec, Proposal, new_id
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from searchsvc.store import Store
from workers.driver.recovery import recover

SPEC = JobSpec.parse(
    {
        "name": "replayed",
        "task": "classification",
        "dataset": {"name": "digits"},
        "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.001, "high": 0.3}]},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": "nsga2"},
        "budget": {"trials": 10},
    }
)


def kinds_after_recovery(folder: Path, shift: float) -> list[str]:
    """Return the events of a recovered job whose stored trial differs by `shift` from the algorithm's proposal."""
    store = Store.create(f"sqlite:///{folder}/store.db")
    settings = Settings(data_dir=folder)
    store.create_job(SPEC)
    claimed = store.claim("test", 60.0)
    assert claimed is not None
    job, lease = claimed
    blueprint = resolve(SPEC, trusted=True, settings=settings)
    [proposed] = make_proposer(blueprint).propose(1)
    candidate = Candidate({"lr": proposed.candidate.values["lr"] + shift})
    writer = store.writer(lease)
    writer.add_trials([(new_id(), 0, Proposal(candidate, asks=1, told=0))])
    writer.flush()
    recover(store, writer, job, blueprint)
    kinds = [event.kind for event in store.events(after=0, limit=100)]
    store.close()
    return kinds


def test_a_replay_that_proposes_what_is_stored_says_nothing(tmp_path: Path) -> None:
    kinds = kinds_after_recovery(tmp_path, shift=0.0)
    assert kinds.count("trial.proposed") == 1  # it was read, replayed and compared
    assert "algorithm.diverged" not in kinds


def test_a_replay_that_diverges_goes_on_and_says_so(tmp_path: Path) -> None:
    assert kinds_after_recovery(tmp_path, shift=1e-4).count("algorithm.diverged") == 1

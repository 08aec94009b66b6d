"""Guarantees for a stored job, whatever was killed while it ran."""

from __future__ import annotations

from collections.abc import Iterator

from searchsvc.domain import JobSpec, JobState, Proposal, Trial, TrialState
from searchsvc.service.planning.blueprint import make_proposer
from searchsvc.service.planning.resolve import resolve
from searchsvc.settings import Settings
from searchsvc.store import Store


def assert_nothing_lost_and_nothing_twice(store: Store, job_id: str, *, trials: int, epochs: int) -> None:
    """Assert the delivery guarantee: the budget exactly, each candidate counted once, measurements without gaps."""
    job = store.job(job_id)
    assert job.state is JobState.SUCCEEDED, (job.state, job.reason)
    stored = store.all_trials(job_id)
    assert [trial.number for trial in stored] == list(range(trials))
    assert {trial.state for trial in stored} == {TrialState.SUCCEEDED}
    assert len({trial.proposal.candidate.key for trial in stored}) == trials
    assert sorted(trial.told for trial in stored if trial.told is not None) == list(range(trials))
    for trial in stored:
        assert [one.step for one in store.measurements(trial.id)] == list(range(1, epochs + 1)), trial.number
        ends = [attempt.state for attempt in store.attempts(trial.id)]
        assert ends.count(TrialState.SUCCEEDED) == 1, ends
        assert ends[-1] is TrialState.SUCCEEDED, ends
        assert TrialState.RUNNING not in ends, ends


def assert_proposals_as_if_undisturbed(store: Store, job_id: str, settings: Settings) -> None:
    """Assert that an undisturbed search with the same results in the same order proposes the same candidates."""
    job, stored = store.job(job_id), store.all_trials(job_id)
    undisturbed = list(_proposals(job.spec, stored, settings))
    assert [one.candidate.values for one in undisturbed] == [trial.values for trial in stored]


def _proposals(spec: JobSpec, stored: list[Trial], settings: Settings) -> Iterator[Proposal]:
    proposer = make_proposer(resolve(spec, trusted=True, settings=settings))
    results = sorted((trial for trial in stored if trial.told is not None), key=lambda trial: trial.told or 0)
    for trial in stored:
        while results and (results[0].told or 0) < trial.proposal.told:
            proposer.tell(results[0].number, results.pop(0).observation())
        [proposal] = proposer.propose(1)
        yield proposal

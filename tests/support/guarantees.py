"""Guarantees for a stored job, whatever was killed while it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from searchsvc.checksums import sha256_of
from searchsvc.domain import Event, JobSpec, JobState, Proposal, Trial, TrialState
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


def assert_each_claim_ends_the_attempts_before_it(events: list[Event]) -> None:
    """Assert that a single driver at a time wrote the events of a job.

    Claims are numbered without gaps. After a claim, the attempts of the driver before are requeued before anything
    else happens to a trial. An attempt begins after the end of the attempt before it, and measures each step once.
    """
    epochs = [event.data["epoch"] for event in events if event.kind == "job.claimed"]
    assert epochs == list(range(1, len(epochs) + 1))
    attempts, steps, running, orphans = Counter[int](), Counter[int](), set[int](), set[int]()
    for event in events:
        number = event.data.get("number", -1)
        match event.kind:
            case "job.claimed":
                orphans = set(running)
            case "trial.started":
                assert not orphans, event
                assert number not in running, event
                attempts[number] += 1
                assert event.data["attempt"] == attempts[number], event
                running.add(number)
            case "trial.measured":
                assert number in running - orphans, event
                steps[number] += 1
                assert event.data["step"] == steps[number], event
            case "trial.requeued":
                assert number in running, event
                assert event.data["attempt"] == attempts[number], event
                running.remove(number)
                orphans.discard(number)
            case "trial.finished":
                assert number in running - orphans, event
                running.remove(number)
    assert not running


def assert_artifacts_as_stored(store: Store, job_id: str, settings: Settings) -> None:
    """Assert that the file of every stored artifact has the stored digest."""
    artifacts = store.job_artifacts(job_id)
    assert artifacts
    for artifact in artifacts:
        assert sha256_of(settings.artifacts_dir / artifact.path) == artifact.sha256, artifact


def _proposals(spec: JobSpec, stored: list[Trial], settings: Settings) -> Iterator[Proposal]:
    proposer = make_proposer(resolve(spec, trusted=True, settings=settings))
    results = sorted((trial for trial in stored if trial.told is not None), key=lambda trial: trial.told or 0)
    for trial in stored:
        while results and (results[0].told or 0) < trial.proposal.told:
            proposer.tell(results[0].number, results.pop(0).observation())
        [proposal] = proposer.propose(1)
        yield proposal

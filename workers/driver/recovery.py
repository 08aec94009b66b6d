"""Recovery of a job's ledger from the store: algorithm and stopping rule are replayed, open trials wait to continue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import Attempt, Decision, Job, Measurement, Trial, TrialState, best_measurement
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, make_stopping_rule
from searchsvc.store import JobWriter, Store
from workers.driver.ledger import Ledger, OpenTrial, with_costs

_PAGE = 10_000
_TRIALS_AT_ONCE = 100
"""Trials whose measurements are in memory at once."""
_DIVERGED = "replayed, the algorithm proposes another candidate than the stored one (was a library updated?)"


def recover(store: Store, writer: JobWriter, job: Job, blueprint: Blueprint) -> Ledger:
    """Return the ledger of a job that may have run before.

    Trials that are still stored as running are requeued, since their driver is gone.
    """
    trials = store.all_trials(job.id)
    proposer, rule = make_proposer(blueprint), make_stopping_rule(blueprint)
    proposer.replay(trials, StoredHistories(store, trials) if proposer.learns_from_histories else {})
    if proposer.diverged_at is not None:
        writer.event("algorithm.diverged", {"trial": proposer.diverged_at, "reason": _DIVERGED})
    stopped = _replay(store, job, rule, trials) if rule.needs_measurements else set()
    unfinished = [trial for trial in trials if not trial.state.is_final]
    open_trials = {trial.id: _opened(store, job, trial, trial.number in stopped) for trial in unfinished}
    ledger = Ledger(
        job.spec,
        writer=writer,
        proposer=proposer,
        rule=rule,
        existing=sum(trial.state is not TrialState.CANCELLED for trial in trials),
        waiting=[open_trials[trial.id] for trial in trials if trial.state is TrialState.QUEUED],
    )
    for trial in reversed(trials):  # each goes to the front of the queue: the first trial ends up first
        if trial.state is TrialState.RUNNING:
            ledger.requeue(open_trials[trial.id], "its driver ended")
    ledger.flush()
    return ledger


def reopen_retried(store: Store, job: Job, ledger: Ledger, active: set[str]) -> None:
    """Reopen failed trials that a user has requeued while the driver runs. `active`: ids of trials that Tune has."""
    queued = active | {trial.id for trial in ledger.waiting}
    after: int | None = None
    while page := store.trials(job.id, state=TrialState.QUEUED, after=after, limit=_PAGE):
        for trial in page:
            if trial.id not in queued:
                ledger.reopen(_opened(store, job, trial, stop=False))
        after = page[-1].number


class StoredHistories(Mapping[int, tuple[Measurement, ...]]):
    """The measurements of each trial by its number, read when a replay needs them: in the order of results."""

    def __init__(self, store: Store, trials: Sequence[Trial]) -> None:
        self._store = store
        told = (trial for trial in trials if trial.told is not None)
        self._trials = sorted(told, key=lambda trial: trial.told or 0)
        self._places = {trial.number: place for place, trial in enumerate(self._trials)}
        self._page = range(0)
        self._read: dict[str, list[Measurement]] = {}

    def __getitem__(self, number: int) -> tuple[Measurement, ...]:
        place = self._places[number]
        if place not in self._page:
            start = place - place % _TRIALS_AT_ONCE
            self._page = range(start, start + _TRIALS_AT_ONCE)
            self._read = self._store.measurements_of([trial.id for trial in self._trials[start : self._page.stop]])
        return tuple(self._read.get(self._trials[place].id, ()))

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def _replay(store: Store, job: Job, rule: StoppingRule, trials: Sequence[Trial]) -> set[int]:
    """Report the stored measurements to the rule. Return the numbers of the trials that it has stopped."""
    proposals = {trial.number: trial.proposal for trial in trials}

    def wants(number: int, step: int) -> bool:
        return rule.wants(number, step) and proposals[number].may_be_stopped

    return {
        number
        for number, measurement in store.scan_measurements(job.id, wants)
        if rule.report(number, with_costs(measurement, proposals[number].costs)) is Decision.STOP
    }


def _opened(store: Store, job: Job, trial: Trial, stop: bool) -> OpenTrial:
    measurements = store.measurements(trial.id) if trial.step else []
    return OpenTrial(
        id=trial.id,
        number=trial.number,
        proposal=trial.proposal,
        attempts=trial.attempts,
        failures=counted_failures(store.attempts(trial.id), job.spec.resources.attempts) if trial.attempts else 0,
        step=trial.step,
        seconds=trial.seconds,
        best=best_measurement(measurements, job.spec.objectives[0]) or next(reversed(measurements), None),
        history=measurements,
        stop=stop,
        reason=trial.reason,
    )


def counted_failures(attempts: list[Attempt], limit: int) -> int:
    """Return how many failures count towards the limit: those since the trial last failed for good."""
    count = 0
    for attempt in attempts:
        if attempt.failure is None or not attempt.failure.counts_as_attempt:
            continue
        count = count + 1 if attempt.failure.is_retried and count + 1 < limit else 0
    return count

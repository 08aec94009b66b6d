"""Recovery of a job's ledger from the store: algorithm and stopping rule are replayed, open trials wait to continue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain import Attempt, Decision, Job, Measurement, Proposal, Trial, TrialState, best_measurement
from searchsvc.service.planning.blueprint import Blueprint, make_proposer, make_stopping_rule
from searchsvc.store import JobWriter, Store
from workers.driver.ledger import Ledger, OpenTrial, with_costs

_PAGE = 10_000
_DIVERGED = "replayed, the algorithm proposes another candidate than the stored one (was a library updated?)"


def recover(store: Store, writer: JobWriter, job: Job, blueprint: Blueprint) -> Ledger:
    """Return the ledger of a job that may have run before.

    Trials that are still stored as running are requeued, since their driver is gone.
    """
    trials = store.all_trials(job.id)
    proposer, rule = make_proposer(blueprint), make_stopping_rule(blueprint)
    measured = list(_measurements(store, job.id))
    proposer.replay(trials, _histories(measured) if proposer.learns_from_histories else {})
    if proposer.diverged_at is not None:
        writer.event("algorithm.diverged", {"trial": proposer.diverged_at, "reason": _DIVERGED})
    stopped = _replay(rule, measured, {trial.number: trial.proposal for trial in trials})
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


def _replay(
    rule: StoppingRule, measured: Iterable[tuple[int, Measurement]], proposals: Mapping[int, Proposal]
) -> set[int]:
    """Return the numbers of the trials that the rule has stopped."""
    return {
        number
        for number, measurement in measured
        if proposals[number].may_be_stopped
        and rule.report(number, with_costs(measurement, proposals[number].costs)) is Decision.STOP
    }


def _histories(measured: Iterable[tuple[int, Measurement]]) -> dict[int, tuple[Measurement, ...]]:
    """Return the measurements of each trial, by its number."""
    histories: defaultdict[int, list[Measurement]] = defaultdict(list)
    for number, measurement in measured:
        histories[number].append(measurement)
    return {number: tuple(history) for number, history in histories.items()}


def _measurements(store: Store, job_id: str) -> Iterator[tuple[int, Measurement]]:
    after = 0
    while page := store.job_measurements(job_id, after=after, limit=_PAGE):
        yield from ((number, measurement) for _, number, measurement in page)
        after = page[-1][0]


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

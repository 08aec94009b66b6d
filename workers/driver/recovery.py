"""What the store says of a job, as a ledger: algorithm and stopping rule as they were, open trials waiting to go on."""

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
    """The ledger of a job that may have run before. What still counts as running is put back: its driver is gone."""
    trials = store.all_trials(job.id)
    proposer, rule = make_proposer(blueprint), make_stopping_rule(blueprint)
    measured = list(_measurements(store, job.id))
    proposer.replay(trials, _histories(measured) if proposer.learns_from_histories else {})
    if proposer.diverged_at is not None:
        writer.event("algorithm.diverged", {"trial": proposer.diverged_at, "reason": _DIVERGED})
    stopped = _replay(rule, measured, {one.number: one.proposal for one in trials})
    open_trials = {one.id: _opened(store, job, one, one.number in stopped) for one in trials if not one.state.is_final}
    ledger = Ledger(
        job.spec,
        writer=writer,
        proposer=proposer,
        rule=rule,
        existing=sum(one.state is not TrialState.CANCELLED for one in trials),
        waiting=[open_trials[one.id] for one in trials if one.state is TrialState.QUEUED],
    )
    for one in reversed(trials):
        if one.state is TrialState.RUNNING:
            ledger.put_back(open_trials[one.id], "its driver ended")
    ledger.flush()
    return ledger


def take_up(store: Store, job: Job, ledger: Ledger, handed: set[str]) -> None:
    """Trials that a user put back while the driver runs are to be tried again; the budget may have grown."""
    known = handed | {trial.id for trial in ledger.waiting}
    after: int | None = None
    while page := store.trials(job.id, state=TrialState.QUEUED, after=after, limit=_PAGE):
        for one in page:
            if one.id not in known:
                ledger.reopen(_opened(store, job, one, stop=False))
        after = page[-1].number


def _replay(
    rule: StoppingRule, measured: Iterable[tuple[int, Measurement]], proposals: Mapping[int, Proposal]
) -> set[int]:
    """The numbers of the trials that the rule has stopped."""
    return {
        number
        for number, one in measured
        if proposals[number].may_be_stopped
        and rule.report(number, with_costs(one, proposals[number].costs)) is Decision.STOP
    }


def _histories(measured: Iterable[tuple[int, Measurement]]) -> dict[int, tuple[Measurement, ...]]:
    """What was measured of each trial, by its number."""
    found: defaultdict[int, list[Measurement]] = defaultdict(list)
    for number, measurement in measured:
        found[number].append(measurement)
    return {number: tuple(history) for number, history in found.items()}


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
    """Failures that count against the limit: those since the trial last failed for good (and was retried by a user)."""
    count = 0
    for attempt in attempts:
        if attempt.failure is None:
            continue
        count = count + 1 if attempt.failure.is_retried and count + 1 < limit else 0
    return count

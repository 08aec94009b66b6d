"""The funnel of a job: how many candidates reached each stage, and how many epochs were saved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from searchsvc.domain import JobSpec, Trial, TrialState
from searchsvc.service.results.standing import JobStanding


@dataclass(frozen=True, slots=True)
class FunnelStage:
    """A stage of the funnel."""

    name: str
    count: int


def funnel(summary: JobStanding) -> list[FunnelStage]:
    """Return the stages, from all proposed candidates to those trained in full."""
    counts = summary.counts
    trials = sum(counts.values())
    rejected, waiting = sum(summary.rejected.values()), counts.get(TrialState.QUEUED, 0)
    return [
        FunnelStage("proposed", trials + rejected + summary.answered),
        FunnelStage("rejected by limits", rejected),
        FunnelStage("duplicates, answered from the store", summary.answered),
        FunnelStage("started", trials - waiting),
        FunnelStage("stopped early", counts.get(TrialState.STOPPED, 0)),
        FunnelStage("failed", counts.get(TrialState.FAILED, 0)),
        FunnelStage("trained in full", counts.get(TrialState.SUCCEEDED, 0)),
    ]


def epochs_saved(trials: Iterable[Trial], spec: JobSpec) -> tuple[int, int]:
    """Return (epochs saved by early stopping, epochs of all ended candidates if each had been trained in full)."""
    ended_ones = [one for one in trials if one.is_search_result]
    spared = sum(spec.fidelity.epochs - one.step for one in ended_ones if one.state is TrialState.STOPPED)
    return spared, spec.fidelity.epochs * len(ended_ones)

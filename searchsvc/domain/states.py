"""States of jobs and trials."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class JobState(StrEnum):
    """The states of a job; `searchsvc.domain.life_cycle` lists every move between them.

    ::

                      ┌────────── resume ───────────┐
                      v                             │
        submit ──> QUEUED ──claim──> RUNNING ──pause──> PAUSED        QUEUED ──pause──> PAUSED
                      ^                │  │                           QUEUED, PAUSED ──cancel──> CANCELLED
                      │                │  └──stop──> STOPPING         QUEUED, PAUSED ──stop──> SUCCEEDED
             extend, retry             │                │
                      │                v                v
                      └──── SUCCEEDED, FAILED, CANCELLED

    A job whose driver died stays RUNNING or STOPPING: its lease expires, and the next claim resumes it. A cancel ends
    a job in every state, and a request of a user to a driver that died is carried out by the next claim.
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True if the job has ended; only an extension or a retry by the user starts it again."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)

    @property
    def is_driven(self) -> bool:
        """True if the job has a driver, or waits for the next driver because the last one died."""
        return self in (JobState.RUNNING, JobState.STOPPING)


class JobRequest(StrEnum):
    """A user's request to the driver of a running job, until the driver carries it out."""

    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


class TrialState(StrEnum):
    """The life cycle of a trial, and of one attempt at it.

    ::

        QUEUED ──> RUNNING ──> SUCCEEDED   trained to its fidelity
          ^  │        │  ├───> STOPPED     ended early by the stopping rule; its measurements count
          │  │        │  ├───> FAILED      has a FailureKind
          │  └────────┼──┴───> CANCELLED   by the user
          └───────────┘
            the worker was lost, the job was paused, or the user retries a failed trial
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True if the trial has ended; only a retry by the user runs it again."""
        return self not in (TrialState.QUEUED, TrialState.RUNNING)

    @property
    def has_result(self) -> bool:
        """True if the trial was trained, to its fidelity or until the stopping rule ended it."""
        return self in (TrialState.SUCCEEDED, TrialState.STOPPED)

    @property
    def counts_for_budget(self) -> bool:
        """True if the trial counts for the job's budget of trials: it has ended, and the user did not cancel it."""
        return self.is_final and self is not TrialState.CANCELLED


def count_results(counts: Mapping[TrialState, int]) -> int:
    """Return how many trials have a result, given the number of trials in each state."""
    return sum(number for state, number in counts.items() if state.has_result)


def count_for_budget(counts: Mapping[TrialState, int]) -> int:
    """Return how many trials count for the budget, given the number of trials in each state."""
    return sum(number for state, number in counts.items() if state.counts_for_budget)


class TrialKind(StrEnum):
    """The purpose of a trial."""

    CANDIDATE = "candidate"
    """Train a candidate."""
    SUPERNET = "supernet"
    """Train weights that all candidates share, and select candidates that deserve a trial of their own."""


class Decision(StrEnum):
    """The verdict of a stopping rule on a running trial."""

    CONTINUE = "CONTINUE"
    STOP = "STOP"

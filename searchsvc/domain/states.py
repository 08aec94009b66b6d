"""The states of jobs and trials, the ways a trial can fail, and the moves between states that are allowed."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType


class JobState(StrEnum):
    """Where a job stands.

    ::

                      ┌────────── resume ───────────┐
                      v                             │
        submit ──> QUEUED ──claim──> RUNNING ──pause──> PAUSED        QUEUED ──pause──> PAUSED
                      ^                │  │                           QUEUED, PAUSED ──cancel──> CANCELLED
                      │                │  └──stop──> STOPPING         QUEUED, PAUSED ──stop──> SUCCEEDED
             extend, retry             │                │
                      │                v                v
                      └──── SUCCEEDED, FAILED, CANCELLED

    A job whose driver died stays RUNNING (or STOPPING): its lease runs out and the next claim goes on with it.
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
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)


class JobRequest(StrEnum):
    """What was asked of a job that a driver is running, and that the driver has not yet carried out."""

    PAUSE = "PAUSE"
    CANCEL = "CANCEL"


class TrialState(StrEnum):
    """Where a trial, or one attempt at it, stands.

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
        return self not in (TrialState.QUEUED, TrialState.RUNNING)


class TrialKind(StrEnum):
    """What a trial is for."""

    CANDIDATE = "candidate"
    """It trains one candidate."""
    SUPERNET = "supernet"
    """It trains weights that all candidates share, and finds those that are worth a trial of their own."""


class Decision(StrEnum):
    """What a stopping rule says of a running trial."""

    CONTINUE = "CONTINUE"
    STOP = "STOP"


_FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})

JOB_MOVES = MappingProxyType(
    {
        JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.SUCCEEDED, JobState.CANCELLED}),
        JobState.RUNNING: frozenset({JobState.PAUSED, JobState.STOPPING}) | _FINAL,
        JobState.PAUSED: frozenset({JobState.QUEUED, JobState.SUCCEEDED, JobState.CANCELLED}),
        JobState.STOPPING: _FINAL,
        JobState.SUCCEEDED: frozenset({JobState.QUEUED}),
        JobState.FAILED: frozenset({JobState.QUEUED}),
        JobState.CANCELLED: frozenset({JobState.QUEUED}),
    }
)
"""The states a job may move to, for each state."""

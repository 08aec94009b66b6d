"""From rows to the records of `searchsvc.domain.records`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import RowMapping

from searchsvc.domain import (
    Artifact,
    Attempt,
    Candidate,
    Event,
    FailureKind,
    Job,
    JobRequest,
    JobSpec,
    JobState,
    Lease,
    Measurement,
    Proposal,
    Relabelling,
    Round,
    Token,
    Trial,
    TrialKind,
    TrialState,
    Verdict,
)

Fields: TypeAlias = Mapping[str, Any] | RowMapping
"""A row by the names of its columns."""


def job_of(row: Fields) -> Job:
    return Job(
        id=row["id"],
        name=row["name"],
        spec=JobSpec.model_validate(row["spec"]),
        state=JobState(row["state"]),
        request=JobRequest(row["request"]) if row["request"] else None,
        reason=row["reason"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        seconds_used=row["seconds_used"],
        gpu_seconds_used=row["gpu_seconds_used"],
        epoch=row["epoch"],
        owner=row["owner"],
        revision=row["revision"],
    )


def trial_of(row: Fields) -> Trial:
    return Trial(
        id=row["id"],
        job_id=row["job_id"],
        number=row["number"],
        state=TrialState(row["state"]),
        proposal=_proposal_of(row),
        metrics=row["metrics"],
        best_step=row["best_step"],
        step=row["step"],
        seconds=row["seconds"],
        failure=_failure(row),
        reason=row["reason"],
        told=row["told"],
        attempts=row["attempts"],
        test_metrics=row["test_metrics"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _proposal_of(row: Fields) -> Proposal:
    return Proposal(
        candidate=Candidate(row["candidate"]),
        asks=row["asks"],
        told=row["told_before"],
        rejected=row["rejected"],
        answered=tuple(row["answered"]),
        costs=row["costs"],
        in_full=row["in_full"],
        kind=TrialKind(row["kind"]),
    )


def attempt_of(row: Fields) -> Attempt:
    return Attempt(
        trial_id=row["trial_id"],
        number=row["number"],
        state=TrialState(row["state"]),
        failure=_failure(row),
        message=row["message"],
        node=row["node"],
        pid=row["pid"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def measurement_of(row: Fields) -> Measurement:
    return Measurement(step=row["step"], metrics=row["metrics"], seconds=row["seconds"])


def round_of(row: Fields) -> Round:
    return Round(row["number"], row["data"], row["at"])


def relabelling_of(row: Fields) -> Relabelling:
    images, labels = (tuple(row["questions"][name]) for name in ("images", "labels"))
    return Relabelling(row["job_id"], images, labels, row["made_from"], row["created_at"])


def verdict_of(row: Fields) -> Verdict:
    return Verdict(row["rater"], row["image"], row["label"], row["accepted"], row["at"])


def event_of(row: Fields) -> Event:
    return Event(row["sequence"], row["job_id"], row["trial_id"], row["kind"], row["data"], row["at"])


def artifact_of(row: Fields) -> Artifact:
    return Artifact(row["trial_id"], row["name"], row["path"], row["bytes"], row["sha256"], row["created_at"])


def lease_of(row: Fields) -> Lease:
    return Lease(row["job_id"], row["holder"], row["epoch"], row["deadline"])


def token_of(row: Fields) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        scope=row["scope"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        used_at=row["used_at"],
    )


def _failure(row: Fields) -> FailureKind | None:
    return FailureKind(row["failure"]) if row["failure"] else None

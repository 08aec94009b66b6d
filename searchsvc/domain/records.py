"""Jobs, trials and what belongs to them, as they are stored: frozen records, read from the store and never changed.

Times are Unix seconds in UTC. Ids are UUIDv7 texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.parameters import Scalar
from searchsvc.domain.spec import JobSpec
from searchsvc.domain.states import JobRequest, JobState, TrialKind, TrialState
from searchsvc.errors import FailureKind


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted search and where it stands."""

    id: str
    name: str
    spec: JobSpec
    state: JobState
    request: JobRequest | None
    """What was asked of the running job and is not carried out yet."""
    reason: str | None
    """Why it is in this state, in words: the error of a failed job, what a queued one waits for."""
    created_at: float
    started_at: float | None
    finished_at: float | None
    seconds_used: float
    """Time under a driver, over all runs of the job."""
    gpu_seconds_used: float
    epoch: int
    """How often the job has been claimed by a driver."""
    owner: str | None = None
    """Name of the token that submitted it."""
    revision: int = 0
    """How often a user changed what the driver has to do (extend, retry): the one at work looks again when it grows."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """How a candidate came to be proposed: enough to bring an algorithm back to the state it had then.

    `asks` counts all candidates that the algorithm had been asked for, this one included; `told` how many observations
    of trials it had been told before. `rejected` counts, by reason, the candidates since the last proposal that broke
    a hard constraint; `answered` are the numbers of the trials whose stored result answered a repeated candidate.
    """

    candidate: Candidate
    asks: int
    told: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    answered: tuple[int, ...] = ()
    costs: Mapping[str, float] = field(default_factory=dict)
    """What the cost model says of the candidate: FLOPs, parameters."""
    in_full: bool = False
    """Whether no stopping rule may end the trial: the algorithm wants its candidate trained to the whole fidelity."""
    kind: TrialKind = TrialKind.CANDIDATE
    """What the trial is for; the candidate of one that trains a supernet has no values."""

    @property
    def may_be_stopped(self) -> bool:
        """Whether a stopping rule sees the trial."""
        return self.kind is TrialKind.CANDIDATE and not self.in_full


@dataclass(frozen=True, slots=True)
class Trial:
    """One candidate being evaluated."""

    id: str
    job_id: str
    number: int
    """0, 1, 2, ... in the order of proposal."""
    state: TrialState
    proposal: Proposal
    metrics: Mapping[str, float] | None
    """Costs, and the metrics of the best step so far; None before the first measurement."""
    best_step: int | None
    step: int
    """The last step that was measured; 0 before the first."""
    seconds: float
    failure: FailureKind | None
    reason: str | None
    """Why it waits, why it was stopped, what made it fail."""
    told: int | None
    """The place of its result in the order in which results were told to the algorithm: 0, 1, ...; None before."""
    attempts: int
    test_metrics: Mapping[str, float] | None
    created_at: float
    started_at: float | None
    finished_at: float | None

    @property
    def values(self) -> Mapping[str, Scalar]:
        return self.proposal.candidate.values

    @property
    def is_candidate(self) -> bool:
        """Whether it trains one candidate, and not a supernet."""
        return self.proposal.kind is TrialKind.CANDIDATE

    @property
    def is_search_result(self) -> bool:
        """Whether it trained a candidate and has a result, so that it may be the best or be learned from."""
        return self.is_candidate and self.state.has_result

    def observation(self, history: tuple[Measurement, ...] = ()) -> Observation:
        """The finished trial as an algorithm is told of it; `history`: its measurements, by step."""
        failed = self.state in (TrialState.FAILED, TrialState.CANCELLED)
        return Observation(
            candidate=self.proposal.candidate,
            metrics=None if failed else self.metrics,
            failure=self.failure,
            step=self.step,
            stopped=self.state is TrialState.STOPPED,
            history=history,
        )


@dataclass(frozen=True, slots=True)
class Attempt:
    """One execution of a trial on a worker."""

    trial_id: str
    number: int
    """1, 2, ..."""
    state: TrialState
    failure: FailureKind | None
    message: str | None
    """The traceback or reason."""
    node: str | None
    """Ray's id of the node, and its address for people."""
    pid: int | None
    started_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class Round:
    """What an algorithm says of itself after one round of its search: how good its predictions were, say."""

    number: int
    """0, 1, ... within the job."""
    data: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `sequence` grows over the whole store and never repeats."""

    sequence: int
    job_id: str
    trial_id: str | None
    kind: str
    """What happened, as `noun.verb`: job.submitted, job.claimed, trial.finished, ..."""
    data: Mapping[str, Any]
    at: float


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a trial made."""

    trial_id: str
    name: str
    path: str
    bytes: int
    sha256: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Questions about the validation images of a job: is this a label of that image?"""

    job_id: str
    images: tuple[int, ...]
    """Of question 0, 1, ...: the place of the image in the split; ascending."""
    labels: tuple[int, ...]
    """Of the same questions: the index of the class."""
    made_from: Mapping[str, Any]
    """What the questions came from: trials by number, the confidence that makes an answer a proposal, images."""
    created_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rater says to one question."""

    rater: str
    image: int
    label: int
    accepted: bool
    at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one driver to run one job, until `deadline` unless renewed."""

    job_id: str
    holder: str
    epoch: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, with all that it offers to trials, in use or not."""

    id: str
    """Ray's."""
    address: str
    cpus: float
    gpus: float
    memory_bytes: float
    avoided: bool
    """Whether a driver hands it no trials any more, because too many failed there."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as it is kept: never the secret itself."""

    id: str
    name: str
    scope: str
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    used_at: float | None

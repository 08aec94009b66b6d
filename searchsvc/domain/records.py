"""Stored records of jobs, trials and all that belongs to them: read from the store, never changed in memory.

The dataclass of a record is the only list of its fields; `searchsvc.domain.fields` describes how rows, REST schemas,
exports and tables derive from it. Times are Unix seconds in UTC. Ids are UUIDv7 texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from searchsvc.domain.candidates import Candidate, Observation
from searchsvc.domain.fields import Shown, Time
from searchsvc.domain.metrics import Measurement
from searchsvc.domain.parameters import Scalar
from searchsvc.domain.spec import JobSpec
from searchsvc.domain.states import JobRequest, JobState, TrialKind, TrialState
from searchsvc.errors import FailureKind

EXAMPLE_ID: Final = "0197a1f0-3c52-7c1e-9d5a-6f0f3b1c2d4e"


@dataclass(frozen=True, slots=True)
class Job:
    """A submitted search and its progress."""

    id: Annotated[str, Shown("Opaque; sorts by time of submission.", examples=(EXAMPLE_ID,))]
    name: Annotated[str, Shown("Name given in the spec.", examples=("digits-small",))]
    spec: JobSpec
    state: Annotated[JobState, Shown("Current state of the job.")]
    request: Annotated[JobRequest | None, Shown("Request to the running job that has not been carried out yet.")]
    reason: Annotated[str | None, Shown("Reason for the state: what the job waits for, or why it failed.")]
    created_at: Annotated[Time, Shown("Time of submission.")]
    started_at: Annotated[Time | None, Shown("Time at which a driver first took the job.")]
    finished_at: Annotated[Time | None, Shown("Time at which the job ended.")]
    seconds_used: Annotated[
        float, Shown("Seconds in which a driver could run a trial, over all runs of the job; waiting does not count.")
    ]
    gpu_seconds_used: Annotated[float, Shown("GPU-seconds used, over all runs of the job.")]
    epoch: int
    """Number of times a driver has claimed the job."""
    owner: Annotated[str | None, Shown("Name of the token that submitted the job.")] = None
    owner_id: str | None = None
    """Id of that token: names need not be unique."""
    revision: int = 0
    """Number of times a user changed the driver's work (extend, retry); a running driver reacts when it grows."""
    data_pins: Mapping[str, str] | None = None
    """Fingerprints of the files that the job learns from; None until the next driver takes them."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposal of a candidate, with enough to restore the state of the algorithm at that point."""

    candidate: Candidate
    asks: int
    """Number of candidates requested from the algorithm up to and including this candidate."""
    told: int
    """Number of observations that the algorithm had received before."""
    rejected: Mapping[str, int] = field(default_factory=dict)
    """Candidates since the last proposal that broke a hard constraint, counted by reason."""
    answered: tuple[int, ...] = ()
    """Numbers of the trials whose stored result answered a repeated candidate since the last proposal."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Exact costs of the candidate by the cost model: FLOPs, parameters."""
    in_full: bool = False
    """True if no stopping rule may end the trial, because the algorithm needs its result at full fidelity."""
    kind: TrialKind = TrialKind.CANDIDATE
    """Purpose of the trial; the candidate of a supernet has no values."""

    @property
    def may_be_stopped(self) -> bool:
        """True if a stopping rule may end the trial."""
        return self.kind is TrialKind.CANDIDATE and not self.in_full


@dataclass(frozen=True, slots=True)
class Trial:
    """The evaluation of a candidate.

    The class is the only list of a trial's stored fields: a field added here, with a column in `searchsvc.store.tables`
    and a migration, appears in REST, in the exports and, given a heading, in the page's table.
    """

    id: Annotated[str, Shown("Opaque.", examples=(EXAMPLE_ID,))]
    job_id: Annotated[str, Shown("Job of the trial.", is_exported=False, examples=(EXAMPLE_ID,))]
    number: Annotated[int, Shown("0, 1, 2, ... in order of proposal.")]
    state: Annotated[TrialState, Shown("Current state of the trial.")]
    proposal: Proposal
    failure: Annotated[FailureKind | None, Shown("Kind of failure.")]
    reason: Annotated[str | None, Shown("Reason for waiting, for early stopping, or for failure.")]
    metrics: Annotated[Mapping[str, float] | None, Shown("Costs, and metrics of the best step so far.")]
    """None before the first measurement."""
    step: Annotated[int, Shown("Last measured step; 0 before the first.", heading="Epoch")]
    best_step: Annotated[int | None, Shown("Step with the best value of the first objective.")]
    seconds: Annotated[float, Shown("Seconds of training, over all attempts.", heading="Seconds")]
    told: int | None
    """Position of its result in the order in which the algorithm received results: 0, 1, ...; None until then."""
    attempts: Annotated[int, Shown("Executions so far.", heading="Attempts")]
    test_metrics: Annotated[Mapping[str, float] | None, Shown("Metrics on the test split, for winners only.")]
    created_at: Annotated[Time, Shown("Time of proposal.", is_exported=False)]
    started_at: Annotated[Time | None, Shown("Time at which a worker first took the trial.")]
    finished_at: Annotated[Time | None, Shown("Time at which the trial ended.")]

    @property
    def values(self) -> Mapping[str, Scalar]:
        return self.proposal.candidate.values

    @property
    def costs(self) -> Mapping[str, float]:
        return self.proposal.costs

    @property
    def rejected(self) -> Mapping[str, int]:
        return self.proposal.rejected

    @property
    def kind(self) -> TrialKind:
        return self.proposal.kind

    @property
    def in_full(self) -> bool:
        return self.proposal.in_full

    @property
    def is_candidate(self) -> bool:
        """True if the trial trains a candidate, not a supernet."""
        return self.proposal.kind is TrialKind.CANDIDATE

    @property
    def is_search_result(self) -> bool:
        """True if the trial trained a candidate and has a result, so that it can be the best or train predictors."""
        return self.is_candidate and self.state.has_result

    def observation(self, history: tuple[Measurement, ...] = ()) -> Observation:
        """Return the finished trial in the form that an algorithm receives; `history`: its measurements by step."""
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
    """An execution of a trial on a worker."""

    trial_id: str
    number: Annotated[int, Shown("1, 2, ...")]
    state: Annotated[TrialState, Shown("Current or final state of the attempt.")]
    failure: Annotated[FailureKind | None, Shown("Kind of failure.")]
    message: Annotated[str | None, Shown("Traceback, or a reason in words.")]
    node: Annotated[str | None, Shown("Ray's id of the node, and its address.")]
    pid: Annotated[int | None, Shown("Process id of the worker.")]
    started_at: Annotated[Time, Shown("Time at which the attempt started.")]
    finished_at: Annotated[Time | None, Shown("Time at which the attempt ended.")]


@dataclass(frozen=True, slots=True)
class Round:
    """Report of an algorithm on a round of its search, such as the quality of its predictions."""

    number: Annotated[int, Shown("0, 1, 2, ... within the job.")]
    data: Annotated[
        Mapping[str, Any],
        Shown(
            "Depends on the algorithm, such as the quality of its predictions.", examples=({"rank_correlation": 0.83},)
        ),
    ]
    at: Annotated[Time, Shown("Time at which the round ended.")]


@dataclass(frozen=True, slots=True)
class Event:
    """A change to a job or trial."""

    sequence: Annotated[int, Shown("Grows over all jobs and never repeats; the `id` in an event stream.")]
    job_id: Annotated[str, Shown("Job that changed.", examples=(EXAMPLE_ID,))]
    trial_id: Annotated[str | None, Shown("Trial that changed; null for an event of the whole job.")]
    kind: Annotated[str, Shown("Kind of the event, as `noun.verb`.", examples=("job.submitted", "trial.finished"))]
    data: Annotated[Mapping[str, Any], Shown("Details, depending on the kind.")]
    at: Annotated[Time, Shown("Time of the event.")]


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file that a trial produced."""

    trial_id: str
    name: Annotated[str, Shown("Name, unique within the trial.", examples=("model.safetensors",))]
    path: str
    """Relative to the directory of artifacts."""
    bytes: Annotated[int, Shown("Size in bytes.")]
    sha256: Annotated[str, Shown("SHA-256 of the content, in hex digits.")]
    created_at: Annotated[Time, Shown("Time at which the file was stored.")]


@dataclass(frozen=True, slots=True)
class Relabelling:
    """Questions about the validation images of a job: is this label correct for this image?"""

    job_id: str
    images: tuple[int, ...]
    """Per question, the index of the image in the split; ascending."""
    labels: tuple[int, ...]
    """Per question, the index of the class."""
    made_from: Mapping[str, Any]
    """Origin of the questions: trials by number, the confidence from which a prediction becomes a question, images."""
    created_at: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rater's answer to a question."""

    rater: str
    image: int
    label: int
    accepted: bool
    at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """A driver's right to run a job until `deadline`, which the driver may extend."""

    job_id: str
    holder: str
    epoch: int
    deadline: float


@dataclass(frozen=True, slots=True)
class LeaseMark:
    """A lease as it was last renewed: `mark` changes with every claim and every heartbeat."""

    job_id: str
    epoch: int
    mark: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job that a driver runs, or should run: its RUNNING or STOPPING job without its spec."""

    id: str
    epoch: int
    request: JobRequest | None


@dataclass(frozen=True, slots=True)
class ControllerReport:
    """A controller as it last reported itself."""

    holder: Annotated[str, Shown("Unique name of the controller, under which it holds leases.")]
    host: Annotated[str, Shown("Name of its machine.", examples=("node-1",))]
    pid: Annotated[int, Shown("Id of its process on that machine.")]
    started_at: Annotated[Time, Shown("Time at which it started.")]
    seen_at: Annotated[Time, Shown("Time of its last report.")]
    turns: Annotated[int, Shown("Rounds of its loop that were completed.")]
    errors: Annotated[int, Shown("Errors that it survived.")]
    last_error: Annotated[str | None, Shown("The last of these errors; null if there was none.")]
    drivers: Annotated[int, Shown("Jobs that it runs.")]


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, with its resources for trials, whether in use or not."""

    id: str
    """Ray's id of the node."""
    address: str
    cpus: float
    gpus: float
    memory_bytes: float
    avoided: bool
    """True if a driver has stopped placing trials there because too many failed."""


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token as stored, without its secret."""

    id: Annotated[str, Shown("Opaque.", examples=(EXAMPLE_ID,))]
    name: Annotated[str, Shown("Purpose of the token.")]
    scope: str
    created_at: Annotated[Time, Shown("Time at which the token was created.")]
    expires_at: Annotated[Time | None, Shown("Time from which the token is refused; null: never.")]
    revoked_at: Annotated[Time | None, Shown("Time at which the token was revoked.")]
    used_at: Annotated[Time | None, Shown("Time at which the token was last used, to the minute.")]

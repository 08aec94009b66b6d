"""The life cycle of a job as a table: (situation, trigger) -> transition or refusal.

The store changes the state or the request of a job only by this table. `docs/guarantees.md` prints it, and tests
compare the two, walk the table, and drive a store and controllers along it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from searchsvc.domain.states import JobRequest, JobState


@dataclass(frozen=True, slots=True)
class Situation:
    """State, request and driver of a job: together they decide the effect of a trigger."""

    state: JobState
    request: JobRequest | None = None
    has_driver: bool = False
    """True if a driver holds the job's lease and the lease has not expired."""


class Trigger(StrEnum):
    """An event in the life of a job: a verb of a user, a claim by a controller, or an event of the job's driver."""

    PAUSE = "pause"
    RESUME = "resume"
    STOP = "stop"
    CANCEL = "cancel"
    RETRY = "retry"
    EXTEND = "extend"
    DELETE = "delete"
    CLAIM = "claim"
    """A controller looks for a job that needs a driver."""
    SUCCEEDED = "succeeded"
    """The driver reports that nothing is left to do."""
    FAILED = "failed"
    """The driver, or its controller after too many crashes, gives up."""
    SUPERSEDED = "superseded"
    """The driver reports an end, but a user extended or retried the job after the driver last looked."""
    INTERRUPTED = "interrupted"
    """The driver has ended its trials early, because of a request or of SIGTERM, and gives the job back."""
    RELEASED = "released"
    """The driver is gone, and its lease is given up before it expires."""
    LOST = "lost"
    """The driver's lease expires."""

    @property
    def is_verb(self) -> bool:
        """True for a request of a user."""
        return self in _VERBS

    @property
    def ends_driver(self) -> bool:
        """True if the driver's work on the job is over, whether its lease has expired or not."""
        return self in _ENDINGS


class TrialEffect(StrEnum):
    """Effect of a transition on the trials of the job."""

    NONE = "none"
    REQUEUE = "requeue"
    """Running trials wait again; their attempts are cancelled."""
    CLOSE = "close"
    """Waiting and running trials are cancelled."""
    RETRY = "retry"
    """Failed trials wait again."""


@dataclass(frozen=True, slots=True)
class Transition:
    """Effect of a trigger on a job."""

    after: Situation | None
    """None if the job is deleted."""
    event: str | None
    """Kind of the event that is stored; None if nothing changes."""
    trials: TrialEffect = TrialEffect.NONE


@dataclass(frozen=True, slots=True)
class Refusal:
    """Reason for which a trigger is not possible; it follows the words `job <id>`."""

    reason: str


Effect: TypeAlias = Transition | Refusal


def can_change(state: JobState, request: JobRequest | None, verb: Trigger) -> bool:
    """Return whether a user's verb is allowed and changes a job that has a driver if it needs one."""
    effect = LIFE_CYCLE[Situation(state, request, state.is_driven), verb]
    return isinstance(effect, Transition) and effect.event is not None


_QUEUED, _PAUSED = Situation(JobState.QUEUED), Situation(JobState.PAUSED)
_SUCCEEDED, _FAILED = Situation(JobState.SUCCEEDED), Situation(JobState.FAILED)
_CANCELLED = Situation(JobState.CANCELLED)
_ENDED = (_SUCCEEDED, _FAILED, _CANCELLED)
_RUNNING = Situation(JobState.RUNNING, None, True)
_PAUSING = Situation(JobState.RUNNING, JobRequest.PAUSE, True)
_CANCELLING = Situation(JobState.RUNNING, JobRequest.CANCEL, True)
_STOPPING = Situation(JobState.STOPPING, None, True)
_STOPPING_CANCELLING = Situation(JobState.STOPPING, JobRequest.CANCEL, True)
_DRIVEN = (_RUNNING, _PAUSING, _CANCELLING, _STOPPING, _STOPPING_CANCELLING)


def _without_driver(situation: Situation) -> Situation:
    return Situation(situation.state, situation.request)


def _both(*driven: Situation) -> tuple[Situation, ...]:
    """Return the situations with and without a driver."""
    return tuple(variant for situation in driven for variant in (situation, _without_driver(situation)))


SITUATIONS: Final = (_QUEUED, *_both(*_DRIVEN), _PAUSED, *_ENDED)
"""All situations of a job."""

_VERBS = frozenset(
    {Trigger.PAUSE, Trigger.RESUME, Trigger.STOP, Trigger.CANCEL, Trigger.RETRY, Trigger.EXTEND, Trigger.DELETE}
)
_ENDINGS = frozenset({Trigger.SUCCEEDED, Trigger.FAILED, Trigger.SUPERSEDED, Trigger.INTERRUPTED, Trigger.RELEASED})

_PAUSES = Transition(_PAUSED, "job.paused", TrialEffect.REQUEUE)
_CANCELS = Transition(_CANCELLED, "job.cancelled", TrialEffect.CLOSE)
_SUCCEEDS = Transition(_SUCCEEDED, "job.succeeded", TrialEffect.CLOSE)
_FAILS = Transition(_FAILED, "job.failed", TrialEffect.CLOSE)
_WAITS = Transition(_QUEUED, "job.queued", TrialEffect.REQUEUE)

Rows: TypeAlias = Mapping[Situation, Transition]


def _unchanged(situations: Iterable[Situation]) -> Rows:
    """Return rows of verbs that are already fulfilled: they are no error, and change nothing."""
    return {situation: Transition(situation, None) for situation in situations}


def _each(situations: Iterable[Situation], transition: Transition) -> Rows:
    return dict.fromkeys(situations, transition)


def _moved(
    situations: Iterable[Situation],
    event: str,
    *,
    state: JobState | None = None,
    request: JobRequest | None = None,
    trials: TrialEffect = TrialEffect.NONE,
) -> Rows:
    """Return rows that set the request, and the state if given, and leave the driver as it is."""
    return {
        before: Transition(Situation(state or before.state, request, before.has_driver), event, trials)
        for before in situations
    }


def _kept(situations: Iterable[Situation], event: str, trials: TrialEffect = TrialEffect.NONE) -> Rows:
    """Return rows that change neither the state nor the request, but are not without effect."""
    return {situation: Transition(situation, event, trials) for situation in situations}


_ORPHANED = tuple(map(_without_driver, _DRIVEN))
_BEING_CANCELLED = _both(_CANCELLING, _STOPPING_CANCELLING)
_ENDING = _both(_STOPPING)
_IS_BEING_CANCELLED = Refusal("is being cancelled")


def _continued(event: str, trials: TrialEffect) -> Rows:
    """Return the rows of retry and extend: a job that has ended waits for a driver, others continue."""
    open_jobs = (_QUEUED, _PAUSED, *_both(_RUNNING, _PAUSING))
    return {**_kept(open_jobs, event, trials), **_each(_ENDED, Transition(_QUEUED, event, trials))}


def _driver_ended(*, running: Transition, pausing: Transition, stopping: Transition) -> Rows:
    """Return the rows of an end of the driver's work. A cancel that the driver has not seen yet is carried out."""
    return {
        **_each(_both(_RUNNING), running),
        **_each(_both(_PAUSING), pausing),
        **_each(_both(_STOPPING), stopping),
        **_each(_BEING_CANCELLED, _CANCELS),
    }


_STOPPING_WAITS = Transition(_without_driver(_STOPPING), "job.released", TrialEffect.REQUEUE)

_ALLOWED: Final[Mapping[Trigger, Rows]] = {
    Trigger.PAUSE: {
        **_each([_QUEUED, *map(_without_driver, (_RUNNING, _PAUSING))], _PAUSES),
        **_moved([_RUNNING], "job.pause_requested", request=JobRequest.PAUSE),
        **_unchanged([_PAUSING, _PAUSED]),
    },
    Trigger.RESUME: {
        **_each([_PAUSED], Transition(_QUEUED, "job.resumed")),
        **_moved(_both(_PAUSING), "job.resumed"),
        **_unchanged([_QUEUED, *_both(_RUNNING)]),
    },
    Trigger.STOP: {
        **_each([_QUEUED, _PAUSED], _SUCCEEDS),
        **_moved(_both(_RUNNING, _PAUSING), "job.stopping", state=JobState.STOPPING),
        **_unchanged([*_both(_STOPPING), _SUCCEEDED]),
    },
    Trigger.CANCEL: {
        **_each([_QUEUED, _PAUSED, *_ORPHANED], _CANCELS),
        **_moved([_RUNNING, _PAUSING, _STOPPING], "job.cancel_requested", request=JobRequest.CANCEL),
        **_unchanged([_CANCELLING, _STOPPING_CANCELLING, _CANCELLED]),
    },
    Trigger.RETRY: _continued("job.retried", TrialEffect.RETRY),
    Trigger.EXTEND: _continued("job.extended", TrialEffect.NONE),
    Trigger.DELETE: _each([_QUEUED, _PAUSED, *_ENDED], Transition(None, "job.deleted")),
    Trigger.CLAIM: {
        **_each([_QUEUED, _without_driver(_RUNNING)], Transition(_RUNNING, "job.claimed")),
        **_each([_without_driver(_STOPPING)], Transition(_STOPPING, "job.claimed")),
        **_each([_without_driver(_PAUSING)], _PAUSES),
        **_each(map(_without_driver, (_CANCELLING, _STOPPING_CANCELLING)), _CANCELS),
    },
    Trigger.SUCCEEDED: _driver_ended(running=_SUCCEEDS, pausing=_SUCCEEDS, stopping=_SUCCEEDS),
    Trigger.FAILED: _driver_ended(running=_FAILS, pausing=_FAILS, stopping=_FAILS),
    Trigger.SUPERSEDED: _driver_ended(running=_WAITS, pausing=_PAUSES, stopping=_SUCCEEDS),
    Trigger.INTERRUPTED: _driver_ended(running=_WAITS, pausing=_PAUSES, stopping=_STOPPING_WAITS),
    Trigger.RELEASED: _driver_ended(
        running=Transition(_without_driver(_RUNNING), "job.released"),
        pausing=_PAUSES,
        stopping=Transition(_without_driver(_STOPPING), "job.released"),
    ),
    Trigger.LOST: {situation: Transition(_without_driver(situation), None) for situation in _DRIVEN},
}
_PARTICIPLES: Final = {
    Trigger.PAUSE: "paused",
    Trigger.RESUME: "resumed",
    Trigger.STOP: "stopped",
    Trigger.CANCEL: "cancelled",
    Trigger.RETRY: "retried",
    Trigger.EXTEND: "extended",
    Trigger.DELETE: "deleted",
}


def _refusal(situation: Situation, trigger: Trigger) -> Refusal:
    if trigger is Trigger.CLAIM:
        return Refusal("has a driver" if situation.has_driver else f"is {situation.state} and needs no driver")
    if not trigger.is_verb:
        return Refusal(f"is {situation.state} and has no driver")
    if situation.request is JobRequest.CANCEL and trigger is not Trigger.DELETE:
        return _IS_BEING_CANCELLED
    done = _PARTICIPLES[trigger]
    if situation.state is JobState.STOPPING and trigger in (Trigger.RETRY, Trigger.EXTEND):
        return Refusal(f"is ending; it can be {done} when it has ended")
    changing = [before for before, effect in _ALLOWED[trigger].items() if effect.event is not None]
    states = [state for state in JobState if any(before.state is state for before in changing)]
    allowed = ", ".join(states[:-1]) + f" or {states[-1]}"
    return Refusal(f"is {situation.state}; only a job that is {allowed} can be {done}")


LIFE_CYCLE: Final[Mapping[tuple[Situation, Trigger], Effect]] = MappingProxyType(
    {
        (situation, trigger): _ALLOWED[trigger].get(situation) or _refusal(situation, trigger)
        for situation in SITUATIONS
        for trigger in Trigger
    }
)
"""The effect of every trigger in every situation."""

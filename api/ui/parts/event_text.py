"""Events in words, with their reasons, and the address of the node of an attempt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from api import rounds_text, text
from searchsvc.domain import Attempt, Event, JobSpec

Data = Mapping[str, Any]


def describe_event(event: Event, number: int | None, spec: JobSpec) -> str:
    """Return words such as `trial 7 stopped early: accuracy 0.91`; unknown kinds show their raw data."""
    subject = "" if event.trial_id is None else "a trial " if number is None else f"trial {number} "
    template = _WORDS.get(event.kind)
    if isinstance(template, str):
        return subject + template
    return subject + (
        template(event.data, spec) if template else f"{event.kind.replace('.', ' ')} {text.values(event.data)}"
    )


def node_address(attempt: Attempt) -> str:
    """Return the address of the node of an attempt, without Ray's id. Empty if unknown."""
    return _address(attempt.node)


def _address(node: str | None) -> str:
    return (node or "").rpartition(" ")[2]


def _measured(data: Data, spec: JobSpec) -> str:
    metric = spec.objectives[0].metric
    value = data["metrics"].get(metric)
    return f"measured after epoch {data['step']}" + (f": {metric} {text.quantity(metric, value)}" if value else "")


def _finished(data: Data, spec: JobSpec) -> str:
    metric = spec.objectives[0].metric
    word = {"STOPPED": "stopped early"}.get(data["state"], data["state"].lower())
    value = (data.get("metrics") or {}).get(metric)
    reached = f"{metric} {text.quantity(metric, value)}" if value is not None else ""
    return ": ".join(filter(None, (word, ", ".join(filter(None, (_why(data), reached))))))


def _why(data: Data) -> str:
    return " ".join(filter(None, (data.get("failure"), data.get("reason"))))


def _round(data: Data, _spec: JobSpec) -> str:
    report = dict(data)
    return rounds_text.round_line(report.pop("round"), report)


def _ended(state: str) -> Callable[[Data], str]:
    def words(data: Data) -> str:
        cancelled = data.get("trials_cancelled")
        trials = f"cancelled {text.numbered(cancelled, 'trial')}" if cancelled else ""
        details = ", ".join(filter(None, (_why(data), trials)))
        return f"the job {state}" + (f": {details}" if details else "")

    return words


def _of_data(words: Callable[[Data], str]) -> Callable[[Data, JobSpec], str]:
    """Wrap words that do not depend on the spec of the job."""
    return lambda data, _: words(data)


_WORDS: Mapping[str, str | Callable[[Data, JobSpec], str]] = MappingProxyType(
    {
        "job.submitted": "the job was submitted",
        "job.claimed": _of_data(lambda data: f"a driver claimed the job (run {data['epoch']})"),
        "job.released": "the driver released the job",
        "job.waiting": _of_data(lambda data: f"the job {data['reason']}"),
        "job.data_changed": _of_data(lambda data: f"the data have changed: {data['reason']}"),
        "job.data_accepted": "the job continues with the data as they are now",
        "job.paused": "the job was paused",
        "job.queued": "the job waits for a driver",
        "job.resumed": "the job was resumed",
        "job.stopping": "the job is stopping: running trials finish, no new trials start",
        "job.succeeded": _of_data(_ended("succeeded")),
        "job.failed": _of_data(_ended("failed")),
        "job.cancelled": _of_data(_ended("was cancelled")),
        "job.extended": _of_data(lambda data: f"the budget is now {text.values(data['budget'])}"),
        "job.retried": _of_data(lambda data: f"{data['trials']} failed trials run again"),
        "trial.proposed": "was proposed",
        "trial.started": _of_data(lambda data: f"started (attempt {data['attempt']}) on {_address(data['node'])}"),
        "trial.waiting": _of_data(lambda data: f"waits: {data['reason']}" if data["reason"] else "no longer waits"),
        "trial.measured": _measured,
        "trial.finished": _finished,
        "trial.requeued": _of_data(lambda data: f"queued again after attempt {data['attempt']}: {_why(data)}"),
        "trial.tested": _of_data(lambda data: f"was tested: {text.values(data['metrics'])}"),
        "round.finished": _round,
    }
)

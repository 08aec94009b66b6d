"""Jobs, trials and plans as tables and lines of text, made from the documents of the REST interface."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from api import text
from api.cli.output import cell, state, table

Document = Mapping[str, Any]
_DONE = ("SUCCEEDED", "STOPPED", "FAILED")


def metric_names(spec: Document) -> list[str]:
    """Return the metrics of a job's objectives, then the metrics of its constraints."""
    named = [one["metric"] for one in (*spec["objectives"], *spec["constraints"])]
    return list(dict.fromkeys(named))


def done(job: Document) -> int:
    """Return the number of trials that have ended and count for the budget."""
    return sum(job["trials"].get(name, 0) for name in _DONE)


def job_table(jobs: Iterable[Document]) -> Table:
    """Return a table with a line per job; jobs that wait for something say for what."""
    now, jobs = time.time(), tuple(jobs)
    waiting = any(map(_waits, jobs))
    rows = [
        (
            text.short(job["id"]),
            job["name"],
            state(job["state"]),
            f"{done(job)}/{job['spec']['budget']['trials']}",
            job["spec"]["algorithm"]["name"],
            text.ago(job["created_at"], now),
            *((_waits(job),) if waiting else ()),
        )
        for job in jobs
    ]
    columns = ("job", "name", "state", "trials", "algorithm", "submitted", *(("why",) if waiting else ()))
    return table(columns, rows, right=("trials",))


def _waits(job: Document) -> str:
    """Return what an unfinished job waits for; empty if for nothing."""
    is_over = job["state"] in ("SUCCEEDED", "FAILED", "CANCELLED")
    return "" if is_over else next(iter((job.get("reason") or "").strip().splitlines()), "")


def job_lines(job: Document) -> Table:
    """Return all facts about a job, a line for each."""
    best = job.get("best")
    return pairs(
        [
            ("job", f"{job['name']}  {job['id']}"),
            ("state", state(job["state"]) + (f"  ({job['request'].lower()} asked for)" if job["request"] else "")),
            ("why", job["reason"]),
            ("searches", _what(job["spec"])),
            ("wants", wanted(job["spec"])),
            ("budget", budget_line(job)),
            ("trials", counts_line(job)),
            ("rejected", rejected_line(job)),
            ("pace", _pace(job)),
            ("best", trial_line(best, metric_names(job["spec"])) if best else None),
            ("front", f"{job['pareto_size']} trials" if len(job["spec"]["objectives"]) > 1 and best else None),
            ("submitted", text.moment(job["created_at"]) + (f" by {job['owner']}" if job["owner"] else "")),
            ("started", text.moment(job["started_at"]) if job["started_at"] else None),
            ("ended", text.moment(job["finished_at"]) if job["finished_at"] else None),
        ]
    )


def pairs(lines: Iterable[tuple[str, str | None]]) -> Table:
    """Return names and values in two columns; names without a value are left out."""
    result = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    result.add_column(style="dim", no_wrap=True)
    result.add_column()
    for name, value in lines:
        if value:
            result.add_row(Text(name), cell(value))
    return result


def wanted(spec: Document) -> str:
    """Return `maximize accuracy, minimize flops, with flops <= 3 M`."""
    goals = ", ".join(f"{one['goal']} {one['metric']}" for one in spec["objectives"])
    limits = ", ".join(map(limit, spec["constraints"]))
    return f"{goals}, with {limits}" if limits else goals


def limit(constraint: Document) -> str:
    """Return `flops <= 3 M`."""
    metric = constraint["metric"]
    ends = ((">=", constraint.get("min")), ("<=", constraint.get("max")))
    return f"{metric} " + " and ".join(f"{sign} {text.quantity(metric, end)}" for sign, end in ends if end is not None)


def budget_line(job: Document) -> str:
    """Return the share used of each limit of the budget."""
    budget = job["spec"]["budget"]
    parts = [f"{done(job)} of {budget['trials']} trials"]
    if budget["seconds"] is not None:
        parts.append(f"{text.duration(job['seconds_used'])} of {text.duration(budget['seconds'])}")
    if budget["gpu_hours"] is not None:
        parts.append(f"{job['gpu_seconds_used'] / 3600:.2f} of {budget['gpu_hours']:g} GPU-hours")
    return ", ".join(parts)


def counts_line(job: Document) -> str:
    """Return `20 succeeded, 10 stopped early, 2 running`."""
    words = {"STOPPED": "stopped early"}
    named = [f"{number} {words.get(name, name.lower())}" for name, number in job["trials"].items() if number]
    return ", ".join(named) or "none yet"


def rejected_line(job: Document) -> str | None:
    """Return the counts of candidates that never became a trial."""
    parts = [f"{number} by {reason}" for reason, number in job.get("rejected", {}).items()]
    if job.get("answered"):
        parts.append(f"{job['answered']} repeated, answered from the store")
    return ", ".join(parts) or None


def trial_table(
    trials: Sequence[Document], metrics: Sequence[str], *, values: bool = False, tested: bool = False
) -> Table:
    """Return a line per trial: number, state, epochs, metrics, and its candidate or the reason of its end."""
    shown = [
        f"test {name}" for name in metrics if tested and any(name in (one["test_metrics"] or {}) for one in trials)
    ]
    rows = []
    for trial in trials:
        metrics_of_trial = {**trial["costs"], **(trial["metrics"] or {})}
        rows.append(
            (
                f"#{trial['number']}",
                state(trial["state"]),
                str(trial["step"]),
                *(text.quantity(name, metrics_of_trial.get(name)) for name in metrics),
                *(text.quantity(name[5:], (trial["test_metrics"] or {}).get(name[5:])) for name in shown),
                (values and text.values(trial["values"])) or remark(trial),
            )
        )
    columns = ("trial", "state", "epoch", *metrics, *shown, "values" if values else "")
    return table(columns, rows, right=("trial", "epoch", *metrics, *shown))


def is_supernet(trial: Document) -> bool:
    return bool(trial.get("kind") == "supernet")


def for_people(trial: Document, metrics: Mapping[str, float] | None) -> dict[str, float]:
    """Return metrics without the hundreds of values that a supernet measures per parameter, such as `p/lr/0`."""
    return {name: value for name, value in (metrics or {}).items() if not (is_supernet(trial) and "/" in name)}


def remark(trial: Document) -> str:
    """Return why a trial waits, stopped or failed, or that it trains a supernet or that nothing stops it."""
    reason = (trial["reason"] or "").strip().splitlines()
    what = "supernet" if is_supernet(trial) else "in full" if trial.get("in_full") else ""
    last = reason[-1] if reason else what
    return f"{trial['failure']}: {last}" if trial["failure"] and last else trial["failure"] or last


def trial_line(trial: Document, metrics: Sequence[str]) -> str:
    """Return `#9  accuracy 0.9821  flops 1.2 M`."""
    values = {**trial["costs"], **(trial["metrics"] or {})}
    reached = (f"{one} {text.quantity(one, values[one])}" for one in metrics if one in values)
    return "  ".join([f"#{trial['number']}", *reached])


def comparison(trials: Sequence[Document], *, everything: bool) -> Table:
    """Return trials side by side: their metrics, and the parameters in which they differ, or all parameters."""
    columns = [f"#{one['number']}" for one in trials]
    results = [{**one["costs"], **for_people(one, one["metrics"]), **_tested(one)} for one in trials]
    rows = [("state", *(state(one["state"]) for one in trials))]
    rows += [
        (name, *(text.quantity(name.removeprefix("test "), one.get(name)) for one in results))
        for name in dict.fromkeys(name for one in results for name in one)
    ]
    for name in dict.fromkeys(name for one in trials for name in one["values"]):
        values = [one["values"] for one in trials]
        written = [json.dumps(one[name]) if name in one else "" for one in values]  # true is not 1, and null is a value
        if everything or len(set(written)) > 1:
            rows.append((name, *(text.choice(one[name]) if name in one else text.MISSING for one in values)))
    return table(("", *columns), rows, right=columns)


def _tested(trial: Document) -> dict[str, float]:
    return {f"test {name}": value for name, value in (trial["test_metrics"] or {}).items()}


def values_table(trial: Document) -> Table:
    """Return the candidate, a line per parameter."""
    return table(("parameter", "value"), [(name, text.choice(value)) for name, value in trial["values"].items()])


def plan_lines(plan: Document) -> list[Table | str]:
    """Return the plan of a job that has not been submitted."""
    data = plan["dataset"]
    size = "continuous" if plan["space_size"] is None else f"{plan['space_size']:,}"
    shape = " x ".join(map(str, data["shape"]))
    images = ", ".join(f"{number} {split}" for split, number in data["sizes"].items())
    counted = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in data["counts"].items())
    share = f"{plan['feasible_share']:.1%} of {plan['sampled']:,} random ones"
    head = pairs(
        [
            ("searches", _what(plan["spec"])),
            ("wants", wanted(plan["spec"])),
            ("dataset", f"{data['name']}: {len(data['classes'])} classes, {shape}, {images}"),
            ("counted", counted or None),
            *(("noted", note) for note in data.get("notes", ())),
            ("candidates", size),
            ("feasible", share if plan["hard_constraints"] else None),
            *(("careful", warning) for warning in plan["warnings"]),
        ]
    )
    if not plan["candidates"]:
        return [head]
    costs = list(plan["candidates"][0]["costs"])
    rows = [
        (*(text.quantity(name, one["costs"].get(name)) for name in costs), text.values(one["values"]))
        for one in plan["candidates"]
    ]
    return [head, "", table((*costs, "the first candidates"), rows, right=costs), "", "Nothing was stored or trained."]


def _what(spec: Document) -> str:
    space = spec["space"].get("name") or f"{len(spec['space']['parameters'])} parameters"
    data = spec["dataset"].get("path") or spec["dataset"]["name"]
    rule = spec["stopping"]["name"]
    method = spec["algorithm"]["name"] + (f" and {rule}" if rule != "none" else "")
    return f"{space} on {data} by {method}, {spec['fidelity']['epochs']} epochs a trial"


def _pace(job: Document) -> str | None:
    if job.get("trials_per_minute") is None:
        return None
    pace = f"{job['trials_per_minute']:.1f} trials a minute"
    seconds = job.get("eta_seconds")
    return f"{pace}, {text.duration(seconds)} left" if seconds else pace

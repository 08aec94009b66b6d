"""The live picture of a job: bars for its budget and running trials, the best trial so far, rejected candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from api import text
from api.cli.output import state
from api.cli.views import jobs as views

Document = Mapping[str, Any]
_BAR = 24
_OF_SUPERNETS = ("reward", "entropy")
_TRIALS = 8
"""Number of running trials that are drawn; of the others, only the number is shown."""


def picture(job: Document, running: Sequence[Document], notice: str | None = None) -> RenderableType:
    """Return the whole picture, at most 80 columns wide."""
    parts: list[RenderableType] = [_title(job), Text(), _budget(job)]
    if running:
        parts += [Text(), _running(job, running)]
    parts += [Text(), _found(job)]
    if notice:
        parts += [Text(), Text(notice, style="yellow")]
    return Group(*parts)


def _title(job: Document) -> Text:
    title = Text.assemble((job["name"], "bold"), "  ", Text.from_markup(state(job["state"])), "  ", (job["id"], "dim"))
    if job["reason"] and not job["reason"].startswith("Traceback"):
        title.append(f"\n{job['reason'].splitlines()[0]}", style="dim")
    return title


def _budget(job: Document) -> Table:
    budget, grid = job["spec"]["budget"], _grid()
    ended = views.done(job)
    pace = job.get("trials_per_minute")
    seconds_left = job.get("eta_seconds")
    rest = [f"{pace:.1f} a minute" if pace else "", f"{text.duration(seconds_left)} left" if seconds_left else ""]
    grid.add_row("trials", _bar(ended, budget["trials"]), f"{ended}/{budget['trials']}", ", ".join(filter(None, rest)))
    if budget["seconds"] is not None:
        used = min(job["seconds_used"], budget["seconds"])
        grid.add_row("seconds", _bar(used, budget["seconds"]), f"{used:.0f}/{budget['seconds']:.0f}", "")
    if budget["gpu_hours"] is not None:
        hours = job["gpu_seconds_used"] / 3600
        grid.add_row("GPU-hours", _bar(hours, budget["gpu_hours"]), f"{hours:.2f}/{budget['gpu_hours']:g}", "")
    return grid


def _running(job: Document, running: Sequence[Document]) -> Table:
    grid, names = _grid(), views.metric_names(job["spec"])
    for trial in running[:_TRIALS]:
        values, steps = {**trial["costs"], **(trial["metrics"] or {})}, _steps(trial, job["spec"])
        wanted = _OF_SUPERNETS if views.is_supernet(trial) else names
        shown = "  ".join(f"{one} {text.quantity(one, values[one])}" for one in wanted if one in values)
        grid.add_row(f"#{trial['number']}", _bar(trial["step"], steps), f"{trial['step']}/{steps}", shown)
    if len(running) > _TRIALS:
        grid.add_row("", "", "", f"and {len(running) - _TRIALS} more")
    return grid


def _steps(trial: Document, spec: Document) -> int:
    """Return the total number of measurements of a trial."""
    epochs, options = spec["fidelity"]["epochs"], spec["algorithm"]
    if not views.is_supernet(trial):
        return int(epochs)
    return int((options.get("epochs") or 2 * epochs) * options.get("logs_per_epoch", 1))


def _found(job: Document) -> Table:
    best, trials = job.get("best"), job["trials"]
    names = views.metric_names(job["spec"])
    lines: list[tuple[str, str | None]] = [("best", views.trial_line(best, names) if best else "none yet")]
    if best and len(job["spec"]["objectives"]) > 1:
        lines.append(("front", f"{job['pareto_size']} trials"))
    turned = {
        "stopped early": trials.get("STOPPED", 0),
        "failed": trials.get("FAILED", 0),
        "waiting": trials.get("QUEUED", 0),
        "repeated": job.get("answered", 0),
    }
    lines.append(("also", ", ".join(f"{number} {word}" for word, number in turned.items() if number) or None))
    lines.append(("rejected", _reasons(job.get("rejected", {}))))
    return views.pairs(lines)


def _reasons(rejected: Mapping[str, int]) -> str | None:
    return ", ".join(f"{number} by {reason}" for reason, number in rejected.items()) or None


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", min_width=8, no_wrap=True)
    grid.add_column(width=_BAR)
    grid.add_column(justify="right", no_wrap=True, min_width=7)
    grid.add_column(overflow="ellipsis", no_wrap=True)
    return grid


def _bar(done: float, total: float) -> ProgressBar:
    bar = ProgressBar(total=max(total, 1e-9), completed=min(done, total), width=_BAR)
    bar.complete_style, bar.finished_style, bar.style = "cyan", "green", "bright_black"
    return bar


def front_bars(front: Sequence[Document], objectives: Sequence[Document]) -> Table:
    """Return the Pareto front by its first two objectives: a line per trial, with a bar for the second objective."""
    first, second = objectives[0]["metric"], objectives[1]["metric"]
    results = [{**result["costs"], **(result["metrics"] or {})} for result in front]
    largest = max((abs(result[second]) for result in results), default=1.0) or 1.0
    grid = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in ("trial", first, second):
        grid.add_column(column, justify="right", no_wrap=True)
    grid.add_column("", width=_BAR)
    for trial, result in sorted(zip(front, results, strict=True), key=lambda pair: pair[1][second]):
        bar = _bar(abs(result[second]), largest)
        grid.add_row(
            f"#{trial['number']}", text.quantity(first, result[first]), text.quantity(second, result[second]), bar
        )
    return grid

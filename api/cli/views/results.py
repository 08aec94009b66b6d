"""The results of a job at the end of `searchctl run`: the best trials, the Pareto front, how to use the model."""

from __future__ import annotations

from pathlib import Path

from rich.console import RenderableType
from rich.text import Text

from api.cli.views.jobs import Document, job_lines, metric_names, trial_table
from api.cli.views.live import front_bars


def result_lines(result: Document) -> list[RenderableType]:
    """Return the job, its best trials, its front, and the file of the winner's model."""
    job, best, front = result["job"], result["best"], result["pareto"]
    objectives, names = job["spec"]["objectives"], metric_names(job["spec"])
    lines: list[RenderableType] = ["", job_lines(job)]
    if best:
        lines += ["", "[bold]Best trials[/]", trial_table(best, names, tested=True)]
    if len(objectives) > 1 and front:
        lines += ["", "[bold]Pareto front[/]", front_bars(front, objectives)]
    if result["model"]:
        lines += ["", f"[bold]The model of trial #{result['winner']['number']}[/]", *_snippet(Path(result["model"]))]
    return [*lines, "", f"Details: searchctl show {job['id']}", "As a service, with a REST API: searchctl serve"]


def _snippet(model: Path) -> list[RenderableType]:
    """Return the path of the model and code that uses it, in lines that never wrap."""
    shown = model.relative_to(Path.cwd()) if model.is_relative_to(Path.cwd()) else model
    lines = (
        str(model),
        "",
        "from workers.models import load",
        f'model = load("{shown}")',
        "model.predict(images)  # names the class of each",
    )
    return [
        Text(line, style="dim" if index else "", no_wrap=True, overflow="ignore") for index, line in enumerate(lines)
    ]

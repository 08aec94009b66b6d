"""The results of a job at the end of `searchctl run`: the best trials, the Pareto front, how to use the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import RenderableType
from rich.text import Text

from api.cli.session import pasted
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
        model = _model_lines(job["spec"]["task"], Path(result["model"]))
        lines += ["", f"[bold]The model of trial #{result['winner']['number']}[/]", *model]
    details = f"Details: {pasted('show', job['id'])}"
    return [*lines, "", _unbroken(details), _unbroken(f"As a service, with a REST API: {pasted('serve')}")]


def _unbroken(line: str, style: str = "") -> Text:
    """Return a line that never wraps, so that it can be copied."""
    return Text(line, style=style, no_wrap=True, overflow="ignore")


_SNIPPETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "classification": (
            "import numpy as np",
            "from workers.models import load",
            "model = load({path!r})",
            "channels, height, width = model.card.shape",
            "images = np.zeros((1, height, width, channels), np.uint8)  # yours",
            "model.predict(images)  # names the class of each",
        ),
        "detection": (
            "import torch",
            "from workers.models.trained_detector import load",
            "model = load({path!r})",
            "images = torch.zeros(1, 3, model.side, model.side, dtype=torch.uint8)  # yours",
            "model.detect(images)  # the boxes, scores and labels in each",
        ),
    }
)
"""Python that uses a model, by task. A test runs it on the models of real jobs."""


def snippet(task: str, model: Path) -> tuple[str, ...]:
    """Return Python lines that use a model of the task; none for the tasks of plug-ins."""
    return tuple(line.format(path=str(model)) for line in _SNIPPETS.get(task, ()))


def _model_lines(task: str, model: Path) -> list[RenderableType]:
    """Return the path of the model and code that uses it, in lines that never wrap."""
    shown = model.relative_to(Path.cwd()) if model.is_relative_to(Path.cwd()) else model
    lines = (str(model), "", *snippet(task, shown))
    return [_unbroken(line, "dim" if index else "") for index, line in enumerate(lines)]

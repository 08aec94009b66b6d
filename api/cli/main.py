"""searchctl: the table of its commands. A command's module is imported only when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer._completion_classes import completion_init

from api.cli import streams
from api.cli.groups import LazyCommand, group, lazy_commands

_ABOUT = "Search for the best network and the best way to train it, within hard limits."
_CODES = """Exit codes: 0 done, 1 the job or a check failed, 2 wrong usage or input, 3 not found, 4 conflict: not
possible in the job's current state, 5 token, 6 unreachable, 124 timed out, 130 interrupted."""

_PANELS: dict[str, dict[str, tuple[str, str]]] = {
    "Run": {
        "run": ("run:run", "Run a search here, from spec to trained model; repeat the command to resume the search."),
        "serve": ("serving:serve", "Start the API and the web page, and a controller that runs the jobs."),
        "controller": ("serving:controller", "Run jobs without answering requests, until interrupted."),
    },
    "Submit and inspect": {
        "submit": ("submit:submit", "Submit a job to the service."),
        "list": ("jobs:list_jobs", "List jobs, newest first."),
        "show": ("jobs:show", "Show the details of a job, or of one of its trials."),
        "watch": ("watch:watch", "Follow a job until it ends."),
        "wait": ("watch:wait", "Wait silently until a job ends."),
        "trials": ("trials:trials", "List the trials of a job."),
        "best": ("trials:best", "Show the trials that satisfy every constraint and are best by the first objective."),
        "pareto": ("trials:pareto", "Show the Pareto front: the trials that no other trial beats in every objective."),
        "rounds": ("trials:rounds", "Show the algorithm's report of each round: prediction quality, decisions."),
        "distributions": (
            "trials:distributions",
            "Show the probabilities that a job's supernet has learned for the options of each parameter.",
        ),
        "compare": ("trials:compare", "Show trials side by side."),
        "report": (
            "report:report",
            "Show the gains of pre-training, self-training and stronger augmentation by amount of data.",
        ),
        "logs": ("jobs:logs", "Print the log of a job's driver, or of one of its trials."),
        "export": (
            "export:export",
            "Write a model, the script that trains it, a table of the trials or another result of a job to a file.",
        ),
        "predict": (
            "predict:predict",
            "Run a trial's model on images: a detector draws boxes, a classifier prints probabilities.",
        ),
        "cluster": (
            "cluster:cluster",
            "Show the nodes of the cluster, the running attempts, and the waiting trials with the reasons.",
        ),
    },
    "Reuse results": {
        "recommend": (
            "recommend:recommend",
            "Find the candidates predicted to be best within other limits; trains nothing.",
        ),
        "transfer": (
            "transfer:transfer",
            "Train other networks with the recipes that a job has found, and compare them with the default recipe.",
        ),
    },
    "Check labels": {
        "labels": (
            "labels:labels",
            "Count the images, the images without a label, the labels and the labels per image of a label file.",
        ),
        "reassess": (
            "labels:reassess",
            "Rank the finished trials of a job by other labels, from their stored predictions; trains nothing.",
        ),
        "relabel": (
            "labels:relabel",
            "Ask people about the labels of a job's validation images, or write the answers so far to a file.",
        ),
    },
    "Steer": {
        "pause": ("lifecycle:pause", "Pause a job: its trials stop at once and later resume where they were."),
        "resume": ("lifecycle:resume", "Resume a paused job."),
        "stop": ("lifecycle:stop", "Drain a job: no trial starts, running trials finish, the results count."),
        "cancel": ("lifecycle:cancel", "Kill a job: its open trials end at once and do not count."),
        "retry": ("lifecycle:retry", "Run the failed trials of a job again."),
        "clone": ("lifecycle:clone", "Submit a new job with the spec of another job, changed by --set."),
        "extend": ("lifecycle:extend", "Give a job a larger budget; a job that has ended resumes."),
        "delete": (
            "lifecycle:delete",
            "Delete a job that is not running, with its trials, weights and logs.",
        ),
    },
    "Catalogue": {
        "algorithms": ("catalogue:algorithms", "List the algorithms and the stopping rules."),
        "datasets": (
            "datasets:app",
            "List the datasets and formats that the installed tasks can read; check a dataset.",
        ),
        "tasks": ("catalogue:tasks", "List the installed tasks with their metrics and export formats."),
        "latency": (
            "latency:latency",
            "Measure a table of operator latencies on this device, so that `latency` can be an objective or a limit.",
        ),
        "spaces": ("spaces:app", "List the shipped spaces; count networks."),
    },
    "Installation": {
        "doctor": (
            "installation:doctor",
            "Check Python, torch, Ray, the database and the disk, with a remedy for each problem.",
        ),
        "version": ("installation:version", "Print the version."),
        "completion": ("installation:completion", "Print the script that makes a shell complete searchctl's commands."),
        "token": ("tokens:app", "Make, list and revoke bearer tokens."),
        "db": ("installation:db", "Prepare and check the database."),
    },
}
"""Heading, command, source and help: the order and the texts of the help."""

COMMANDS = {
    name: LazyCommand(panel, source, help_line)
    for panel, commands in _PANELS.items()
    for name, (source, help_line) in commands.items()
}

app = group(_ABOUT, epilog=_CODES, cls=lazy_commands(COMMANDS))


@app.callback()
def settings(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", envvar="SEARCHSVC_DATA_DIR", help="The data folder. Default: ~/.searchsvc."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", envvar="SEARCHSVC_DATABASE_URL", help="Default: SQLite in the data folder."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--url", envvar="SEARCHSVC_URL", help="Service to talk to. Default: the service of the data folder."
        ),
    ] = None,
) -> None:
    """Search for the best network and the best way to train it, within hard limits."""
    ctx.obj = {"data_dir": data_dir, "database_url": database_url, "url": url}


def main() -> None:
    """Run searchctl as a console script, or complete a command line for the shell."""
    streams.prepare()
    completion_init()
    app(prog_name="searchctl")

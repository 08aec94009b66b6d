"""searchctl: the table of its commands. What a command needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from api.cli.commands import (
    catalogue,
    cluster,
    export,
    installation,
    jobs,
    labels,
    latency,
    lifecycle,
    predict,
    run,
    serving,
    spaces,
    tokens,
)
from api.cli.commands import recommend as further
from api.cli.options import group
from api.cli.session import Session

_ABOUT = "Search for the best network and the best way to train it, within hard limits."
_CODES = """Exit codes: 0 done, 1 the job or a check failed, 2 wrong usage or input, 3 not found, 4 the state of the
thing forbids it, 5 token, 6 unreachable, 124 timed out, 130 interrupted."""

app = group(_ABOUT, epilog=_CODES)

SECTIONS: dict[str, dict[str, Callable[..., None]]] = {
    "Run": {"run": run.run, "serve": serving.serve, "controller": serving.controller},
    "Look": {
        "submit": jobs.submit,
        "list": jobs.list_jobs,
        "show": jobs.show,
        "watch": jobs.watch,
        "wait": jobs.wait,
        "trials": jobs.trials,
        "best": jobs.best,
        "pareto": jobs.pareto,
        "rounds": jobs.rounds,
        "distributions": jobs.distributions,
        "compare": jobs.compare,
        "report": further.report,
        "logs": jobs.logs,
        "export": export.export,
        "predict": predict.predict,
        "cluster": cluster.cluster,
    },
    "Go on": {"recommend": further.recommend, "transfer": further.transfer},
    "Doubt labels": {"labels": labels.labels, "reassess": labels.reassess, "relabel": labels.relabel},
    "Steer": {
        "pause": lifecycle.pause,
        "resume": lifecycle.resume,
        "stop": lifecycle.stop,
        "cancel": lifecycle.cancel,
        "retry": lifecycle.retry,
        "clone": lifecycle.clone,
        "extend": lifecycle.extend,
        "delete": lifecycle.delete,
    },
    "What there is": {
        "algorithms": catalogue.algorithms,
        "datasets": catalogue.datasets,
        "tasks": catalogue.tasks,
        "latency": latency.latency,
    },
    "Installation": {"doctor": installation.doctor, "version": installation.version, "completion": installation.completion},
}
"""The commands, in the order and under the headings of the help."""

for _section, _commands in SECTIONS.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_section)(_command)
app.add_typer(spaces.app, name="spaces", rich_help_panel="What there is")
app.add_typer(tokens.app, name="token", rich_help_panel="Installation")
app.add_typer(installation.db, name="db", rich_help_panel="Installation")


@app.callback()
def settings(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", envvar="SEARCHSVC_DATA_DIR", help="Where all is kept. Default: ~/.searchsvc."),
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option("--database-url", envvar="SEARCHSVC_DATABASE_URL", help="Default: SQLite in the data folder."),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="SEARCHSVC_URL", help="Service to talk to. Default: the one of the data folder."),
    ] = None,
) -> None:
    """Search for the best network and the best way to train it, within hard limits."""
    ctx.obj = Session({"data_dir": data_dir, "database_url": database_url, "url": url})


def main() -> None:
    """The console script."""
    app(prog_name="searchctl")

"""Options and arguments that several commands share, and the values of them that a shell completes.

Completion starts nothing.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Annotated, TypeAlias
from urllib.parse import quote

import typer

from api.cli.addresses import running_address
from api.cli.client import Client
from api.cli.exits import ProblemReceived, Unreachable
from api.cli.remote import RemoteTransport
from searchsvc.errors import SearchsvcError
from searchsvc.settings import Settings

_NEWEST = 100
_SECONDS = 0.5
"""Longest wait for a database that is being written."""


def job_names() -> list[str]:
    """Return the names of the newest jobs: from the running service, otherwise from SQLite in the data folder."""
    try:
        settings = Settings()
        address = settings.url or running_address(settings)
        if address is None:
            return _stored(settings)
        with Client(RemoteTransport(address), settings.bearer_token()) as client:
            names = [job["name"] for job in client.items("/jobs", limit=_NEWEST)]
    except (ProblemReceived, Unreachable, SearchsvcError, OSError, sqlite3.Error):
        return []
    return list(dict.fromkeys(names))


def _stored(settings: Settings) -> list[str]:
    path = quote(str(settings.data_dir / "searchsvc.db"))
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=_SECONDS)) as database:
        query = "SELECT name FROM jobs WHERE deleted_at IS NULL ORDER BY id DESC LIMIT ?"
        rows = database.execute(query, (_NEWEST,)).fetchall()
    return list(dict.fromkeys(name for (name,) in rows))


def job_states() -> list[str]:
    """Return the states of jobs."""
    from searchsvc.domain import JobState  # needed only for completion

    return [state.value for state in JobState]


def trial_states() -> list[str]:
    """Return the states of trials."""
    from searchsvc.domain import TrialState  # needed only for completion

    return [state.value for state in TrialState]


JobArgument: TypeAlias = Annotated[
    str, typer.Argument(metavar="JOB", autocompletion=job_names, help="Id, beginning of the id, or name.")
]
SpecArgument: TypeAlias = Annotated[str, typer.Argument(metavar="SPEC", help="A job spec in YAML or JSON; - is stdin.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Changes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the spec: --set budget.trials=8. May be repeated."),
]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="Largest number of entries.")]
_STATE_HELP = "Only entries in this state: RUNNING, FAILED, ..."
JobStateOption: TypeAlias = Annotated[
    str | None, typer.Option("--state", autocompletion=job_states, help=_STATE_HELP)
]
TrialStateOption: TypeAlias = Annotated[
    str | None, typer.Option("--state", autocompletion=trial_states, help=_STATE_HELP)
]

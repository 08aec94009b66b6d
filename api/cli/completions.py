"""Values that a shell completes. They come quickly, and without starting anything."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from urllib.parse import quote

from api.cli.addresses import running_address
from api.cli.client import Client
from api.cli.exits import ProblemReceived, Unreachable
from api.cli.remote import RemoteTransport
from searchsvc.errors import SearchsvcError
from searchsvc.settings import Settings

_NEWEST = 100
_SECONDS = 0.5
"""Longest wait for a database that is being written."""


def jobs() -> list[str]:
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

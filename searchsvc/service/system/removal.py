"""Removal of deleted jobs in parts, so that no transaction takes long. It may be interrupted between any two parts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from searchsvc.service.exports import export
from searchsvc.settings import Settings
from searchsvc.store import Store

ROWS_REMOVED_AT_ONCE = 5_000
_SHORTEST_PAUSE_SECONDS = 0.1
"""On SQLite, a process that waits for the lock looks for it at least this often."""

_log = logging.getLogger(__name__)


def remove_part(store: Store, settings: Settings, job_id: str) -> bool:
    """Remove a part of a deleted job: up to 5,000 rows, or its files once no rows are left.

    Return whether more may be left. Raises OSError if files cannot be removed: the job stays on the list of jobs to
    remove.
    """
    if store.remove_rows(job_id, ROWS_REMOVED_AT_ONCE) == ROWS_REMOVED_AT_ONCE:
        return True
    export.remove_files(settings, job_id)
    store.remove_job(job_id)
    return False


def remove_deleted(store: Store, settings: Settings, pause: Callable[[float], bool]) -> None:
    """Remove the rows and files of all deleted jobs, until `pause` returns True.

    `pause` waits for a number of seconds: other writers get at least as much time as the removal takes.
    """
    for job_id in store.jobs_to_remove():
        is_incomplete = True
        while is_incomplete:
            started = time.monotonic()
            try:
                is_incomplete = remove_part(store, settings, job_id)
            except OSError as error:
                _log.warning("files of the deleted job %s are not removed yet: %s", job_id, error)
                is_incomplete = False
            if pause(max(_SHORTEST_PAUSE_SECONDS, time.monotonic() - started)):
                return

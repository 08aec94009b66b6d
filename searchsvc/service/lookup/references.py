"""Finding a job or trial by what a person types."""

from __future__ import annotations

from searchsvc.domain import Job, Trial, is_id
from searchsvc.errors import Conflict, NotFound
from searchsvc.store import Store

_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_SHORTEST = 4


def find_job(store: Store, reference: str) -> Job:
    """By id, by name (the newest of that name), or by the beginning of one id. Raises NotFound, Conflict."""
    if is_id(reference):
        return store.job(reference.lower())
    named = store.jobs(name=reference, limit=1)
    if named:
        return named[0]
    found = store.jobs(prefix=reference.lower(), limit=3) if _may_begin_an_id(reference) else []
    if not found:
        raise NotFound(f"no job has the id or name {reference!r}")
    if len(found) > 1:
        ids = ", ".join(job.id for job in found[:2])
        raise Conflict(f"{reference!r} fits several jobs ({ids}{', ...' if len(found) > 2 else ''}): give the whole id")
    return found[0]


def find_trial(store: Store, reference: str) -> Trial:
    """By id, or as JOB/NUMBER. Raises NotFound, Conflict."""
    if is_id(reference):
        return store.trial(reference.lower())
    job_reference, slash, number = reference.rpartition("/")
    if not slash or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise NotFound(f"no trial {reference!r}: give its id, or JOB/NUMBER")
    job = find_job(store, job_reference)
    found = store.trials(job.id, after=int(number) - 1, limit=1)
    if not found or found[0].number != int(number):
        raise NotFound(f"job {job.name} has no trial number {number}")
    return found[0]


def _may_begin_an_id(text: str) -> bool:
    shape = zip(text.lower(), _HIGHEST, strict=False)
    fits = all(given == "-" if there == "-" else given in "0123456789abcdef" for given, there in shape)
    return _SHORTEST <= len(text) <= len(_HIGHEST) and fits

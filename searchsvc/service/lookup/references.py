"""Jobs and trials by the reference that a user types."""

from __future__ import annotations

from searchsvc.domain import Job, Trial, is_id
from searchsvc.errors import Conflict, NotFound
from searchsvc.store import Store

_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_SHORTEST = 4


def find_job(store: Store, reference: str) -> Job:
    """Find a job by id, by name (the newest of that name), or by the beginning of its id. Raises NotFound, Conflict."""
    if is_id(reference):
        return store.job(reference.lower())
    named = store.jobs(name=reference, limit=1)
    if named:
        return named[0]
    jobs = store.jobs(prefix=reference.lower(), limit=3) if _may_begin_an_id(reference) else []
    if not jobs:
        raise NotFound(f"no job has the id or name {reference!r}")
    if len(jobs) > 1:
        ids = ", ".join(job.id for job in jobs[:2])
        raise Conflict(f"{reference!r} fits several jobs ({ids}{', ...' if len(jobs) > 2 else ''}): give the whole id")
    return jobs[0]


def find_trial(store: Store, reference: str) -> Trial:
    """Find a trial by id, or as JOB/NUMBER. Raises NotFound, Conflict."""
    if is_id(reference):
        return store.trial(reference.lower())
    job_reference, slash, number = reference.rpartition("/")
    if not slash or not number.isascii() or not number.isdigit() or len(number) > 9:
        raise NotFound(f"no trial {reference!r}: give its id, or JOB/NUMBER")
    job = find_job(store, job_reference)
    trials = store.trials(job.id, after=int(number) - 1, limit=1)
    if not trials or trials[0].number != int(number):
        raise NotFound(f"job {job.name} has no trial number {number}")
    return trials[0]


def _may_begin_an_id(text: str) -> bool:
    shape = zip(text.lower(), _HIGHEST, strict=False)
    fits = all(own == "-" if model == "-" else own in "0123456789abcdef" for own, model in shape)
    return _SHORTEST <= len(text) <= len(_HIGHEST) and fits

"""Jobs: submit, control, list, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchsvc.domain import Budget, Job, JobState, Token, TrialState, new_id
from searchsvc.domain.faults import parse_section
from searchsvc.errors import InvalidInput, NotFound
from searchsvc.service.documents import documents
from searchsvc.service.lookup import checks
from searchsvc.service.lookup.pagination import Page, page_of
from searchsvc.service.lookup.pins import pins_of
from searchsvc.service.planning import machine
from searchsvc.service.planning import plan as planning
from searchsvc.service.planning.blueprint import Blueprint
from searchsvc.service.planning.reachability import check_reachable
from searchsvc.service.planning.resolve import resolve_document
from searchsvc.service.system import removal
from searchsvc.service.system.logs import LogPart, read_part
from searchsvc.service.use_cases.context import DEFAULT_PAGE_SIZE, ServiceContext
from searchsvc.settings import Settings
from searchsvc.spaces import Space
from searchsvc.store.access.quotas import Quota


def quota_of(settings: Settings) -> Quota:
    """Return what the jobs of a token may use together."""
    return Quota(
        open_jobs=settings.limit_open_jobs,
        open_trials=settings.limit_open_trials,
        seconds=settings.limit_seconds,
        gpu_seconds=settings.limit_gpu_seconds,
        bytes=settings.limit_bytes,
    )


class JobService:
    """The use cases of jobs."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._store = context.store

    def plan(self, document: object, *, trusted: bool = False) -> planning.Plan:
        """Plan a job: its space, its feasible share, the first candidates. Nothing is stored or trained.

        Raises InvalidInput with every fault of the document. `trusted`: its files may be anywhere.
        """
        if self._context.children is not None:
            planned: planning.Plan = self._context.children.run("plan", "jobs.plan", document, trusted=trusted)
            return planned
        return planning.plan(self._resolved(document, trusted))

    def submit(
        self, document: object, *, owner: Token | None = None, trusted: bool = False, request_id: str | None = None
    ) -> tuple[Job, bool]:
        """Store a job for a controller to run. Return the job, and False if an earlier try of the request has made it.

        `request_id`: the id of a client's request, and of its job. Raises InvalidInput (nothing is stored).
        """
        if (job := self._made_by(request_id)) is not None:  # even if its files are gone by now
            return job, False
        if self._context.children is not None:
            how = {"owner": owner, "trusted": trusted, "request_id": request_id or new_id()}
            made: tuple[Job, bool] = self._context.children.run("plan", "jobs.submit", document, **how)
            return made
        blueprint = self._resolved(document, trusted)
        check_reachable(blueprint)
        name, owner_id = (owner.name, owner.id) if owner else (None, None)
        pins, quota = pins_of(blueprint.spec), quota_of(self._context.settings)
        return self._store.create_job(
            blueprint.spec, owner=name, owner_id=owner_id, request_id=request_id, data_pins=pins, quota=quota
        )

    def shortages(self, job: Job) -> tuple[str, ...]:
        """Return what a trial of the job needs and no machine has at present.

        The machines are the nodes that drivers report; if no driver runs, this machine, or none if Ray is elsewhere.
        """
        nodes = [node for reported in self._store.reported_nodes().values() for node in reported]
        if not nodes and self._context.settings.ray_address is not None:
            return ()
        workers = 1 if nodes else job.spec.resources.workers  # those of a cluster are spread over its nodes
        room = machine.largest(nodes) if nodes else machine.here()
        return tuple(fault.message for fault in machine.shortages(job.spec, room, workers))

    def _resolved(self, document: object, trusted: bool) -> Blueprint:
        checked = documents.checked(document)
        return resolve_document(checked, trusted=trusted, settings=self._context.settings, store=self._store)

    def submit_derived(self, document: Mapping[str, Any], owner: Token | None, request_id: str | None) -> Job:
        """Store a job on the data of an accepted job, whose paths were checked when it was submitted."""
        return self.submit(document, owner=owner, trusted=True, request_id=request_id)[0]

    def clone(
        self,
        job_id: str,
        changes: Mapping[str, Any],
        *,
        owner: Token | None = None,
        trusted: bool = False,
        request_id: str | None = None,
    ) -> Job:
        """Submit the spec of a job again, changed by a JSON merge patch (RFC 7396) and validated as a whole."""
        if (job := self._made_by(request_id)) is not None:
            return job
        document = documents.merge_patch(self.get(job_id).spec.document(), changes)
        return self.submit(document, owner=owner, trusted=trusted, request_id=request_id)[0]

    def pause(self, job_id: str) -> Job:
        """End the running trials at once; they continue from their checkpoints after `resume`."""
        return self._store.pause_job(self._context.job_id(job_id))

    def resume(self, job_id: str, *, accept_data: bool = False) -> Job:
        """Continue a paused job. `accept_data`: even if its data have changed."""
        return self._store.resume_job(self._context.job_id(job_id), accept_data=accept_data)

    def stop(self, job_id: str) -> Job:
        """Drain: no more trials start, running trials finish, then the job has SUCCEEDED."""
        return self._store.stop_job(self._context.job_id(job_id))

    def cancel(self, job_id: str) -> Job:
        """Kill: all open trials end at once as CANCELLED."""
        return self._store.cancel_job(self._context.job_id(job_id))

    def retry(self, job_id: str, *, accept_data: bool = False) -> Job:
        """Run the FAILED trials again. `accept_data`: even if the data have changed. Raises Conflict if none failed."""
        return self._store.retry_job(self._context.job_id(job_id), accept_data=accept_data)

    def extend(
        self,
        job_id: str,
        *,
        trials: int | None = None,
        seconds: float | None = None,
        gpu_hours: float | None = None,
        accept_data: bool = False,
    ) -> Job:
        """Raise the budget to these totals; a job that has ended continues. Raises InvalidInput.

        `accept_data`: even if the data of the job have changed.
        """
        job = self.get(job_id)
        totals = {"trials": trials, "seconds": seconds, "gpu_hours": gpu_hours}
        changes = {name: value for name, value in totals.items() if value is not None}
        if not changes:
            raise InvalidInput.at("", "name the new budget: trials, seconds or gpu_hours")
        document = {**job.spec.budget.model_dump(mode="json"), **documents.checked(changes)}
        quota, extended = quota_of(self._context.settings), parse_section(Budget, document)
        return self._store.extend_job(job.id, extended, accept_data=accept_data, quota=quota)

    def delete(self, job_id: str) -> str:
        """Delete a job that is not running, with its trials, weights and logs. Return its full id.

        The job is gone at once. `remove_part` and the controller's housekeeping free its space.
        """
        full_id = self._context.job_id(job_id)
        self._store.delete_job(full_id)
        self._context.memo.forget(full_id)
        return full_id

    def remove_part(self, job_id: str) -> bool:
        """Remove a part of a deleted job. Return whether more may be left. Raises OSError."""
        return removal.remove_part(self._store, self._context.settings, job_id)

    def get(self, job_id: str) -> Job:
        """Return the job with that id, name (the newest of several), or beginning of an id.

        Raises NotFound, and Conflict if several ids have that beginning.
        """
        return self._context.job(job_id)

    def page(
        self,
        *,
        state: JobState | None = None,
        name: str | None = None,
        page_size: int = DEFAULT_PAGE_SIZE,
        page_token: str | None = None,
    ) -> Page[Job]:
        """List jobs, the newest first."""
        return page_of(
            lambda after, limit: self._store.jobs(state=state, name=name, after=after, limit=limit),
            lambda job: job.id,
            kind=str,
            size=page_size,
            token=page_token,
            filters={"list": "jobs", "state": state, "name": name},
        )

    def trial_counts(self, job_ids: Sequence[str]) -> dict[str, dict[TrialState, int]]:
        """Count the trials of many jobs by state, in a single statement."""
        return self._store.trial_counts_of(job_ids)

    def space(self, job_id: str) -> Space:
        """Return the space that a job searches, with `fix` and `narrow` applied."""
        return checks.space_of(self.get(job_id).spec, None)

    def log(self, job_id: str, *, offset: int | None = None, lines: int | None = None) -> LogPart:
        """Read the log of a job's driver: from byte `offset`, or its last `lines`."""
        settings = self._context.settings
        return read_part(settings.logs_dir, settings.job_log(self._context.job_id(job_id)), offset, lines)

    def _made_by(self, request_id: str | None) -> Job | None:
        """Return the job that an earlier try of a request has created; None if there is none."""
        try:
            return None if request_id is None else self._store.job(request_id)
        except NotFound:
            return None

"""Exports: a job written to a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from searchsvc.domain import Trial, is_id
from searchsvc.errors import InvalidInput
from searchsvc.service.exports import export
from searchsvc.service.exports.export import Format
from searchsvc.service.exports.source import Source
from searchsvc.service.use_cases.context import ServiceContext


class ExportService:
    """The use cases of exports."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def formats(self, job_id: str) -> Mapping[str, Format]:
        """Return the formats in which a job can be exported, by name."""
        return export.formats_of_job(self._context.job(job_id))

    def write(
        self,
        job_id: str,
        *,
        format: str,  # noqa: A002 - the word of the CLI
        destination: Path,
        trial: str | None = None,
        keep: Callable[[Trial], bool] | None = None,
    ) -> Path:
        """Export a job to `destination` (a file or a folder), and return the file that was written.

        A format of a single trial exports `trial`, or by default the best trial. A format of many trials exports all
        candidates, or those that pass `keep`. An existing file is replaced in a single step.
        """
        context, job = self._context, self._context.job(job_id)
        if context.children is not None and keep is None and export.is_heavy(format):
            how = {"format": format, "destination": destination, "trial": trial}
            written: Path = context.children.run("export", "exports.write", job.id, **how)
            return written
        chosen = context.trial(trial if "/" in trial or is_id(trial) else f"{job.id}/{trial}") if trial else None
        if chosen is not None and chosen.job_id != job.id:
            raise InvalidInput.at("/trial", f"belongs to job {chosen.job_id}, not to {job.id}")
        source = Source(context.store, context.settings.artifacts_dir, job, chosen, keep)
        return export.export(source, format=format, destination=destination)

"""Questions about labels, a single set per job, and the verdicts of raters."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from searchsvc.domain import Relabelling, Verdict
from searchsvc.errors import NotFound
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import relabelling_of, row_of
from searchsvc.store.tables import jobs, relabellings, verdicts


class RelabelOperations(StoreBase):
    """The part of the Store for relabelling. Repeating a write has no further effect."""

    def put_relabelling(self, relabelling: Relabelling) -> None:
        """Replace the job's questions; verdicts stay. Raises NotFound if the job does not exist."""
        row = {
            "job_id": relabelling.job_id,
            "questions": {"images": relabelling.images, "labels": relabelling.labels},
            "made_from": dict(relabelling.made_from),
            "created_at": relabelling.created_at,
        }

        def transaction(connection: Connection) -> None:
            _lock(connection, relabelling.job_id)
            connection.execute(delete(relabellings).where(relabellings.c.job_id == relabelling.job_id))
            connection.execute(insert(relabellings), row)

        self._database.write(transaction)

    def relabelling(self, job_id: str) -> Relabelling | None:
        rows = self._rows(select(relabellings).where(relabellings.c.job_id == job_id))
        return relabelling_of(rows[0]) if rows else None

    def put_verdict(self, job_id: str, verdict: Verdict) -> None:
        """Store a verdict, which replaces the rater's earlier verdict. Raises NotFound if the job does not exist."""
        self._replace_verdict(job_id, verdict.rater, verdict.image, verdict.label, verdict)

    def delete_verdict(self, job_id: str, rater: str, image: int, label: int) -> None:
        """Remove the rater's verdict on a question."""
        self._replace_verdict(job_id, rater, image, label, None)

    def verdicts(self, job_id: str, *, rater: str | None = None) -> list[Verdict]:
        """Return the verdicts of a rater, or of all raters, ordered by rater, image and label."""
        query = select(verdicts).where(verdicts.c.job_id == job_id)
        if rater is not None:
            query = query.where(verdicts.c.rater == rater)
        query = query.order_by(verdicts.c.rater, verdicts.c.image, verdicts.c.label)
        return self._records(Verdict, query)

    def _replace_verdict(self, job_id: str, rater: str, image: int, label: int, verdict: Verdict | None) -> None:
        same = (verdicts.c.job_id == job_id) & (verdicts.c.rater == rater)
        same &= (verdicts.c.image == image) & (verdicts.c.label == label)

        def transaction(connection: Connection) -> None:
            _lock(connection, job_id)
            connection.execute(delete(verdicts).where(same))
            if verdict is not None:
                connection.execute(insert(verdicts), {"job_id": job_id, **row_of(verdict)})

        self._database.write(transaction)


def _lock(connection: Connection, job_id: str) -> None:
    """Lock the job, so that writers of the same row take turns and the job cannot be deleted during the write."""
    query = select(jobs.c.id).where(jobs.c.id == job_id, jobs.c.deleted_at.is_(None)).with_for_update(key_share=True)
    if connection.execute(query).first() is None:
        raise NotFound(f"there is no job {job_id}")

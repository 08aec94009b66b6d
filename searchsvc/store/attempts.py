"""Reading attempts, their artifacts, and the nodes of the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, select

from searchsvc.domain import Artifact, Attempt, JobState, Node, Trial, TrialState
from searchsvc.store.base import StoreBase
from searchsvc.store.rows import record_of
from searchsvc.store.tables import artifacts, attempts, leases, trials
from searchsvc.store.trials import BY_AGE, of_jobs


class AttemptReads(StoreBase):
    """The part of the Store that reads attempts, artifacts and nodes."""

    def attempts(self, trial_id: str) -> list[Attempt]:
        """Return the attempts of a trial, the first attempt first."""
        query = select(attempts).where(attempts.c.trial_id == trial_id).order_by(attempts.c.number)
        return self._records(Attempt, query)

    def running_attempts(self, states: Sequence[JobState], limit: int) -> list[tuple[Trial, Attempt]]:
        """Return running attempts of the jobs in `states`, the oldest trial first."""
        query = select(trials).where(*of_jobs(states, TrialState.RUNNING)).order_by(*BY_AGE).limit(limit)
        running = {trial.id: trial for trial in self._records(Trial, query)}
        rows = self._rows(select(attempts).where(attempts.c.trial_id.in_(running)))
        latest = {row["trial_id"]: row for row in rows if row["number"] == running[row["trial_id"]].attempts}
        return [(trial, record_of(Attempt, latest[key])) for key, trial in running.items() if key in latest]

    def job_attempts(self, job_id: str, limit: int) -> list[tuple[int, Attempt]]:
        """Return (number of the trial, attempt) of a job, the newest trials first."""
        query = select(attempts, trials.c.number.label("trial_number")).join(trials).where(trials.c.job_id == job_id)
        rows = self._rows(query.order_by(trials.c.number.desc(), attempts.c.number.desc()).limit(limit))
        return [(row["trial_number"], record_of(Attempt, row)) for row in rows]

    def artifacts(self, trial_id: str) -> list[Artifact]:
        """Return the artifacts of a trial by name."""
        query = select(artifacts).where(artifacts.c.trial_id == trial_id).order_by(artifacts.c.name)
        return self._records(Artifact, query)

    def job_artifacts(self, job_id: str) -> list[Artifact]:
        """Return the artifacts of a job by number of the trial, then by name."""
        query = select(artifacts).join(trials).where(trials.c.job_id == job_id)
        return self._records(Artifact, query.order_by(trials.c.number, artifacts.c.name))

    def reported_nodes(self) -> dict[str, tuple[Node, ...]]:
        """Return the nodes of the cluster as the live driver of each job last reported them, by job.

        Jobs whose driver has reported no nodes are left out.
        """

        def read(connection: Connection) -> Sequence[RowMapping]:
            is_live = leases.c.deadline > self._now(connection)
            query = select(leases.c.job_id, leases.c.nodes).where(is_live, leases.c.nodes.is_not(None))
            return connection.execute(query).mappings().all()

        rows = self._database.read(read)
        return {row["job_id"]: tuple(Node(**node) for node in row["nodes"]) for row in rows}

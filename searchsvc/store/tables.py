"""Tables as SQLAlchemy Core metadata. `migrations` brings a database to this state; a test compares the two.

JSON columns are text in both databases (PostgreSQL's `json`, not `jsonb`), so that a number keeps its type and digits.
Times are Unix seconds. States are the names of `searchsvc.domain.states`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Double,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    select,
    text,
)
from sqlalchemy.sql.visitors import iterate
from sqlalchemy.types import TypeDecorator

from searchsvc.domain import TrialKind, TrialState

SCHEMA_VERSION = "0012"
"""Migration that this code requires."""

VERSION_TABLE = "searchsvc_schema"
"""Alembic's version table, under a name of our own, so that two tools can share a database."""


class Words(TypeDecorator[str]):
    """Text of any origin, such as a traceback: characters that PostgreSQL rejects (NUL, surrogates) are replaced."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Id(Words):
    """An id, compared byte by byte, so that UUIDv7 ids sort by time in every locale."""

    cache_ok = True

    impl = Text().with_variant(Text(collation="C"), "postgresql")  # type: ignore[assignment]  # an instance is allowed


State = String(16)
Sequence = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts only an INTEGER PRIMARY KEY by itself
Document = JSON(none_as_null=True)

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_by_%(column_0_N_name)s",
        "uq": "%(table_name)s_unique_%(column_0_N_name)s",
        "fk": "%(table_name)s_%(column_0_name)s_to_%(referred_table_name)s",
        "pk": "%(table_name)s_key",
    }
)


def _of_job(*, primary_key: bool = False) -> Column[str]:
    to_jobs = ForeignKey("jobs.id", ondelete="CASCADE")
    return Column("job_id", Id, to_jobs, nullable=False, primary_key=primary_key)


def _of_trial(*, primary_key: bool = False) -> Column[str]:
    to_trials = ForeignKey("trials.id", ondelete="CASCADE")
    return Column("trial_id", Id, to_trials, nullable=False, primary_key=primary_key)


def total_of(state: TrialState) -> str:
    """Return the name of the column of `jobs` that counts the job's trials in `state`."""
    return f"trials_{state.value.lower()}"


jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words, nullable=False),
    Column("spec", Document, nullable=False),
    Column("state", State, nullable=False),
    Column("request", State),
    Column("reason", Words),
    Column("owner", Words),
    Column("owner_id", Id),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Column("seconds_used", Double, nullable=False),
    Column("gpu_seconds_used", Double, nullable=False),
    # Work of algorithms and of trials, summed up for the metrics of the service.
    Column("asks", Integer, nullable=False, server_default="0"),
    Column("ask_seconds", Double, nullable=False, server_default="0"),
    Column("training_seconds", Double, nullable=False, server_default="0"),
    Column("epoch", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("data_pins", Document),  # fingerprints of the files that the job learns from
    # Running totals of the job's trials: reading them takes the same time for any number of trials.
    *(Column(total_of(state), Integer, nullable=False) for state in TrialState),
    Column("rejected", Document, nullable=False),
    Column("answered", Integer, nullable=False),
    # A deleted job is invisible from then on; its rows are removed in parts, the row of the job last.
    Column("deleted_at", Double),
    # Marks of the last change and the last batch, which show whether an interrupted commit succeeded.
    Column("last_change", String(36)),
    Column("last_batch", String(36)),
    Index(None, "state", "id"),
    Index(None, "name", "id"),
    Index(None, "owner_id", "state"),
)
IS_DELETED = jobs.c.deleted_at.is_not(None)
_DELETED = select(jobs.c.id).where(IS_DELETED)
"""Condition for jobs whose rows are being removed."""
Index("jobs_by_deleted_at", jobs.c.deleted_at, postgresql_where=IS_DELETED, sqlite_where=IS_DELETED)

trials = Table(
    "trials",
    metadata,
    Column("id", Id, primary_key=True),
    _of_job(),
    Column("number", Integer, nullable=False),
    Column("state", State, nullable=False),
    Column("candidate", Document, nullable=False),
    Column("asks", Integer, nullable=False),
    Column("told_before", Integer, nullable=False),
    Column("rejected", Document, nullable=False),
    Column("answered", Document, nullable=False),
    Column("costs", Document, nullable=False),
    Column("in_full", Boolean, nullable=False, server_default=false()),
    Column("kind", State, nullable=False, server_default=TrialKind.CANDIDATE.value),
    Column("metrics", Document),
    Column("best_step", Integer),
    Column("badness", Double, key="minimised_objective"),  # best value of the first objective, smaller is better
    Column("step", Integer, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("failure", State),
    Column("reason", Words),
    Column("told", Integer),
    Column("attempts", Integer, nullable=False),
    Column("test_metrics", Document),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    UniqueConstraint("job_id", "number"),
    Index(None, "job_id", "state", "number"),
    Index("trials_by_told", "job_id", "told"),
)

_WITH_RESULT = ", ".join(f"'{state.value}'" for state in TrialState if state.has_result)
_RANKED = f"state IN ({_WITH_RESULT}) AND badness IS NOT NULL"
RANKED = text(f"trials.state IN ({_WITH_RESULT}) AND trials.badness IS NOT NULL")
"""Trials with a result. As text, since SQLite uses a partial index only for exactly the condition of its definition."""

Index(
    "trials_by_badness",
    trials.c.job_id,
    trials.c.minimised_objective,
    trials.c.number,
    postgresql_where=text(_RANKED),
    sqlite_where=text(_RANKED),
)

TOTALS = tuple(jobs.c[total_of(state)] for state in TrialState)
"""The running totals of a job's trials."""

attempts = Table(
    "attempts",
    metadata,
    _of_trial(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", State, nullable=False),
    Column("failure", State),
    Column("message", Words),
    Column("node", Words),
    Column("pid", Integer),
    Column("started_at", Double, nullable=False),
    Column("finished_at", Double),
)

measurements = Table(
    "measurements",
    metadata,
    Column("id", Sequence, primary_key=True, autoincrement=True),
    Column("job_id", Id, nullable=False),
    _of_trial(),
    Column("trial_number", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("metrics", Document, nullable=False),
    Column("seconds", Double, nullable=False),
    UniqueConstraint("trial_id", "step"),
    Index(None, "job_id", "id"),
    sqlite_autoincrement=True,  # an id is never reused, even after deletions
)

events = Table(
    "events",
    metadata,
    Column("sequence", Sequence, primary_key=True, autoincrement=True),
    Column("job_id", Id, nullable=False),  # no foreign key: `job.deleted` outlives its job
    Column("trial_id", Id),
    Column("kind", Words, nullable=False),
    Column("data", Document, nullable=False),
    Column("at", Double, nullable=False),
    Index(None, "job_id", "sequence"),
    sqlite_autoincrement=True,
)

rounds = Table(
    "rounds",
    metadata,
    _of_job(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", Document, nullable=False),
    Column("at", Double, nullable=False),
)

artifacts = Table(
    "artifacts",
    metadata,
    _of_trial(primary_key=True),
    Column("name", Words, primary_key=True),
    Column("path", Words, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
)

relabellings = Table(
    "relabellings",
    metadata,
    _of_job(primary_key=True),
    Column("questions", Document, nullable=False),
    Column("made_from", Document, nullable=False),
    Column("created_at", Double, nullable=False),
)

verdicts = Table(
    "verdicts",
    metadata,
    _of_job(primary_key=True),
    Column("rater", Words, primary_key=True),
    Column("image", Integer, primary_key=True, autoincrement=False),
    Column("label", Integer, primary_key=True, autoincrement=False),
    Column("accepted", Boolean, nullable=False),
    Column("at", Double, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    _of_job(primary_key=True),
    Column("holder", Words, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("deadline", Double, nullable=False),
    Column("last_mark", String(36)),  # of the claim or heartbeat that last wrote the row
    Column("nodes", Document),  # nodes of the cluster as last reported by the driver
)

controllers = Table(
    "controllers",
    metadata,
    Column("holder", Words, primary_key=True),
    Column("host", Words, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("turns", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("last_error", Words),
    Column("drivers", Integer, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Words, nullable=False),
    Column("scope", Words, nullable=False),
    Column("secret_hash", Words, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    Column("used_at", Double),
)

requests = Table(
    "requests",
    metadata,
    Column("owner_id", Id, primary_key=True),  # a token
    Column("key", Words, primary_key=True),
    Column("fingerprint", Words, nullable=False),
    Column("id", Id, nullable=False),
    Column("holder", Words),  # the try that carries the request out
    Column("held_until", Double, nullable=False),
    Column("status", Integer),  # NULL until the request is carried out
    Column("headers", Document),
    Column("body", LargeBinary),
    Column("created_at", Double, nullable=False, index=True),
)

idempotency = Table(  # written by earlier versions only
    "idempotency",
    metadata,
    Column("owner", Words, primary_key=True),  # "" if there is none
    Column("key", Words, primary_key=True),
    Column("request_hash", Words, nullable=False),
    Column("job_id", Id, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Double, nullable=False, index=True),
)

JOB_DELETED = "job.deleted"
"""Kind of the only event that remains of a deleted job."""


def of_existing_jobs(query: Select[Any]) -> Select[Any]:
    """Leave deleted jobs, and all rows that belong to them, out of a query."""
    condition = _of_existing_job(_tables(query.columns_clause_froms))
    if condition is None:  # a table with a job's id is only joined, if at all: to find it compiles the query, in 1 ms
        tables = _tables(query.get_final_froms())
        condition = _of_existing_job(tables)
        if condition is None:
            condition = _of_existing_trial(tables)
    return query if condition is None else query.where(condition)


def _tables(sources: Iterable[FromClause]) -> dict[str, Table]:
    elements = (element for source in sources for element in iterate(source))
    return {element.name: element for element in elements if isinstance(element, Table)}


def _of_existing_job(tables: Mapping[str, Table]) -> ColumnElement[bool] | None:
    """Return the condition for rows that have a job's id; None if none of the tables has it."""
    if "jobs" in tables:
        return jobs.c.deleted_at.is_(None)
    if "events" in tables:
        return (events.c.kind == JOB_DELETED) | events.c.job_id.not_in(_DELETED)
    with_job = (table for table in tables.values() if "job_id" in table.c)
    return next((table.c.job_id.not_in(_DELETED) for table in with_job), None)


def _of_existing_trial(tables: Mapping[str, Table]) -> ColumnElement[bool] | None:
    """Return the condition for rows that have a trial's id; None if none of the tables has it."""
    for table in tables.values():
        if "trial_id" in table.c:  # a scalar subquery: planners turn joins and EXISTS into scans of all trials
            job_id = select(trials.c.job_id).where(trials.c.id == table.c.trial_id).scalar_subquery()
            return job_id.not_in(_DELETED)
    return None

"""The first schema: jobs, trials, attempts, measurements, events, artifacts, leases, tokens, idempotency records."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
RANKED = sa.text("state IN ('SUCCEEDED', 'STOPPED') AND badness IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("sequence", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("trial_id", ID, nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="events_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_job_id_sequence", "events", ["job_id", "sequence"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("request", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("seconds_used", sa.Double(), nullable=False),
        sa.Column("gpu_seconds_used", sa.Double(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("trials_queued", sa.Integer(), nullable=False),
        sa.Column("trials_running", sa.Integer(), nullable=False),
        sa.Column("trials_succeeded", sa.Integer(), nullable=False),
        sa.Column("trials_stopped", sa.Integer(), nullable=False),
        sa.Column("trials_failed", sa.Integer(), nullable=False),
        sa.Column("trials_cancelled", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sa.Column("last_change", sa.String(length=36), nullable=True),
        sa.Column("last_batch", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name="jobs_key"),
    )
    op.create_index("jobs_by_name_id", "jobs", ["name", "id"], unique=False)
    op.create_index("jobs_by_state_id", "jobs", ["state", "id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="tokens_key"),
        sa.UniqueConstraint("secret_hash", name="tokens_unique_secret_hash"),
    )
    op.create_table(
        "idempotency",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="idempotency_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("owner", "key", name="idempotency_key"),
    )
    op.create_index("idempotency_by_job_id", "idempotency", ["job_id"], unique=False)

    op.create_table(
        "leases",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("deadline", sa.Double(), nullable=False),
        sa.Column("last_mark", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="leases_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="leases_key"),
    )
    op.create_table(
        "trials",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("candidate", sa.JSON(), nullable=False),
        sa.Column("asks", sa.Integer(), nullable=False),
        sa.Column("told_before", sa.Integer(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("answered", sa.JSON(), nullable=False),
        sa.Column("costs", sa.JSON(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=True),
        sa.Column("best_step", sa.Integer(), nullable=True),
        sa.Column("badness", sa.Double(), nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("told", sa.Integer(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("test_metrics", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="trials_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="trials_key"),
        sa.UniqueConstraint("job_id", "number", name="trials_unique_job_id_number"),
    )
    op.create_index(
        "trials_by_badness",
        "trials",
        ["job_id", "badness", "number"],
        unique=False,
        postgresql_where=RANKED,
        sqlite_where=RANKED,
    )
    op.create_index("trials_by_job_id_state_number", "trials", ["job_id", "state", "number"], unique=False)

    op.create_table(
        "artifacts",
        sa.Column("trial_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="artifacts_trial_id_to_trials", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "name", name="artifacts_key"),
    )
    op.create_table(
        "attempts",
        sa.Column("trial_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("node", sa.Text(), nullable=True),
        sa.Column("pid", sa.Integer(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name="attempts_trial_id_to_trials", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "number", name="attempts_key"),
    )
    op.create_table(
        "measurements",
        sa.Column("id", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("trial_id", ID, nullable=False),
        sa.Column("trial_number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trials.id"], name="measurements_trial_id_to_trials", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="measurements_key"),
        sa.UniqueConstraint("trial_id", "step", name="measurements_unique_trial_id_step"),
        sqlite_autoincrement=True,
    )
    op.create_index("measurements_by_job_id_id", "measurements", ["job_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_table("measurements")
    op.drop_table("attempts")
    op.drop_table("artifacts")
    op.drop_table("trials")
    op.drop_table("leases")
    op.drop_table("idempotency")
    op.drop_table("tokens")
    op.drop_table("jobs")
    op.drop_table("events")

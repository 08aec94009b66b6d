"""Mark deleted jobs, whose rows are removed in parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("deleted_at", sa.Double(), nullable=True))
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index("jobs_by_deleted_at", "jobs", ["deleted_at"], postgresql_where=deleted, sqlite_where=deleted)


def downgrade() -> None:
    deleted = "SELECT id FROM jobs WHERE deleted_at IS NOT NULL"
    op.execute(f"DELETE FROM events WHERE kind <> 'job.deleted' AND job_id IN ({deleted})")
    op.execute("DELETE FROM jobs WHERE deleted_at IS NOT NULL")
    op.drop_index("jobs_by_deleted_at", "jobs")
    op.drop_column("jobs", "deleted_at")

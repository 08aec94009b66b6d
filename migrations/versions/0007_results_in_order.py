"""Add an index of results in the order in which algorithms received them, so that the newest are found quickly."""

from __future__ import annotations

from alembic import op


revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("trials_by_told", "trials", ["job_id", "told"])


def downgrade() -> None:
    op.drop_index("trials_by_told", "trials")

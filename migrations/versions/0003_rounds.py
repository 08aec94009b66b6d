"""Add rounds of an algorithm, and trials that no stopping rule may end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("trials", sa.Column("in_full", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "rounds",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="rounds_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "number", name="rounds_key"),
    )


def downgrade() -> None:
    op.drop_table("rounds")
    op.drop_column("trials", "in_full")

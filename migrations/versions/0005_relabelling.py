"""Add relabelling: questions about the labels of a job's validation images, and the answers of raters."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "relabellings",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("questions", sa.JSON(), nullable=False),
        sa.Column("made_from", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="relabellings_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name="relabellings_key"),
    )
    op.create_table(
        "verdicts",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("rater", sa.Text(), nullable=False),
        sa.Column("image", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("label", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="verdicts_job_id_to_jobs", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "rater", "image", "label", name="verdicts_key"),
    )


def downgrade() -> None:
    op.drop_table("verdicts")
    op.drop_table("relabellings")

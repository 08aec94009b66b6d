"""Add the sums of the time that proposals and trainings took, for the metrics of the service."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("asks", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("ask_seconds", sa.Double(), nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("training_seconds", sa.Double(), nullable=False, server_default="0"))


def downgrade() -> None:
    for name in ("training_seconds", "ask_seconds", "asks"):
        op.drop_column("jobs", name)

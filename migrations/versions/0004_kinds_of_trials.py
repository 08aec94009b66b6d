"""Add trials that train a supernet, in addition to those of candidates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("kind", sa.String(16), nullable=False, server_default="candidate"))


def downgrade() -> None:
    op.drop_column("trials", "kind")

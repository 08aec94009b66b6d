"""Store the nodes of the cluster that drivers report with their leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leases", sa.Column("nodes", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("leases", "nodes")

"""Add an index that finds old idempotency records."""

from __future__ import annotations

from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("idempotency_by_created_at", "idempotency", ["created_at"], unique=False)


def downgrade() -> None:
    op.drop_index("idempotency_by_created_at", table_name="idempotency")

"""Store the answers to requests with an idempotency key, and the tokens behind owners and raters by their ids.

A rater whose name belongs to a single token becomes that token; verdicts under a name of several tokens keep it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "requests",
        sa.Column("owner_id", ID, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("held_until", sa.Double(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key", name="requests_key"),
    )
    op.create_index("requests_by_created_at", "requests", ["created_at"], unique=False)
    op.add_column("jobs", sa.Column("owner_id", ID, nullable=True))
    op.create_index("jobs_by_owner_id_state", "jobs", ["owner_id", "state"], unique=False)
    op.execute(
        "UPDATE verdicts SET rater = (SELECT tokens.id FROM tokens WHERE tokens.name = verdicts.rater)"
        " WHERE (SELECT count(*) FROM tokens WHERE tokens.name = verdicts.rater) = 1"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE verdicts SET rater = (SELECT tokens.name FROM tokens WHERE tokens.id = verdicts.rater)"
        " WHERE rater IN (SELECT id FROM tokens WHERE name NOT IN"
        " (SELECT name FROM tokens GROUP BY name HAVING count(*) > 1))"
    )
    op.drop_index("jobs_by_owner_id_state", table_name="jobs")
    op.drop_column("jobs", "owner_id")
    op.drop_index("requests_by_created_at", table_name="requests")
    op.drop_table("requests")

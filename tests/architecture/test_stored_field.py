"""A stored field of trials is added in four source files, and appears wherever users see trials."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIELD = "peak_memory_bytes"
BYTES = 123_456_789

MIGRATION = f'''"""Peak memory of trials."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{{last}}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("{FIELD}", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("trials", "{FIELD}")
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages, with the field added."""
    ignored = shutil.ignore_patterns("__pycache__")
    for package in ("searchsvc", "api", "workers", "migrations"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    add_after(
        tmp_path / "searchsvc/domain/records.py",
        '    finished_at: Annotated[Time | None, Shown("Time at which the trial ended.")]\n',
        f'    {FIELD}: Annotated[int | None, Shown("Peak memory of its training.", heading="Peak memory")] = None\n',
    )
    tables = tmp_path / "searchsvc/store/tables.py"
    add_after(tables, '    Column("test_metrics", Document),\n', f'    Column("{FIELD}", BigInteger),\n')
    last = max(path.name[:4] for path in (tmp_path / "migrations/versions").glob("[0-9]*.py"))
    tables.write_text(tables.read_text().replace(f'SCHEMA_VERSION = "{last}"', 'SCHEMA_VERSION = "9999"'))
    (tmp_path / "migrations/versions/9999_peak_memory.py").write_text(MIGRATION.format(last=last))
    add_after(
        tmp_path / "searchsvc/store/batch.py",
        '        row["reason"] = _last_line(outcome.message)\n',
        f'        row["{FIELD}"] = {BYTES}\n',
    )
    return tmp_path


def test_a_new_field_appears_in_rest_cli_exports_and_page(tree: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("shown_everywhere.py")
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(script), FIELD, str(tmp_path / "data")]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "domain": BYTES,
        "rest": BYTES,
        "searchctl trials": BYTES,
        "searchctl show": BYTES,
        "csv": str(BYTES),
        "optuna": BYTES,
        "row of the page": BYTES,
        "columns of the page": ["Peak memory"],
    }


def add_after(path: Path, line: str, added: str) -> None:
    content = path.read_text()
    assert content.count(line) == 1, f"{path} changed: {line}"
    path.write_text(content.replace(line, line + added))

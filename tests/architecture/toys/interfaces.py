"""Toys that users touch: an export, a stored field of trials, a command, a panel of the job page."""

from __future__ import annotations

from tests.architecture.toys.toy import Toy, after

FIELD, BYTES = "peak_memory_bytes", 123_456_789

EXPORT = Toy(
    "an export of trained networks",
    {
        "workers/export/toy.py": '''\
"""`toy`: the classes of a classifier, a line each."""

from __future__ import annotations

from pathlib import Path

from searchsvc.domain.trial_task import TrialTask
from workers.models.trained import Classifier


def write(classifier: Classifier, task: TrialTask, destination: Path) -> None:  # noqa: ARG001 - every writer takes it
    """Write the file."""
    destination.write_text("\\n".join(classifier.card.classes), encoding="utf-8")
''',
        "tests/unit/workers/export/test_toy.py": '''\
"""The export `toy`."""

from workers.export import EXPORTERS
from workers.tasks.classification import TASK


def test_every_format_of_the_task_has_a_writer() -> None:
    assert set(TASK.exports) == set(EXPORTERS["classification"].writers)
    assert TASK.exports["toy"].suffix == ".txt"
''',
    },
    {
        "workers/tasks/classification.py": [
            after(
                "    exports = MappingProxyType(\n        {\n", '            "toy": ExportFormat("classes", ".txt"),\n'
            )
        ],
        "docs/cli.md": [
            after("| format | of | what is written |\n|---|---|---|\n", "| `toy` | a trial | its classes |\n")
        ],
        "workers/export/__init__.py": [
            ("import onnx, script\n", "import onnx, script, toy\n"),
            ('"script": script.write}', '"script": script.write, "toy": toy.write}'),
        ],
        "api/cli/commands/export.py": [('help="weights, ', 'help="toy, weights, ')],
    },
)

COMMAND = Toy(
    "a command",
    {
        "api/cli/commands/toy.py": '''\
"""searchctl toy: the number of spaces."""

from __future__ import annotations

import typer

from api.cli.options import AsJson
from api.cli.output import emit, say
from api.cli.session import session


def toy(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Count the spaces."""
    with session(ctx).client() as client:
        count = len(list(client.items("/spaces")))
    return emit({"spaces": count}) if as_json else say(str(count))
''',
        "tests/unit/api/cli/test_toy.py": '''\
"""searchctl toy."""

from searchsvc.spaces.catalogue import SPACES
from tests.unit.api.cli.conftest import Searchctl


def test_it_counts_the_spaces(searchctl: Searchctl) -> None:
    assert searchctl("toy", "--json").document == {"spaces": len(SPACES)}
''',
    },
    {
        "api/cli/main.py": [after('    "Catalogue": {\n', '        "toy": ("toy:toy", "Count the spaces."),\n')],
        "docs/cli.md": [
            after("## Catalogue\n", "\n### searchctl toy\n\n| | |\n|---|---|\n| `--json` | Print JSON. |\n")
        ],
    },
)

PANEL = Toy(
    "a panel of the job page",
    {
        "api/ui/pages/job/toy.py": '''\
"""The panel `Toy`: the number of trials."""

from __future__ import annotations

from api.ui.context import PageContext
from api.ui.live.job_view import JobView
from api.ui.panel import Panel
from api.ui.parts.widgets import Text
from searchsvc.domain import Job


class TrialCountPanel:
    """A panel with one number."""

    def __init__(self, context: PageContext, job: Job) -> None:
        self._context, self._job = context, job
        self._panel: Panel[int] = Panel(context, "Number of trials", "A toy.", self._read, self._draw)
        with self._panel.content:
            self._text = Text("p", "")

    def show(self, view: JobView) -> None:  # noqa: ARG002 - the signature of every panel
        self._panel.changed()

    def _read(self) -> int:
        return len(self._context.service.trials.attempts_of_job(self._job.id))

    def _draw(self, count: int) -> None:
        self._text.say(str(count))
''',
        "tests/unit/api/ui/test_toy.py": '''\
"""The panel `Toy`."""

from api.ui.pages.job.toy import TrialCountPanel


def test_it_has_the_method_of_every_panel() -> None:
    assert callable(TrialCountPanel.show)
''',
    },
    {
        "api/ui/pages/job/page.py": [
            after("from __future__ import annotations\n", "\nfrom api.ui.pages.job.toy import TrialCountPanel\n"),
            ("panels += [ParametersPanel(", "panels += [TrialCountPanel(context, job), ParametersPanel("),
        ],
        "docs/web.md": [after("## One job\n", "\nThe panel **Number of trials** is a toy.\n")],
    },
)


def stored_field(last: str) -> Toy:
    """Return a field of trials, whose migration follows the migration `last`."""
    return Toy(
        "a stored field of trials",
        {
            "migrations/versions/9999_toy.py": f'''\
"""Peak memory of trials."""

import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{last}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("trials", "peak_memory_bytes")
''',
            "tests/contract/test_store_toy.py": '''\
"""The stored field `peak_memory_bytes`."""

from dataclasses import fields

from searchsvc.domain import Trial
from searchsvc.store.tables import trials


def test_it_is_a_field_and_a_column() -> None:
    assert "peak_memory_bytes" in {field.name for field in fields(Trial)} & set(trials.c.keys())
''',
        },
        {
            "searchsvc/domain/records.py": [
                after(
                    '    finished_at: Annotated[Time | None, Shown("Time at which the trial ended.")]\n',
                    f'    {FIELD}: Annotated[int | None, Shown("Peak memory of it.", heading="Peak memory")] = None\n',
                )
            ],
            "searchsvc/store/tables.py": [
                after('    Column("test_metrics", Document),\n', f'    Column("{FIELD}", BigInteger),\n'),
                (f'SCHEMA_VERSION = "{last}"', 'SCHEMA_VERSION = "9999"'),
            ],
            "searchsvc/store/batch.py": [
                after('        row["reason"] = _last_line(outcome.message)\n', f'        row["{FIELD}"] = {BYTES}\n')
            ],
        },
    )

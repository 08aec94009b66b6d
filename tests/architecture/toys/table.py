"""All toys."""

from __future__ import annotations

import re
from pathlib import Path

from tests.architecture.toys.interfaces import COMMAND, EXPORT, PANEL, stored_field
from tests.architecture.toys.library import ALGORITHM, NECK, SPACE, STOPPING_RULE
from tests.architecture.toys.toy import Toy
from tests.architecture.toys.training import DATASET_FORMAT, LOSS, METRIC, task


def all_toys(root: Path) -> list[Toy]:
    """Return the toys of a tree."""
    last = max(path.name[:4] for path in (root / "migrations/versions").glob("[0-9]*.py"))
    return [
        *(ALGORITHM, STOPPING_RULE, SPACE, NECK, LOSS, METRIC, DATASET_FORMAT, EXPORT, COMMAND, PANEL),
        stored_field(last),
        task(task_template(root)),
    ]


def task_template(root: Path) -> str:
    """Return the module of the task in the documentation."""
    block = re.search(r"^```python\n(.*?)^```", (root / "docs/tasks.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert block
    return block[1]

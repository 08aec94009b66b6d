"""CONTRIBUTING.md names the files of every addition: toys made of these files alone appear wherever users meet them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.install import install
from tests.architecture.toys.interfaces import BYTES, FIELD
from tests.architecture.toys.table import all_toys
from tests.architecture.toys.toy import NAME, NUMBER, TASK, Toy

ROOT = Path(__file__).parents[2]
FOLDERS = {
    **dict.fromkeys(("api", "examples", "migrations", "searchsvc", "workers"), ()),
    "docs": ("screenshots", "*.svg"),
    "tests": ("*.xz", "browser", "chaos"),
}
"""Folders to copy, with patterns of what stays behind."""
FILES = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "mkdocs.yml", "pyproject.toml")
MOST = {
    "a stopping rule": 4,
    "a dataset format": 4,
    "a metric": 3,
    "a stored field of trials": 6,
    "a neck of detectors": 5,
}
"""Largest numbers of files, docs and tests included."""
KINDS = [
    *("algorithm", "stopping rule", "space", "network family", "neck", "backbone", "loss", "metric", "dataset format"),
    *("task", "export", "stored field", "command", "panel", "setting", "benchmark table", "decision"),
]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table "I want to add"."""

    files: tuple[str, ...]
    command: str


def rows() -> dict[str, Row]:
    """Return the rows by their first cell."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    cells = [line.strip("| ").split(" | ") for line in text.partition("| I want to add |")[2].splitlines()[2:]]
    return {row[0]: Row(tuple(re.findall(r"`([^`]+)`", row[1])), row[2].strip("`")) for row in cells if len(row) == 3}


def of_toy(text: str) -> str:
    """Fill in what a row leaves open."""
    return re.sub(r"\bTASK\b", TASK, text.replace("NAME", NAME).replace("NNNN", NUMBER))


ROWS, TOYS = rows(), all_toys(ROOT)


@pytest.mark.parametrize("toy", TOYS, ids=lambda toy: toy.row)
def test_an_addition_needs_the_files_of_its_row(toy: Toy) -> None:
    assert toy.paths == {of_toy(path) for path in ROWS[toy.row].files}


@pytest.mark.parametrize(("row", "most"), MOST.items())
def test_no_addition_needs_more_files_than_promised(row: str, most: int) -> None:
    assert len(ROWS[row].files) <= most


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_files_and_tests_of_the_tree(row: str) -> None:
    new, existing = [], []
    for path in ROWS[row].files:
        (new if re.search("NAME|NNNN", path) else existing).append(Path(of_toy(path)))
    assert [path for path in existing if not (ROOT / path).is_file()] == []
    assert [path for path in new if path.parts[0] != "tests" and not (ROOT / path).parent.is_dir()] == []
    run = {Path(part) for part in shlex.split(of_toy(ROWS[row].command)) if part.startswith("tests/")}
    assert run
    added = {folder for path in new for folder in (path, path.parent)}
    assert [path for path in run - added if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_addition_has_a_row(kind: str) -> None:
    assert any(kind in row for row in ROWS)


def test_the_readme_leads_to_it() -> None:
    assert "](CONTRIBUTING.md" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with every toy, installed."""
    tree = tmp_path_factory.mktemp("tree")
    for folder, left_out in FOLDERS.items():
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", *left_out))
    for file in FILES:
        shutil.copy(ROOT / file, tree / file)
    for toy in TOYS:
        toy.add_to(tree)
    install(tree, (tree / "pyproject.toml").read_text(encoding="utf-8"))
    return tree


def run_in(tree: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_suites_of_the_rows_run_on_the_toys(tree: Path) -> None:
    paths, selections = [], []
    for toy in TOYS:
        _, *arguments = shlex.split(of_toy(ROWS[toy.row].command))
        paths += [argument for argument in arguments if argument.startswith("tests/") and "browser" not in argument]
        selections.append(arguments[arguments.index("-k") + 1])
    selected = " or ".join(dict.fromkeys(selections))
    out = run_in(tree, "-m", "pytest", "-q", "-p", "no:cacheprovider", *dict.fromkeys(paths), "-k", selected)
    assert int(re.findall(r"(\d+) passed", out)[-1]) > len(TOYS)


@pytest.mark.slow
def test_every_toy_appears_where_users_meet_it(tree: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("toys_in_use.py")
    assert json.loads(run_in(tree, str(script), str(tmp_path))) == {
        "algorithm": True,
        "stopping rule": True,
        "space": True,
        "dataset format": True,
        "metric": True,
        "loss": {"class_loss": "toy"},
        "neck": ["fpn", "rfp", "toy"],
        "trial": ["SUCCEEDED", 2],
        "task": ["SUCCEEDED", 3],
        "export": "dark\nlight",
        "command": {"spaces": 8},
        "panel": True,
    }


@pytest.mark.slow
def test_a_new_field_appears_in_rest_cli_exports_and_page(tree: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("shown_everywhere.py")
    shown: dict[str, Any] = json.loads(run_in(tree, str(script), FIELD, str(tmp_path / "data")))
    assert shown == {
        "domain": BYTES,
        "rest": BYTES,
        "searchctl trials": BYTES,
        "searchctl show": BYTES,
        "csv": str(BYTES),
        "optuna": BYTES,
        "row of the page": BYTES,
        "columns of the page": ["Peak memory"],
    }

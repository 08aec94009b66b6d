"""`make bench` has the benchmarks that it lists, and they return rows."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS, WITH_OPTIONS
from benchmarks.report import Row, print_table, with_table

ROOT = Path(__file__).parents[3]
FIELDS = {"what", "ours", "reference", "ratio", "bound", "holds"}


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_listed_benchmark_has_a_run_that_takes_what_it_is_given(name: str) -> None:
    run = inspect.signature(importlib.import_module(f"benchmarks.{name}").run)
    run.bind(*([argparse.Namespace()] if name in WITH_OPTIONS else []))


def test_a_row_is_json_with_its_verdict() -> None:
    row = Row("trials", "90 /s", "100 /s", 0.9, ">= 0.9", True)
    assert json.loads(json.dumps(row.as_json())).keys() == FIELDS


@pytest.mark.parametrize(("holds", "verdict"), [(True, "reached"), (False, "NOT REACHED")])
def test_the_table_says_whether_a_bound_holds(holds: bool, verdict: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Speed", [Row("trials", "90 /s", "100 /s", 0.9, ">= 0.8", holds)])
    assert f">= 0.8 {verdict}" in capsys.readouterr().out


def test_a_table_takes_its_place_in_the_page_and_nothing_else_moves() -> None:
    page = "before\n<!-- web: begin -->\nold\n<!-- web: end -->\nafter\n"
    rows = [Row("trials", "90 /s", "100 /s", 0.9, ">= 0.8", True)]
    made = with_table(page, "web", "Speed", rows)
    assert made.startswith("before\n<!-- web: begin -->\n\n```\nSpeed\n")
    assert made.endswith("```\n<!-- web: end -->\nafter\n")
    assert (">= 0.8 reached" in made, "old" in made) == (True, False)
    assert with_table(made, "web", "Speed", rows) == made
    assert with_table(page, "pages", "Speed", rows) == page


def test_startup_runs_and_answers_in_json() -> None:
    command = [sys.executable, "-m", "benchmarks", "startup", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["startup"]
    assert [row["what"] for row in rows] == ["searchctl --help", "searchctl list, a service running"]
    assert all(row.keys() == FIELDS for row in rows)


def test_an_unknown_benchmark_is_refused_with_the_known_ones() -> None:
    command = [sys.executable, "-m", "benchmarks", "speed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "startup" in done.stderr

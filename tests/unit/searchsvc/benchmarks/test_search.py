"""`make bench ARGS=search`: searches are run and stored, and the documentation has their results."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import smac
from benchmarks.search import rows_of
from benchmarks.search_results import BEGIN, END, PAGE, Results, between_marks, markdown
from searchsvc.benchmarks import BenchmarkTable, ProblemFacts, RunKey, Search, Trajectory, noisy_problem
from searchsvc.domain import Objective

ROOT = Path(__file__).parents[4]


def bench(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "search", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Results in which the reference reaches -1/3 at 80, and random search does not."""
    results = Results(tmp_path / "results.json", {"p": ProblemFacts(Objective(metric="loss", goal="minimize"), 0.1)})
    steps = {"tpe": ((1, -2.0), (80, -1 / 3)), "random": ((1, -2.0),)}
    for algorithm, changes in steps.items():
        results.runs[RunKey("p", algorithm, 1, 0, 100)] = Search(Trajectory(changes), Trajectory(changes), 1.5)
    return results


def test_results_are_read_as_they_were_written(results: Results) -> None:
    results.write()
    assert Results.read(results.path) == results


def test_a_missing_file_has_no_runs(tmp_path: Path) -> None:
    assert Results.read(tmp_path / "none.json").runs == {}


def test_the_markdown_table_has_the_best_first_and_marks_targets_that_were_not_reached(results: Results) -> None:
    lines = markdown(results).splitlines()
    assert lines[0] == "**p**: loss 0.3333 found, 0.3333 chosen by TPE at 100; the best is 0.1."
    assert lines[4].startswith("| tpe | 1 | 1 | 0.80 (0.80 to 0.80) |")
    assert lines[5].startswith("| random | 1 | 1 | ∞ (∞ to ∞) |")


def test_the_tables_take_the_place_of_those_that_a_page_has(results: Results) -> None:
    page = f"# Benchmarks\n{BEGIN}\nold\n{END}\nafter\n"
    changed = between_marks(page, markdown(results))
    assert changed == f"# Benchmarks\n{BEGIN}\n{markdown(results)}{END}\nafter\n"
    assert between_marks(changed, markdown(results)) == changed


def test_the_page_has_the_tables_of_the_stored_results() -> None:
    path = ROOT / "benchmarks/results/search.json"
    page = PAGE.read_text(encoding="utf-8")
    assert between_marks(page, markdown(Results.read(path)) if path.exists() else "") == page


def test_our_algorithm_has_its_bounds_on_each_problem_and_over_all(results: Results) -> None:
    for problem, reached in (("p", 30), ("q", 20), ("r", 40)):
        results.facts[problem] = results.facts["p"]
        for name, at in (("tpe", 80), ("fbnetv3", reached)):
            trajectory = Trajectory(((1, -2.0), (at, -1 / 3)))
            results.runs[RunKey(problem, name, 1, 0, 100)] = Search(trajectory, trajectory, 1.0)
    bounded = [(row.what, row.ratio, row.holds) for row in rows_of(results) if row.bound]
    assert bounded == [
        ("p, fbnetv3", 0.3, True),
        ("q, fbnetv3", 0.2, True),
        ("r, fbnetv3", 0.4, False),
        ("median over problems, fbnetv3", 0.3, False),
    ]


def test_a_target_that_was_not_reached_has_no_ratio(results: Results) -> None:
    [random, _] = rows_of(results)
    assert (random.ours, random.reference, random.ratio) == ("over 100", "100  tpe, 0.3333", None)


def test_a_small_comparison_runs_once_and_is_then_read(real_tables: Path, tmp_path: Path) -> None:
    shared, path = str(real_tables.parents[1].resolve()), tmp_path / "results.json"
    options = ["--problems", "fcnet-protein", "--algorithms", "random", "--seeds", "2", "--evaluations", "15"]
    first = bench(*options, "--results", str(path), "--json", SEARCHSVC_SHARED=shared)
    assert first.returncode == 0, first.stderr
    rows = json.loads(first.stdout)["search"]
    assert [row["what"] for row in rows] == ["fcnet-protein, random", "fcnet-protein, tpe"]
    assert rows[0]["reference"].startswith("15  tpe, 0.")
    assert len(Results.read(path).runs) == 4
    written = path.stat().st_mtime_ns
    assert bench(*options, "--results", str(path), "--json", SEARCHSVC_SHARED=shared).stdout == first.stdout
    assert path.stat().st_mtime_ns == written


def test_searches_of_another_length_are_refused(results: Results, real_tables: Path) -> None:
    results.write()
    shared = str(real_tables.parents[1].resolve())
    done = bench("--results", str(results.path), "--evaluations", "30", SEARCHSVC_SHARED=shared)
    assert done.returncode == 1
    assert "holds searches of 100 evaluations, not 30" in done.stderr


def test_an_unknown_problem_is_refused_and_all_problems_are_listed(real_tables: Path) -> None:
    done = bench("--problems", "fcnet-protein:flops", SEARCHSVC_SHARED=str(real_tables.parents[1].resolve()))
    assert done.returncode == 1
    assert "no cost 'flops' in this table; it has params; a problem is one of nasbench201-cifar10" in done.stderr


def test_without_the_tables_it_says_so(tmp_path: Path) -> None:
    done = bench("--json", SEARCHSVC_SHARED=str(tmp_path))
    assert "set SEARCHSVC_SHARED" in json.loads(done.stdout)["search"][0]["ours"]


@pytest.mark.slow
def test_smac_stays_within_limits(table: BenchmarkTable) -> None:
    if not smac.installed():
        pytest.skip("SMAC3 is not installed: pip install --constraint constraints.txt -e '.[bench]'")
    problem = noisy_problem("table:params", table, seed=0)
    searcher = smac.SmacSearch(problem.statement, 0, 10)
    candidates = []
    while len(candidates) < 6:
        [candidate] = searcher.ask(1)
        searcher.tell(candidate, problem.evaluate(candidate, len(candidates)))
        candidates.append(candidate)
    assert {evaluated.values["n_units"] for evaluated in candidates} == {16}
    assert len(set(candidates)) == 6
    assert searcher.ask(1) == []

"""Evaluations that algorithms need to reach the value of multivariate TPE at 100, on tables of real trainings.

Every search sees the result of one training, drawn by the seed of the search and the number of the evaluation; it is
judged by the mean over the trainings of the table. A problem `TABLE:COST` has a hard limit on the cost, which a quarter
of the candidates meet. Tables are read from SEARCHSVC_SHARED (default ../shared).

`make bench ARGS="search --problems fcnet-protein --algorithms tpe random --seeds 4"` takes some seconds.
"""

from __future__ import annotations

import argparse
import multiprocessing as mp
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import smac
from benchmarks.report import Row
from benchmarks.search_results import Results
from searchsvc.algorithms import ALGORITHMS
from searchsvc.benchmarks import (
    REFERENCE,
    TABLES,
    ProblemFacts,
    ProposerSearch,
    RunKey,
    Score,
    Search,
    Searcher,
    Statement,
    noisy_problem,
    run_search,
    table_of,
)
from searchsvc.errors import NotFound

FOLDER = Path(os.environ.get("SEARCHSVC_SHARED", "../shared")) / "data/tables"
PROBLEMS = (*TABLES, "nasbench201-cifar10:flops", "nasbench201-cifar10:latency_raspi4_ms")
OURS = "fbnetv3"
OTHERS = ("tpe", "gp", "nsga2", "evolution", "random", smac.NAME)
OPTIONS: Mapping[str, Mapping[str, Any]] = {"nsga2": {"population": 20}}
"""Options of algorithms. At its default of 50, NSGA-II has one generation in 100 evaluations."""
UNFIT = ("cmaes", "given", "autohas")
"""Methods that do not search tables of choices by themselves."""
THIRD, QUARTER = 1 / 3, 1 / 4


def add_options(parser: argparse.ArgumentParser) -> None:
    names = [name for name in (*ALGORITHMS, smac.NAME) if name not in UNFIT]
    group = parser.add_argument_group("options of search")
    group.add_argument("--problems", nargs="+", default=PROBLEMS, metavar="TABLE[:COST]", help=" ".join(PROBLEMS))
    group.add_argument("--algorithms", nargs="+", default=None, choices=names, metavar="NAME", help=" ".join(names))
    group.add_argument("--seeds", type=int, default=4, help="searches of each algorithm on each problem")
    group.add_argument("--evaluations", type=int, default=100, help="evaluations of each search")
    group.add_argument("--batches", type=int, nargs="+", default=[1], help="sizes of batches; 1: one at a time")
    group.add_argument("--results", type=Path, help="JSON file: searches found there are not run again, new ones added")


def run(arguments: argparse.Namespace) -> list[Row]:
    """Run the requested searches that the file of results lacks, and return the rows of all requested searches."""
    if not FOLDER.is_dir():
        return [Row("search", f"no tables at {FOLDER}: set SEARCHSVC_SHARED", "")]
    results = _results(arguments)
    names = arguments.algorithms or [name for name in (OURS, *OTHERS) if name in ALGORITHMS or name == smac.NAME]
    missing = [name for name in names if name == smac.NAME and not smac.installed()]
    wanted = list(_wanted(arguments, [name for name in names if name not in missing]))
    for key, search in _searches([key for key in wanted if key not in results.runs]):
        results.runs[key] = search
        results.write()
    chosen = Results(None, results.facts, {key: results.runs[key] for key in wanted})
    absent = [Row(name, "not installed: pip install '.[bench]'", "") for name in missing]
    return [*rows_of(chosen), *absent]


def _results(arguments: argparse.Namespace) -> Results:
    """Return the results in the file, with the facts of the requested problems."""
    results = Results.read(arguments.results)
    if results.runs and results.evaluations != arguments.evaluations:
        held = f"{arguments.results} holds searches of {results.evaluations} evaluations"
        sys.exit(f"{held}, not {arguments.evaluations}: name another file")
    try:
        results.facts |= {problem: _facts(problem) for problem in arguments.problems}
    except NotFound as error:
        sys.exit(f"{error}; a problem is one of {', '.join(PROBLEMS)}, or such a table with another cost")
    return results


def _wanted(arguments: argparse.Namespace, names: Sequence[str]) -> Iterator[RunKey]:
    """Return the requested searches, the reference first, so that a run that is cut short can be judged."""
    ordered = [(REFERENCE, 1), *((name, batch) for name in names for batch in arguments.batches)]
    for name, batch in dict.fromkeys(ordered):
        for problem in arguments.problems:
            for seed in range(arguments.seeds):
                yield RunKey(problem, name, batch, seed, arguments.evaluations)


# ---- searches, in processes of their own ----------------------------------------------------------------------------


def _searches(keys: Sequence[RunKey]) -> Iterator[tuple[RunKey, Search]]:
    """Yield searches as they end. Each uses one thread: matrices are small, and other searches use the cores."""
    os.environ |= {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
    with ProcessPoolExecutor(os.cpu_count(), mp.get_context("spawn")) as pool:
        try:
            for future in as_completed([pool.submit(_search, key) for key in keys]):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _search(key: RunKey) -> tuple[RunKey, Search]:
    problem = noisy_problem(key.problem, _table(key.problem), key.seed)
    searcher = _searcher(key, problem.statement)
    return key, run_search(problem, searcher, key.evaluations, key.batch)


def _searcher(key: RunKey, statement: Statement) -> Searcher:
    if key.algorithm == smac.NAME:
        return smac.SmacSearch(statement, key.seed, key.evaluations)
    return ProposerSearch(key.algorithm, statement, key.seed, OPTIONS.get(key.algorithm, {}))


@cache
def _table(problem: str) -> Any:
    return table_of(problem, FOLDER)


def _facts(problem: str) -> ProblemFacts:
    made = noisy_problem(problem, _table(problem), 0)
    return ProblemFacts(made.statement.objective, made.optimum)


# ---- rows ------------------------------------------------------------------------------------------------------------


def rows_of(results: Results) -> list[Row]:
    """Return a row per problem and algorithm; for ours, also the median over the problems."""
    scores = results.scores()
    return [*(_row(score, results) for score in scores), *_over_problems(scores)]


def _row(score: Score, results: Results) -> Row:
    what = f"{score.problem}, {_name(score)}"
    reached = score.found.median * results.mark
    ours = f"{reached:.0f} evaluations" if reached < float("inf") else f"over {results.evaluations}"
    target = results.targets(score.problem)["found"]
    reference = f"{results.mark}  {REFERENCE}, {target:.4g}"
    ratio = score.found.median if reached < float("inf") else None
    if score.algorithm != OURS:
        return Row(what, ours, reference, ratio)
    return Row(what, ours, reference, ratio, "<= 0.33", score.found.median <= THIRD)


def _over_problems(scores: Sequence[Score]) -> list[Row]:
    """Return the row of our algorithm's median over the problems."""
    batches = sorted({score.batch for score in scores if score.algorithm == OURS})
    rows = []
    for batch in batches:
        ratio = statistics.median(one.found.median for one in scores if (one.algorithm, one.batch) == (OURS, batch))
        name = f"median over problems, {OURS}" + (f" in batches of {batch}" if batch > 1 else "")
        rows.append(Row(name, f"{ratio:.2f}", f"1  {REFERENCE}", ratio, "<= 0.25", ratio <= QUARTER))
    return rows


def _name(score: Score) -> str:
    return score.algorithm + (f" in batches of {score.batch}" if score.batch > 1 else "")

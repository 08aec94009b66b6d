"""The contribution of each part of the predictor and of FBNetV3's search, on tables of real trainings.

A search sees single trainings; it is judged by the mean over the trainings of the table. Figures are means over repeats
with their standard errors. Tables are read from SEARCHSVC_SHARED (default ../shared).

`make bench ARGS="ablation --parts early-stop"` takes some seconds.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import ablation_figures as figures
from benchmarks.ablation_figures import Figure
from benchmarks.report import Row
from benchmarks.search import FOLDER
from searchsvc.benchmarks import TABLES, table_of
from searchsvc.predictors.constrained_search import ENUMERABLE


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("options of ablation")
    group.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART", help=" ".join(PARTS))
    group.add_argument("--repeats", type=int, default=10, help="draws of labels, or of first trials, per figure")
    group.add_argument("--figures", type=Path, help="JSON file that keeps the figures, those of other parts too")


def run(arguments: argparse.Namespace) -> list[Row]:
    """Measure the requested parts and return their rows."""
    if not FOLDER.is_dir():
        return [Row("ablation", f"no tables at {FOLDER}: set SEARCHSVC_SHARED", "")]
    os.environ["OMP_NUM_THREADS"] = "1"  # of the processes that are started
    measured = [one for part in arguments.parts for one in PARTS[part](arguments.repeats)]
    figures.write(arguments.figures, merged(figures.read(arguments.figures), measured))
    return figures.rows_of(measured)


def merged(stored: Sequence[Figure], measured: Sequence[Figure]) -> list[Figure]:
    """Return the stored figures, with the tables that were measured again replaced and new tables at the end."""
    again = {one.part for one in measured}
    parts = dict.fromkeys(one.part for one in (*stored, *measured))
    return [one for part in parts for one in (measured if part in again else stored) if one.part == part]


# ---- parts: imported when they run, as torch takes its time -------------------------------------------------------


def _predictors(repeats: int) -> Iterator[Figure]:
    from benchmarks.ablation_predictor import predictors

    for name in TABLES:
        yield from predictors(name, table_of(name, FOLDER), repeats)


def _stage_2(repeats: int) -> Iterator[Figure]:
    """Measure the tables that stage 2 does not simply enumerate."""
    from benchmarks.ablation_predictor import stage_2

    for name in TABLES:
        table = table_of(name, FOLDER)
        if len(table.means) > ENUMERABLE:
            yield from stage_2(name, table, repeats)


def _early_stop(repeats: int) -> Iterator[Figure]:
    from benchmarks.ablation_early_stop import early_stop, read_curves

    yield from early_stop(read_curves(FOLDER / "lcbench_curves.npz"), repeats)


def _speed(repeats: int) -> Iterator[Figure]:  # noqa: ARG001 - it has its own rounds
    from benchmarks.ablation_speed import speed

    yield from speed()


PARTS: Mapping[str, Callable[[int], Iterator[Figure]]] = {
    "predictor": _predictors,
    "early-stop": _early_stop,
    "stage-2": _stage_2,
    "speed": _speed,
}

"""The page docs/studies/autohas.md and its figures, made of the results of `benchmarks.studies.autohas`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from benchmarks.studies.autohas import RESULTS, arms
from benchmarks.studies.pages import COLOURS, at, begin, save, so_far, spread, write
from benchmarks.studies.ranks import rank_correlation

FOLDER = RESULTS.parent
ARMS = tuple(arm.name for arm in arms(1))
SHARING = tuple(arm.name for arm in arms(1) if arm.shares_weights)
PALETTE = dict(zip(ARMS, COLOURS, strict=True))

Row = Mapping[str, Any]


def main() -> None:
    begin()
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8"))
    minutes = sum(row["seconds"] for row in rows) / 60 / 2
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    sections = [_section(dataset, [row for row in rows if row["dataset"] == dataset]) for dataset in datasets]
    write(FOLDER / "autohas.md", "\n".join([f"The study took {minutes:.0f} minutes on two cores.\n", *sections]))


def _section(dataset: str, rows: Sequence[Row]) -> str:
    joint = _of_kind(rows, "joint")
    _curves(dataset, joint)
    lines = [f"## {dataset}", "", f"![Best accuracy by epochs spent](autohas-{dataset}.svg)", ""]
    lines += ["### Joint search", "", *_arms(joint), ""]
    lines += ["### At the compute of AutoHAS", "", *_equal(joint), ""]
    lines += ["### The hyperparameter half alone", "", *_recipes(rows), ""]
    for row in _of_kind(rows, "ranks"):
        _scatter(dataset, row)
        lines += ["### Shared weights as judges", "", _correlation(row), ""]
        lines += [f"![Accuracy with shared weights and alone](autohas-{dataset}-ranks.svg)", ""]
    return "\n".join(lines)


def _of_kind(rows: Iterable[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def _arms(rows: Iterable[Row]) -> list[str]:
    """Return the table of the accuracy and the cost of each arm."""
    rows = list(rows)
    lines = ["| arm | validation, % | test, % | epochs | seconds |", "|---|---|---|---|---|"]
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        cells = [spread([row[key] for row in own]) for key in ("accuracy", "test_accuracy")]
        cells += [f"{np.mean([_epochs(row) for row in own]):.0f}", f"{np.mean([_seconds(row) for row in own]):.0f}"]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _equal(rows: Iterable[Row]) -> list[str]:
    """Return the table at equal cost: the others' best at each variant's cost, and their cost to draw level."""
    rows = list(rows)
    head = " | ".join(f"{one}: so far, %" for one in SHARING)
    lines = [f"| arm | {head} | times its compute to reach {SHARING[0]} |", "|---|" + "---|" * (len(SHARING) + 1)]
    for arm in ARMS:
        if arm in SHARING:
            continue
        cells = []
        for variant in SHARING:
            pairs = [(_steps(row), _epochs(_partner(rows, variant, row))) for row in rows if row["arm"] == arm]
            cells.append(spread([float(np.nan_to_num(at(np.array([spent]), *steps)[0])) for steps, spent in pairs]))
        lines.append(f"| {arm} | {' | '.join(cells)} | {_times(rows, arm)} |")
    return lines


def _times(rows: Sequence[Row], arm: str) -> str:
    """Return, per seed, an arm's epochs until it was as good, over those of the first variant; or `never`."""
    ratios = []
    for row in rows:
        if row["arm"] != arm:
            continue
        ours = _partner(rows, SHARING[0], row)
        spent, best = _steps(row)
        reached = spent[best >= ours["accuracy"]]
        ratios.append(
            f"{reached[0] / _epochs(ours):.1f}" if len(reached) else f"never in {spent[-1] / _epochs(ours):.1f}"
        )
    return ", ".join(ratios)


def _partner(rows: Iterable[Row], arm: str, row: Row) -> Row:
    return next(one for one in rows if one["arm"] == arm and one["seed"] == row["seed"])


def _recipes(rows: Sequence[Row]) -> list[str]:
    """Return the table of the same network trained by fixed recipes and by recipes found."""
    lines = ["| recipe of the default network | validation, % | test, % |", "|---|---|---|"]
    compared = [*_of_kind(rows, "training"), *_of_kind(rows, "recipe")]
    for arm in dict.fromkeys(row["arm"] for row in compared):
        own = [row for row in compared if row["arm"] == arm]
        cells = [spread([row[key] for row in own]) for key in ("accuracy", "test_accuracy")]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _correlation(row: Row) -> str:
    value, low, high = rank_correlation(row["shared"], row["alone"])
    return (
        f"Spearman's correlation of the accuracies of {len(row['alone'])} architectures with shared weights and "
        f"trained by themselves: {value:.2f} (95 % interval {low:.2f} to {high:.2f})."
    )


def _epochs(row: Row) -> float:
    return float(sum(trial["epochs"] for trial in row["trials"]))


def _seconds(row: Row) -> float:
    return float(sum(trial["seconds"] for trial in row["trials"]))


def _steps(row: Row) -> tuple[np.ndarray, np.ndarray]:
    return so_far([one["epochs"] for one in row["trials"]], [one["accuracy"] for one in row["trials"]])


def _curves(dataset: str, rows: Iterable[Row]) -> None:
    """Draw the best validation accuracy so far over epochs spent: a thin line per seed, a thick line for their mean."""
    rows = list(rows)
    figure, axes = plt.subplots(figsize=(8, 4))
    grid = np.geomspace(5, max(_epochs(row) for row in rows), 400)
    for arm in ARMS:
        values = 100 * np.array([at(grid, *_steps(row)) for row in rows if row["arm"] == arm])  # (seeds, g)
        values[values == 0] = np.nan  # a supernet is no result
        axes.plot(grid, values.T, color=PALETTE[arm], linewidth=0.6, alpha=0.5)
        axes.plot(grid, values.mean(axis=0), color=PALETTE[arm], linewidth=2, label=arm)
    worst = 100 * min(row["accuracy"] for row in rows)
    axes.set(xlabel="epochs spent", ylabel="best validation accuracy, %", title=dataset, ylim=(worst - 6, None))
    axes.set_xscale("log")
    axes.legend(frameon=False, loc="lower right")
    save(figure, axes, FOLDER / f"autohas-{dataset}.svg")


def _scatter(dataset: str, row: Row) -> None:
    figure, axes = plt.subplots(figsize=(5, 4))
    axes.scatter(100 * np.array(row["shared"]), 100 * np.array(row["alone"]), color=COLOURS[0])
    axes.set(xlabel="accuracy with shared weights, %", ylabel="accuracy trained alone, %", title=dataset)
    save(figure, axes, FOLDER / f"autohas-{dataset}-ranks.svg")


if __name__ == "__main__":
    main()

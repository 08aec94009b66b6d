"""The page docs/studies/fbnetv3.md and its figures, made of the results of `benchmarks.studies.fbnetv3`."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from benchmarks.studies.fbnetv3 import RESULTS, arms
from benchmarks.studies.pages import at, begin, save, so_far, spread, write

FOLDER = RESULTS.parent
ARMS = tuple(arm.name for arm in arms(1, {}))
COLOURS = dict(zip(ARMS, ("#0b6e4f", "#5fad8a", "#9fd3bf", "#c05621", "#8a8f98"), strict=True))

Row = Mapping[str, Any]


def main() -> None:
    begin()
    report = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows: list[Row] = report["rows"]
    searches = [row for row in rows if row["kind"] == "search"]
    datasets = list(dict.fromkeys(row["dataset"] for row in searches))
    for dataset in datasets:
        _curves(dataset, [row for row in searches if row["dataset"] == dataset])
    parts = [f"The study took {report['minutes']:.0f} minutes on two cores.\n"]
    for dataset in datasets:
        own = [row for row in rows if row["dataset"] == dataset]
        parts += [_section(dataset, own)]
    write(FOLDER / "fbnetv3.md", "\n".join(parts))


def _section(dataset: str, rows: Sequence[Row]) -> str:
    searches = [row for row in rows if row["kind"] == "search"]
    trials = len(searches[0]["trials"])
    lines = [f"## {dataset}", "", f"![Best accuracy so far](fbnetv3-{dataset}.svg)", ""]
    lines += [f"{trials} trials an arm. Best validation accuracy within each limit, and its test accuracy, per cent:"]
    lines += ["", *_limits(searches), "", *_compute(searches), ""]
    for kind, title in (("ema", "The best network and recipe, with and without EMA"), ("transfer", "Recipe transfer")):
        compared = [row for row in rows if row["kind"] == kind]
        if compared:
            lines += [f"### {title}", "", *_labels(compared), ""]
    return "\n".join(lines)


def _limits(searches: Iterable[Row]) -> list[str]:
    """Return a table with arms down and limits across: mean over seeds and range."""
    searches = list(searches)
    limits = searches[0]["limits"]
    head = " | ".join(f"{limit / 1e3:,.0f} k: validation | test" for limit in limits)
    lines = [f"| arm | {head} |", "|---|" + "---|---|" * len(limits)]
    for arm in ARMS:
        cells = []
        for limit in limits:
            best = [one for row in searches if row["arm"] == arm for one in row["best"] if one["limit"] == limit]
            cells += [spread([one[key] for one in best]) for key in ("accuracy", "test_accuracy")]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _compute(searches: Iterable[Row]) -> list[str]:
    """Return the table of epochs and seconds that each arm trained for."""
    lines = ["| arm | epochs trained | seconds |", "|---|---|---|"]
    searches = list(searches)
    for arm in ARMS:
        own = [row for row in searches if row["arm"] == arm]
        epochs = np.mean([sum(trial["epochs"] for trial in row["trials"]) for row in own])
        seconds = np.mean([sum(trial["seconds"] for trial in row["trials"]) for row in own])
        lines.append(f"| {arm} | {epochs:.0f} | {seconds:.0f} |")
    return lines


def _labels(rows: Iterable[Row]) -> list[str]:
    by_label: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_label[row["label"]].append(row)
    lines = ["| | trainings | validation | test |", "|---|---|---|---|"]
    for label, own in sorted(by_label.items()):
        cells = [spread([row[key] for row in own]) for key in ("accuracy", "test_accuracy")]
        lines.append(f"| {label} | {len(own)} | {' | '.join(cells)} |")
    return lines


def _curves(dataset: str, searches: Iterable[Row]) -> None:
    """Draw the best validation accuracy so far over epochs trained: thin lines per seed, a thick line for the mean."""
    searches = list(searches)
    figure, axes = plt.subplots(figsize=(8, 4))
    for arm in ARMS:
        own = [_steps(row) for row in searches if row["arm"] == arm]
        grid = np.arange(1, max(epochs[-1] for epochs, _ in own) + 1)
        values = np.array([at(grid, *steps) for steps in own])  # (seeds, g)
        axes.plot(grid, values.T, color=COLOURS[arm], linewidth=0.6, alpha=0.5)
        axes.plot(grid, values.mean(axis=0), color=COLOURS[arm], linewidth=2, label=arm)
    worst = min(_steps(row)[1][-1] for row in searches)
    axes.set(xlabel="epochs trained", ylabel="best validation accuracy, %", title=dataset, ylim=(worst - 4, None))
    axes.legend(frameon=False, loc="lower right")
    save(figure, axes, FOLDER / f"fbnetv3-{dataset}.svg")


def _steps(row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Return the epochs trained and the best accuracy so far, in per cent, after each trial."""
    trials = row["trials"]
    accuracies = [100 * (trial["metrics"] or {}).get("accuracy", 0.0) for trial in trials]
    return so_far([trial["epochs"] for trial in trials], accuracies)


if __name__ == "__main__":
    main()

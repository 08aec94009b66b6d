"""The page docs/studies/detection.md and its figure, made of the results of `benchmarks.studies.detection`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from benchmarks.studies.detection import BASELINE, CONTROL, METRICS, PARTS, RESULTS, SEARCHES
from benchmarks.studies.pages import COLOURS, at, begin, save, so_far, spread, write

FOLDER = RESULTS.parent
PALETTE = dict(zip(SEARCHES, COLOURS, strict=False))
_NOISE = 2
"""A gain counts as different from 0 if its mean is more than this number of standard errors away."""

Row = Mapping[str, Any]


def main() -> None:
    begin()
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8"))
    minutes = sum(row["seconds"] for row in rows) / 60 / 2
    datasets = dict.fromkeys(row["dataset"] for row in rows)
    lines = [f"The study took {minutes:.0f} minutes on two cores.", ""]
    for dataset in datasets:
        lines += _section(dataset, [row for row in rows if row["dataset"] == dataset])
    write(FOLDER / "detection.md", "\n".join(lines))


def _section(dataset: str, rows: Sequence[Row]) -> list[str]:
    parts, searches = ([row for row in rows if row["kind"] == kind] for kind in ("part", "search"))
    lines = [f"## {dataset}", ""]
    if parts:
        lines += ["### Parts", "", *_parts(parts), ""]
    if searches:
        _curves(dataset, searches)
        lines += ["### fbnetv3 compared with random search", "", *_searches(searches), ""]
        lines += [f"![Best AP by epochs trained](detection-{dataset}.svg)", ""]
    return lines


def _parts(rows: Sequence[Row]) -> list[str]:
    """Return the table of each part's AP on test images, its gain, and the published gain."""
    lines = [
        "| detector | MFLOPs | AP, % | AP50, % | AP75, % | gain in AP, points | sign | in the paper |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part in PARTS:
        own = [row for row in rows if row["arm"] == part.name]
        if not own:
            continue
        cells = [f"{np.mean([row['flops'] for row in own]) / 1e6:.0f}"]
        cells += [spread([row["test"][one] for row in own]) for one in METRICS]
        cells += ["", ""] if part.name == BASELINE else _gain(rows, part.name, BASELINE)
        lines.append(f"| {part.name} | {' | '.join(cells)} | {part.paper} |")
    size, sign = _gain(rows, "+ RFP", CONTROL)
    return [*lines, "", f"RFP over the FPN of as many FLOPs: {size} points ({sign})."] if size else lines


def _gain(rows: Sequence[Row], arm: str, over: str) -> list[str]:
    """Return mean and range over seeds of the differences in AP, and their sign."""
    own, others = ({row["seed"]: 100 * row["test"]["ap"] for row in rows if row["arm"] == one} for one in (arm, over))
    gains = np.array([ap - others[seed] for seed, ap in own.items() if seed in others])
    if not len(gains):
        return ["", ""]
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
    sign = "unclear" if abs(gains.mean()) < _NOISE * error else "+" if gains.mean() > 0 else "-"
    return [f"{gains.mean():+.1f} ({gains.min():+.1f} to {gains.max():+.1f})", sign]


def _searches(rows: Sequence[Row]) -> list[str]:
    """Return the table of the precision and the cost of each arm."""
    lines = ["| arm | validation AP, % | test AP, % | epochs | seconds |", "|---|---|---|---|---|"]
    for arm in SEARCHES:
        own = [row for row in rows if row["arm"] == arm]
        cells = [spread([row[split]["ap"] for row in own]) for split in ("validation", "test")]
        cells += [f"{np.mean([_total(row, what) for row in own]):.0f}" for what in ("epochs", "seconds")]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return lines


def _total(row: Row, what: str) -> float:
    return float(sum(trial[what] for trial in row["trials"]))


def _steps(row: Row) -> tuple[np.ndarray, np.ndarray]:
    return so_far([one["epochs"] for one in row["trials"]], [one["ap"] for one in row["trials"]])


def _curves(dataset: str, rows: Sequence[Row]) -> None:
    """Draw the best validation AP so far over epochs trained: a thin line per seed, a thick line for their mean."""
    figure, axes = plt.subplots(figsize=(8, 4))
    for arm in SEARCHES:
        own = [_steps(row) for row in rows if row["arm"] == arm]
        grid = np.arange(1, max(spent[-1] for spent, _ in own) + 1)
        values = 100 * np.array([at(grid, *steps) for steps in own])  # (seeds, g)
        axes.plot(grid, values.T, color=PALETTE[arm], linewidth=0.6, alpha=0.5)
        axes.plot(grid, values.mean(axis=0), color=PALETTE[arm], linewidth=2, label=arm)
    axes.set(xlabel="epochs trained", ylabel="best validation AP, %", title=dataset, ylim=(0, None))
    axes.legend(frameon=False, loc="lower right")
    save(figure, axes, FOLDER / f"detection-{dataset}.svg")


if __name__ == "__main__":
    main()

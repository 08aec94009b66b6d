"""The page docs/studies/data.md and its figures, made of the results of `benchmarks.studies.pretraining`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from benchmarks.studies.pages import COLOURS, begin, save, write
from benchmarks.studies.pretraining import DETECTOR, LEVELS, RESULTS, SURER
from benchmarks.studies.pretraining_tables import (
    ARMS,
    WAYS,
    by_threshold,
    gain_of,
    gain_table,
    gains,
    pseudo_labels,
    rankings,
    reached,
    relabelled,
    signs,
)
from searchsvc.domain.parameters import number
from searchsvc.service.results.gains import Gain

FOLDER = RESULTS.parent

Row = Mapping[str, Any]


def main() -> None:
    begin()
    rows: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8"))
    minutes = sum(row["seconds"] for row in rows) / 60 / 2
    lines = [f"The study took {minutes:.0f} minutes on two cores.", ""]
    parts, surer, labels = ([row for row in rows if row["kind"] == kind] for kind in ("part", "surer", "labels"))
    ours = DETECTOR["pseudo_threshold"]
    every = {name: gains(row for row in parts if row["dataset"] == name) for name in _names(parts)}
    if every:
        lines += ["## The paper's signs", "", *signs(every), ""]
    for name, gains_of_dataset in every.items():
        own, others = ([row for row in of if row["dataset"] == name] for of in (parts, surer))
        lines += _section(name, own, gains_of_dataset)
        if others:
            alike = [row for row in own if row["seed"] in {one["seed"] for one in others}]
            lines += [
                "### By threshold",
                "",
                *by_threshold({ours: alike, SURER: others}, _fractions(gains_of_dataset)),
                "",
            ]
    if labels:
        _scatter(labels)
        lines += ["## Labels", "", *rankings(labels), "", "![Accuracies and the truth](data-labels.svg)", ""]
        lines += ["### Answers of the raters", "", *relabelled(labels), ""]
    write(FOLDER / "data.md", "\n".join(lines))


def _names(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row["dataset"] for row in rows))


def _section(name: str, rows: Sequence[Row], all_gains: Sequence[Gain]) -> list[str]:
    fractions = _fractions(all_gains)
    what = "AP" if rows[0]["metric"] == "ap" else "accuracy"
    before = f"The pre-trained network has an {what} of {100 * rows[0]['source']:.1f} % on its own data."
    lines = [f"## {name}", "", before, ""]
    lines += [f"### {what[:1].upper()}{what[1:]} on test images, %", "", *reached(rows, fractions), ""]
    lines += ["### Gains, points", "", *gain_table(all_gains, fractions), ""]
    for level in LEVELS:
        _figure(name, level, all_gains, fractions, what)
        lines += [f"![Gains over scratch by the share of the data, {level}](data-{name}-{level}.svg)", ""]
    return [*lines, "### Pseudo labels", "", *pseudo_labels(rows, fractions), ""]


def _fractions(all_gains: Sequence[Gain]) -> list[float]:
    return sorted({number(one.cell.values["data_fraction"]) for one in all_gains})


def _figure(name: str, level: str, all_gains: Sequence[Gain], fractions: Sequence[float], what: str) -> None:
    """Draw gains over scratch by the share of the data, with intervals; the arms are shifted slightly apart."""
    figure, axes = plt.subplots(figsize=(7, 3.6))
    for place, (arm, changed) in enumerate(ARMS.items()):
        cells = [gain_of(all_gains, fraction, level, changed, {}) for fraction in fractions]
        own = [(fraction, one.gain) for fraction, one in zip(fractions, cells, strict=True) if one]
        x = [100 * fraction * 1.05 ** (place - 1) for fraction, _ in own]
        y = np.array([one.value for _, one in own])
        lows = y - [one.value if one.low is None else one.low for _, one in own]
        highs = [one.value if one.high is None else one.high for _, one in own] - y
        axes.errorbar(x, y, (lows, highs), color=COLOURS[place], marker="o", capsize=3, label=arm)
    axes.axhline(0, color="#8a8f98", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([100 * one for one in fractions], [f"{100 * one:g} %" for one in fractions])
    axes.minorticks_off()
    axes.set(xlabel="labelled images", ylabel=f"gain in {what}, points", title=f"{name}, {level}")
    axes.legend(frameon=False)
    save(figure, axes, FOLDER / f"data-{name}-{level}.svg")


def _scatter(rows: Sequence[Row]) -> None:
    """Draw both accuracies of each trial over the truth on the same images."""
    figure, axes = plt.subplots(figsize=(5.5, 4))
    for place, way in enumerate(WAYS):
        pairs = np.array([[one["truth"], one[way]] for row in rows for one in row["trials"]])
        axes.scatter(*(100 * pairs.T), color=COLOURS[2 * place], s=14, label=way)
    ends = axes.get_xlim()
    axes.plot(ends, ends, color="#8a8f98", linewidth=0.8)
    axes.set(xlabel="truth on validation images, %", ylabel="measured, %")
    axes.legend(frameon=False, title="ranked by")
    save(figure, axes, FOLDER / "data-labels.svg")


if __name__ == "__main__":
    main()

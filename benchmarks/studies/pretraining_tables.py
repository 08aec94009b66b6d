"""The tables of docs/studies/data.md: the results of `benchmarks.studies.pretraining` next to the papers' claims."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.studies.pretraining import LEVELS
from benchmarks.studies.ranks import rank_correlation
from searchsvc.domain import Objective
from searchsvc.domain.parameters import number
from searchsvc.service.results.gains import Gain, MeasuredTrial, compute_gains
from searchsvc.service.results.intervals import MeanEstimate

PLAIN: Mapping[str, Any] = {"data_fraction": 1.0, "init": "scratch", "self_training": False, "augmentation": "S1"}
STUDENT, BEFORE = {"self_training": True}, {"init": "pretrained"}
BOTH = {**BEFORE, **STUDENT}
ARMS: Mapping[str, Mapping[str, Any]] = {"self-trained": STUDENT, "pre-trained": BEFORE, "both": BOTH}
"""Arms that are compared with a network from scratch without self-training."""
INITS = ("scratch", "pretrained")
RANKED = ("truth", "test")
WAYS = ("accuracy", "reassessed")

Row = Mapping[str, Any]


# ---- parts of the data -----------------------------------------------------------------------------------------------


def gains(rows: Iterable[Row]) -> tuple[Gain, ...]:
    """Return the gains that `searchctl report` would show for the trainings, by their test images, in points."""
    trials = [
        MeasuredTrial({**one["values"], "replicate": row["seed"] + 1}, {"points": 100 * one["test"]})
        for row in rows
        for one in row["trainings"]
        if "test" in one
    ]
    return compute_gains(trials, PLAIN, PLAIN, Objective(metric="points"))


def gain_of(
    all_gains: Iterable[Gain], fraction: float, level: str, changed: Mapping[str, Any], over: Mapping[str, Any]
) -> Gain | None:
    """Return the gain of a cell over the cell with the plain values of the changed parameters and the values `over`."""
    wanted = {"data_fraction": fraction, "augmentation": level, "init": "scratch", "self_training": False, **over}
    cells = (one for one in all_gains if one.changed == changed and one.plain.values == wanted)
    return next(cells, None)


def reached(rows: Sequence[Row], fractions: Sequence[float]) -> list[str]:
    """Return means over seeds, with their intervals."""
    arms = {"scratch": {}, **ARMS}
    lines = [f"| labelled | augmentation | {' | '.join(arms)} |", "|---|---|" + "---|" * len(arms)]
    for fraction in fractions:
        for level in LEVELS:
            own = [one for row in rows for one in _trainings(row, fraction, level)]
            cells = [_range([100 * one["test"] for one in own if _is(one, changed)]) for changed in arms.values()]
            lines.append(f"| {100 * fraction:g} % | {level} | {' | '.join(cells)} |")
    return lines


def _trainings(row: Row, fraction: float, level: str) -> list[Row]:
    """Return the successful trainings of a cell."""
    cell = {"data_fraction": fraction, "augmentation": level}
    return [one for one in row["trainings"] if "test" in one and cell.items() <= one["values"].items()]


def _is(training: Row, changed: Mapping[str, Any]) -> bool:
    values = {**PLAIN, **training["values"]}
    return all(values[name] == changed.get(name, PLAIN[name]) for name in BOTH)


def _range(values: Sequence[float]) -> str:
    if not values:
        return "none"
    count = "" if len(values) > 2 else f", {len(values)} seed(s)"
    return f"{np.mean(values):.1f} ({min(values):.1f} to {max(values):.1f}{count})"


def gain_table(all_gains: Sequence[Gain], fractions: Sequence[float]) -> list[str]:
    head = [*ARMS, "self-trained over pre-trained", "S4 over S1"]
    lines = [f"| labelled | augmentation | {' | '.join(head)} |", "|---|---|" + "---|" * len(head)]
    for fraction in fractions:
        for level in LEVELS:
            cells = [gain_of(all_gains, fraction, level, changed, {}) for changed in ARMS.values()]
            cells.append(gain_of(all_gains, fraction, level, STUDENT, BEFORE))
            stronger = gain_of(all_gains, fraction, "S1", {"augmentation": level}, {})
            texts = [*map(_told, cells), _told(stronger)]
            lines.append(f"| {100 * fraction:g} % | {level} | {' | '.join(texts)} |")
    return lines


def _told(gain: Gain | None) -> str:
    return "" if gain is None else _interval(gain.gain)


def _interval(estimate: MeanEstimate) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.1f}"
    return f"{estimate.value:+.1f} ({estimate.low:+.1f} to {estimate.high:+.1f})"


def pseudo_labels(rows: Sequence[Row], fractions: Sequence[float]) -> list[str]:
    """Return the number and the quality of pseudo labels, by teacher."""
    lines = [
        "| labelled | augmentation | teacher | images | kept, % | precision, % | recall, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for fraction, level, init in itertools.product(fractions, LEVELS, INITS):
        if cells := _of_pseudo_labels(rows, fraction, level, init):
            lines.append(f"| {100 * fraction:g} % | {level} | {init} | {' | '.join(cells)} |")
    return lines


def _of_pseudo_labels(rows: Sequence[Row], fraction: float, level: str, init: str) -> list[str]:
    """Return images, kept share, precision and recall in %, means over seeds. Empty if there are no pseudo labels."""
    every = [one for row in rows for one in _trainings(row, fraction, level)]
    own = [one["pseudo"] for one in every if one["pseudo"] and one["values"]["init"] == init]
    if not own:
        return []
    share = np.mean([one["kept"] / one["images"] for one in own])
    shares = [np.mean([one[name] or 0.0 for one in own]) for name in ("precision", "recall")]
    return [f"{own[0]['images']:,}", *(f"{100 * one:.1f}" for one in (share, *shares))]


def by_threshold(every: Mapping[float, Sequence[Row]], fractions: Sequence[float]) -> list[str]:
    """Return the table of students of the same teachers, S1, by the score that a box needs to become a pseudo label."""
    lines = [
        "| labelled | teacher | threshold | kept, % | precision, % | recall, % | gain of its student, points |",
        "|---|---|---|---|---|---|---|",
    ]
    gains_by_threshold = {threshold: gains(rows) for threshold, rows in every.items()}
    for fraction, init, (threshold, rows) in itertools.product(fractions, INITS, every.items()):
        gain = gain_of(gains_by_threshold[threshold], fraction, "S1", STUDENT, {"init": init})
        cells = [*_of_pseudo_labels(rows, fraction, "S1", init)[1:], _told(gain)]
        lines.append(f"| {100 * fraction:g} % | {init} | {threshold:g} | {' | '.join(cells)} |")
    return lines


def signs(every: Mapping[str, Sequence[Gain]]) -> list[str]:
    """Return the table of the papers' claims and the findings on each dataset."""
    names = list(every)
    lines = [f"| | in the paper (COCO, AP) | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    claims = {
        "self-training helps at every size": ("+1.3 to +3.4 at 20 %, 50 % and 100 %, S4", _always),
        "... on top of pre-training": ("+2.7 at 20 %, S4", _on_top),
        "its gain is largest with little data": ("+3.4 at 20 %, about +1.3 at 100 %, S4", _by_data(STUDENT)),
        "the gain of pre-training shrinks with data": ("+2.6 at 20 %, -1.0 at 100 %, S4", _by_data(BEFORE)),
        "... and with augmentation": ("about +0.3 with S1, -1.0 with S4, at 100 %", _by_augmentation),
    }
    for claim, (paper, here) in claims.items():
        lines.append(f"| {claim} | {paper} | {' | '.join(here(found) for found in every.values())} |")
    return lines


def _always(all_gains: Sequence[Gain]) -> str:
    return _counted([one for one in all_gains if one.changed == STUDENT and one.plain.values["init"] == "scratch"])


def _on_top(all_gains: Sequence[Gain]) -> str:
    return _counted([one for one in all_gains if one.changed == STUDENT and one.plain.values["init"] == "pretrained"])


def _counted(own: Sequence[Gain]) -> str:
    """Count the cells with a gain above 0, and those whose interval is wholly above or below 0."""
    better, worse = (sum(_side(one.gain) == side for one in own) for side in (1, -1))
    above = sum(one.gain.value > 0 for one in own)
    return f"above 0 in {above} of {len(own)} cells; clearly in {better}, clearly below in {worse}"


def _side(estimate: MeanEstimate) -> int:
    """Return 1 if the whole interval lies above 0, -1 if it lies below, otherwise 0."""
    if estimate.low is None or estimate.high is None:
        return 0
    return int(estimate.low > 0) - int(estimate.high < 0)


def _by_data(changed: Mapping[str, Any]) -> Callable[[Sequence[Gain]], str]:
    """Return a text of the gains from the least to the most data, at each level."""

    def told(all_gains: Sequence[Gain]) -> str:
        fractions = sorted({number(one.cell.values["data_fraction"]) for one in all_gains})
        texts = []
        for level in LEVELS:
            cells = [gain_of(all_gains, fraction, level, changed, {}) for fraction in fractions]
            texts.append(f"{level}: {', '.join(f'{one.gain.value:+.1f}' for one in cells if one)}")
        return "; ".join(texts)

    return told


def _by_augmentation(all_gains: Sequence[Gain]) -> str:
    """Return a text of the mean gains over the sizes."""
    own = [one for one in all_gains if one.changed == BEFORE and not one.plain.values["self_training"]]
    means = {level: [one.gain.value for one in own if one.plain.values["augmentation"] == level] for level in LEVELS}
    return ", ".join(f"{level}: {np.mean(values):+.1f}" for level, values in means.items() if values)


# ---- labels ----------------------------------------------------------------------------------------------------------


def rankings(rows: Sequence[Row]) -> list[str]:
    """Return the table of the agreement of each ranking with the truth, and the regret of its best trial."""
    lines = [
        "| seed | ranked by | correlation with the truth | with that of test images | its best trial | regret |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        for way in WAYS:
            values = [one[way] for one in row["trials"]]
            cells = [_correlation(values, [one[truth] for one in row["trials"]]) for truth in RANKED]
            lost = regret(row, way)
            best = "the best in truth" if lost == 0 else "another"
            lines.append(f"| {row['seed']} | {way} | {' | '.join(cells)} | {best} | {100 * lost:.2f} |")
    means = {way: np.mean([regret(row, way) for row in rows]) for way in WAYS}
    regrets = " and ".join(f"{100 * mean:.2f} by {way}" for way, mean in means.items())
    return [
        *lines,
        "",
        "Correlations are Spearman's, with 95 % bootstrap intervals over trials. Regret: by how many points the trial",
        f"that is chosen is worse on test images than the best one, by the truth; on average {regrets}.",
    ]


def regret(row: Row, way: str) -> float:
    """Return how much worse the trial with the best value is than the best trial on test images; the mean over ties."""
    values, truth = (np.array([one[name] for one in row["trials"]]) for name in (way, "test"))
    return float(truth.max() - truth[values == values.max()].mean())


def _correlation(values: Sequence[float], truth: Sequence[float]) -> str:
    value, low, high = rank_correlation(values, truth)
    return f"{value:.2f} ({low:.2f} to {high:.2f})" if np.isfinite([low, high]).all() else f"{value:.2f}"


def relabelled(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| seed | images | settled | questions | wrong labels dropped | second digits found | right before | after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        counts = [f"{row[f'{kind}_found']} of {row[kind]}" for kind in ("wrong", "double")]
        shares = [f"{row[f'right_{when}'] / row['images']:.1%}" for when in ("before", "after")]
        cells = [str(row[name]) for name in ("seed", "images", "settled", "questions")]
        lines.append(f"| {' | '.join([*cells, *counts, *shares])} |")
    errors = [abs(one["found"] - one["accuracy"]) for row in rows for one in row["raters"]]
    remark = (
        f"The accuracies of the raters were found within {max(errors):.3f}, on average within {np.mean(errors):.3f}."
    )
    return [*lines, "", remark]

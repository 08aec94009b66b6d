"""The early-stop epoch on learning curves: the epochs saved, and how well the ranking there matches the final ranking.

| symbol | meaning | shape |
|---|---|---|
| curves | the best accuracy so far of every trial after each epoch, as the stopping rule sees it | (n, E) |
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.ablation_figures import Figure
from searchsvc.algorithms.stopping.rank_correlation import RankCorrelationOptions
from searchsvc.predictors.early_stop import Curves, early_stop_epoch, rank_correlations

FIRST_TRIALS = (12, 48)
"""Number of first trials: our default, and the paper's."""
THRESHOLD = RankCorrelationOptions().threshold
COLUMNS = ("epoch", "share of epochs saved", "rank correlation of other trials", f"share of {THRESHOLD} or more")


def read_curves(path: Path) -> dict[str, Curves]:
    """Return task -> (n, E) curves of LCBench (Zimmer et al. 2021)."""
    with np.load(path, allow_pickle=False) as arrays:
        accuracies = np.maximum.accumulate(arrays["val_accuracy"].astype(np.float64), axis=2)  # (tasks, n, E)
        return dict(zip(arrays["task_ids"].tolist(), accuracies, strict=True))


def early_stop(curves: Mapping[str, Curves], repeats: int) -> Iterator[Figure]:
    """Yield means over tasks by both rules; each task is the mean of `repeats` draws of its first trials."""
    results: dict[tuple[str, str], list[float]] = defaultdict(list)
    for trials in FIRST_TRIALS:
        for name, rule in _RULES.items():
            for task in curves.values():
                draws = [_stopped(task, trials, rule, seed) for seed in range(repeats)]
                for at, value in zip(COLUMNS, np.mean(draws, axis=0), strict=True):
                    results[f"{name}, {trials} trials", at].append(float(value))
    yield from (Figure.of("Early-stop epoch", *key, values) for key, values in results.items())


def first_epoch(curves: Curves, threshold: float) -> int:
    """Return the first epoch (from 1) that reaches the threshold, regardless of later epochs."""
    return int(np.argmax(rank_correlations(curves) >= threshold)) + 1


_RULES: Mapping[str, Callable[[Curves, float], int]] = {
    "must hold for all later epochs": early_stop_epoch,
    "first epoch that reaches it": first_epoch,
}


def _stopped(curves: Curves, trials: int, rule: Callable[[Curves, float], int], seed: int) -> tuple[float, ...]:
    """Return a value for each column."""
    order = np.random.default_rng(seed).permutation(len(curves))
    epoch = rule(curves[order[:trials]], THRESHOLD)
    rho = float(rank_correlations(curves[order[trials:]][:, [epoch - 1, -1]])[0])
    return float(epoch), 1 - epoch / curves.shape[1], rho, float(rho >= THRESHOLD)

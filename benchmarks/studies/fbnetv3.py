"""`make study-fbnetv3`: joint search of architecture and recipe, compared with its halves, TPE and random search.

On digits and on 5,000 images of MNIST, with the same number of trials for every arm and three seeds. Writes
docs/studies/fbnetv3.json; `benchmarks.studies.fbnetv3_page` makes the page and its figures of it. Takes up to an hour
on two cores.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies import pool
from benchmarks.studies.data import Data, digits, mnist_part
from benchmarks.studies.searching import Trained, best_within, blueprint_of, search, test, train
from searchsvc.spaces.fbnetv3 import space as fbnetv3

RESULTS = Path(__file__).parents[2] / "docs/studies/fbnetv3.json"
SEEDS = (0, 1, 2)
SPACE = "fbnetv3-small"
LIMITS = (0.1, 0.4, 0.9)
"""FLOPs limits, as quantiles of uniformly drawn candidates; the last is the hard limit of every search."""
RECIPE: Mapping[str, Any] = {
    "lr": 0.005,
    "optimizer": "rmsprop",
    "ema": True,
    "dropout": 0.1,
    "drop_path": 0.05,
    "mixup": 0.1,
    "weight_decay": 1e-5,
}
"""A reasonable first recipe: the fixed half if only architectures are searched."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to search."""

    name: str
    algorithm: Mapping[str, Any]
    fix: Mapping[str, Any]
    shows: str


def arms(batch: int, network: Mapping[str, Any]) -> tuple[Arm, ...]:
    """Return five arms, three of which search with FBNetV3."""
    ours = {"name": "fbnetv3", "batch": batch, "top": 3}
    return (
        Arm("joint", ours, {}, "fbnetv3 on architecture and recipe"),
        Arm("architecture only", ours, RECIPE, "fbnetv3, the recipe fixed"),
        Arm("recipe only", ours, network, "fbnetv3, the architecture fixed"),
        Arm("TPE joint", {"name": "tpe"}, {}, "multivariate TPE on both"),
        Arm("random joint", {"name": "random"}, {}, "uniform draws of both"),
    )


def document(data: Data, arm: Arm, seed: int, limit: float) -> dict[str, Any]:
    """Return the job of a search."""
    return {
        "name": f"{data.name}-{arm.name}".replace(" ", "-"),
        "task": "classification",
        "dataset": dict(data.section),
        "space": {"name": SPACE, "fix": {"resolution": data.side, **arm.fix}},
        "objectives": [{"metric": "accuracy", "goal": "maximize"}],
        "constraints": [{"metric": "flops", "max": limit}],
        "algorithm": dict(arm.algorithm),
        "fidelity": {"epochs": data.epochs},
        "budget": {"trials": data.trials},
        "seed": seed,
    }


def limits_of(data: Data, folder: Path) -> list[float]:
    """Return the FLOPs at the quantiles of LIMITS."""
    free = Arm("", {"name": "random"}, {}, "")
    blueprint = blueprint_of(document(data, free, 0, 1e12), folder)
    drawn = blueprint.space.sample(20_000, np.random.default_rng(0))
    return [float(np.round(one, -4)) for one in np.quantile(blueprint.cost_model(drawn)["flops"], LIMITS)]


def run_search(data: Data, arm: Arm, seed: int, limits: Sequence[float]) -> dict[str, Any]:
    """Run a search and test its best trial within each limit."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), document(data, arm, seed, limits[-1])
        trials = search(job, folder)
        chosen = {limit: best_within(trials, "flops", limit) for limit in limits}
        blueprint = blueprint_of(job, folder)
        tested = [_tested(limit, trial, blueprint, folder) for limit, trial in chosen.items() if trial is not None]
    seconds = time.monotonic() - started
    rows = [one.as_json() for one in trials]
    return {
        "kind": "search", "dataset": data.name, "arm": arm.name, "seed": seed, "seconds": seconds,
        "limits": list(limits), "trials": rows, "best": tested,
    }  # fmt: skip


def _tested(limit: float, trial: Trained, blueprint: Any, folder: Path) -> dict[str, Any]:
    assert trial.metrics is not None
    return {
        "limit": limit,
        "number": trial.number,
        "flops": trial.costs["flops"],
        "accuracy": trial.metrics["accuracy"],
        "test_accuracy": test(blueprint, trial, folder)["accuracy"],
    }


def run_training(data: Data, what: str, label: str, values: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """Train a network in full, for a comparison."""
    free = Arm("", {"name": "random"}, {}, "")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blueprint = blueprint_of(document(data, free, seed, 1e12), folder)
        metrics = train(blueprint, values, seed, folder / "0")
        trial = Trained(0, dict(values), {}, metrics, data.epochs, True, 0.0)
        tested = test(blueprint, trial, folder)["accuracy"]
    return {
        "kind": what, "dataset": data.name, "label": label, "seed": seed,
        "accuracy": metrics["accuracy"], "test_accuracy": tested,
    }  # fmt: skip


def comparisons(data: Data, searches: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Yield the trainings after the searches: EMA on and off, and found recipes on other networks."""
    tasks: list[tuple[Any, ...]] = []
    recipes = list(RECIPE)
    for source in searches:
        if source["arm"] != "joint" or not source["best"]:
            continue
        best_values = next(trial for trial in source["trials"] if trial["number"] == source["best"][-1]["number"])[
            "values"
        ]
        for ema in (True, False):
            label = f"ema {'on' if ema else 'off'}"
            tasks += [(data, "ema", label, {**best_values, "ema": ema}, seed) for seed in SEEDS]
        recipe = {name: best_values[name] for name in recipes}
        for network in NETWORKS:
            values = {**_constants(best_values), "resolution": data.side, "network": network, **recipe}
            tasks += [(data, "transfer", f"{network}, found", values, source["seed"])]
    for network in NETWORKS:
        values = {"network": network, "resolution": data.side}
        tasks += [(data, "transfer", f"{network}, default", values, seed) for seed in SEEDS]
    return tasks


NETWORKS = ("resnet10t", "resnet18d")


def _constants(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in ("label_smoothing", "sgd_lr_scale") if name in values}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a fraction of it; nothing is written")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = [digits(5, 20, 8), mnist_part(folder, 3, 12, 5)]
        if arguments.quick:
            sets = [digits(2, 8, 4)]
        rows = _all(sets, folder, SEEDS[:1] if arguments.quick else SEEDS, arguments.processes)
    if not arguments.quick:
        RESULTS.parent.mkdir(exist_ok=True)
        report = {"minutes": (time.monotonic() - started) / 60, "recipe": dict(RECIPE), "rows": rows}
        RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _all(sets: Sequence[Data], folder: Path, seeds: Sequence[int], processes: int) -> list[dict[str, Any]]:
    network = {name: value for name, value in fbnetv3.SMALL.defaults.items() if name in fbnetv3.small_space()}
    rows: list[dict[str, Any]] = []
    with pool.processes(processes) as workers:
        for data in sets:
            limits = limits_of(data, folder)
            jobs = [(data, arm, seed, limits) for seed in seeds for arm in arms(data.batch, network)]
            results = pool.finished(workers, run_search, jobs, _show)
            rows += results
            rows += pool.finished(workers, run_training, comparisons(data, results), _show)
    return rows


def _show(row: Mapping[str, Any]) -> None:
    if row["kind"] == "search":
        best = "  ".join(f"{one['accuracy']:.4f} at {one['flops'] / 1e3:,.0f} k" for one in row["best"])
        line = f"{row['arm']:24} seed {row['seed']}  {best}  {row['seconds']:.0f} s"
    else:
        line = f"{row['label']:24} seed {row['seed']}  accuracy {row['accuracy']:.4f}"
    print(f"{row['dataset']:12} {line}", flush=True)


if __name__ == "__main__":
    main()

"""`make study-autohas`: AutoHAS compared, by cost, with searches that train each candidate by itself.

On digits and on 5,000 images of MNIST, three seeds; the other searches may spend about ten and two times its compute.
The study also measures how well accuracies with shared weights rank architectures, and the gain of the hyperparameter
half alone over a badly tuned recipe. Writes docs/studies/autohas.json; `benchmarks.studies.autohas_page` makes the page
and its figures of it. Takes somewhat more than an hour on two cores, and continues if it was interrupted.

Compute is counted in epochs of a trial. An image costs 1 for a forward pass and 3 for a forward and backward pass, for
any network: an epoch trains on all training images and measures on all validation images.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies import pool, rows
from benchmarks.studies.data import Data, digits, mnist_part
from benchmarks.studies.rows import Key
from benchmarks.studies.searching import Trained, blueprint_of, search, shared_rewards, test, train
from searchsvc.domain import Candidate
from searchsvc.domain.parameters import number
from searchsvc.service.planning.blueprint import Blueprint, shared_search
from searchsvc.spaces.fbnetv3 import space as fbnetv3

RESULTS = Path(__file__).parents[2] / "docs/studies/autohas.json"
SEEDS = (0, 1, 2)
SPACE = "fbnetv3-small"
ARCHITECTURES = 30
FINALISTS = 3
BAD: Mapping[str, Any] = {
    "lr": 0.0005,
    "optimizer": "rmsprop",
    "ema": True,
    "dropout": 0.3,
    "drop_path": 0.2,
    "mixup": 0.4,
    "weight_decay": 1e-2,
}
"""A recipe at the wrong ends of its ranges, for short trainings."""
PLAIN: Mapping[str, Any] = {
    "lr": 0.005,
    "optimizer": "rmsprop",
    "ema": False,
    "dropout": 0.1,
    "drop_path": 0.0,
    "mixup": 0.0,
    "weight_decay": 1e-5,
}
"""The recipe under which architectures are ranked."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to search."""

    name: str
    algorithm: Mapping[str, Any]
    stopping: Mapping[str, Any] | None = None
    """The stopping rule; None: the default rule of the algorithm."""
    share: float = 1.0
    """Approximate share of the allowed epochs that a trial is trained for: the shorter, the more trials."""

    @property
    def shares_weights(self) -> bool:
        return self.algorithm["name"] == "autohas"


JUDGES = Arm("", {"name": "autohas", "epochs": 60, "frozen_share": 0.99, "controller_every": 1000})
"""Options that train shared weights alone, on uniform draws."""


def arms(batch: int) -> tuple[Arm, ...]:
    """Return two arms that share weights and four that do not."""
    return (
        *(Arm(f"AutoHAS, {one}", {"name": "autohas", "variant": one}) for one in ("reinforce", "differentiable")),
        Arm("random", {"name": "random"}),
        Arm("TPE", {"name": "tpe"}),
        Arm("ASHA", {"name": "random"}, {"name": "asha"}, share=1 / 3),
        Arm("fbnetv3", {"name": "fbnetv3", "batch": batch, "top": 3}),
    )


def document(data: Data, arm: Arm, seed: int, fix: Mapping[str, Any]) -> dict[str, Any]:
    """Return the job of a search."""
    job: dict[str, Any] = {
        "name": f"{data.name}-{seed}",
        "task": "classification",
        "dataset": dict(data.section),
        "space": {"name": SPACE, "fix": {"resolution": data.side, **fix}},
        "objectives": [{"metric": "accuracy", "goal": "maximize"}],
        "algorithm": dict(arm.algorithm),
        "fidelity": {"epochs": data.epochs},
        "budget": {"trials": 1 + FINALISTS if arm.shares_weights else round(data.trials / arm.share)},
        "seed": seed,
    }
    return {**job, "stopping": dict(arm.stopping)} if arm.stopping else job


def epochs_of_search(blueprint: Blueprint) -> float:
    """Return the cost of a supernet, in epochs of a trial."""
    search = shared_search(blueprint)
    assert search is not None
    options, values = search.options, {**blueprint.constants}
    images, scored = blueprint.dataset.sizes["train"], blueprint.dataset.sizes["validation"]
    batch = int(number(values.get("batch_size", 64)))
    steps = options["epochs"] * math.ceil(images / batch)
    rewarded = min(options["reward_images"], scored) * (3 if options["variant"] == "differentiable" else 1)
    controlled = math.ceil(steps / options["controller_every"])
    frozen = int(controlled * options["frozen_share"])  # these steps evaluate a single candidate
    looks = frozen + (controlled - frozen) * options["samples"]
    cost = 3 * options["epochs"] * images + looks * (3 * batch + rewarded)
    cost += (1 + options["scored"]) * (3 * batch + scored)
    return float(cost / (3 * images + scored))


def run_search(data: Data, arm: Arm, seed: int, label: str, fix: Mapping[str, Any]) -> pool.Row:
    """Run a search and test its best trial. `label`: the searched half or halves."""
    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), document(data, arm, seed, fix)
        blueprint = blueprint_of(job, folder)
        trials = search(job, folder)
        best = max((one for one in trials if _accuracy(one)), key=_accuracy)
        tested = test(blueprint, best, folder)["accuracy"]
        shared = epochs_of_search(blueprint) if arm.shares_weights else 0.0
    epochs = [shared if arm.shares_weights and not one.number else float(one.epochs) for one in trials]
    rows_of_trials = [{"epochs": cost, **_kept(one)} for cost, one in zip(epochs, trials, strict=True)]
    return {
        "kind": label, "dataset": data.name, "arm": arm.name, "seed": seed, "trials": rows_of_trials,
        "accuracy": _accuracy(best), "test_accuracy": tested,
    }  # fmt: skip


def _accuracy(trial: Trained) -> float:
    return (trial.metrics or {}).get("accuracy", 0.0)


def _kept(trial: Trained) -> dict[str, Any]:
    return {"seconds": trial.seconds, "accuracy": _accuracy(trial), "values": trial.values}


def run_training(data: Data, label: str, fix: Mapping[str, Any], seed: int) -> pool.Row:
    """Train and test a network with a recipe."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blueprint = blueprint_of(document(data, Arm("", {"name": "random"}), seed, fix), folder)
        candidate = blueprint.space.from_matrix(blueprint.space.sample(1, np.random.default_rng(seed)))[0]
        values = {**blueprint.constants, **candidate.values}
        metrics = train(blueprint, values, seed, folder / "0")
        tested = test(blueprint, Trained(0, values, {}, metrics, data.epochs, True, 0.0), folder)["accuracy"]
    return {
        "kind": "training", "dataset": data.name, "arm": label, "seed": seed,
        "accuracy": metrics["accuracy"], "test_accuracy": tested,
    }  # fmt: skip


def run_ranks(data: Data, seed: int) -> pool.Row:
    """Measure the accuracies of the same architectures with shared weights and trained alone, with a fixed recipe."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blueprint = blueprint_of(document(data, JUDGES, seed, PLAIN), folder)
        space, random = blueprint.space, np.random.default_rng(seed)
        candidates: Sequence[Candidate] = space.from_matrix(space.sample(ARCHITECTURES, random))
        shared = shared_rewards(blueprint, candidates, folder / "supernet")
        alone = [
            train(blueprint, {**blueprint.constants, **one.values}, seed, folder / str(index))["accuracy"]
            for index, one in enumerate(candidates)
        ]
    return {"kind": "ranks", "dataset": data.name, "arm": "", "seed": seed, "shared": list(shared), "alone": alone}


def pieces(data: Data, seed: int) -> dict[Key, tuple[Any, ...]]:
    """Return function and arguments of every measurement with a dataset and a seed."""
    network = {name: value for name, value in fbnetv3.SMALL.defaults.items() if name in fbnetv3.small_space()}
    every = arms(data.batch)
    sharing = [arm for arm in every if arm.shares_weights]
    tasks: dict[Key, tuple[Any, ...]] = {
        **{("joint", arm.name): (run_search, data, arm, seed, "joint", {}) for arm in every},
        **{("recipe", arm.name): (run_search, data, arm, seed, "recipe", network) for arm in sharing},
        ("training", "badly tuned"): (run_training, data, "badly tuned", {**network, **BAD}, seed),
        ("training", "plain"): (run_training, data, "plain", {**network, **PLAIN}, seed),
    }
    if seed == SEEDS[0]:
        tasks["ranks", ""] = (run_ranks, data, seed)
    return {(data.name, seed, *what): piece for what, piece in tasks.items()}


def main() -> None:
    arguments = rows.options(__doc__)
    quick = arguments.quick
    results = rows.Kept(RESULTS, _line, quick=quick, fresh=arguments.fresh)
    with tempfile.TemporaryDirectory() as name, pool.processes(arguments.processes) as workers:
        sets = [digits(1, 4, 4)] if quick else [digits(5, 94, 16), mnist_part(Path(name), 3, 16, 6)]
        seeds = SEEDS[:1] if quick else SEEDS
        every = {key: piece for data in sets for seed in seeds for key, piece in pieces(data, seed).items()}
        rows.measure_missing(results, workers, every)


def _line(row: Mapping[str, Any]) -> str:
    head = f"{row['dataset']:12} {row['kind']:9} {row['arm']:24} seed {row['seed']}"
    if row["kind"] == "ranks":
        correlations = np.asarray(np.corrcoef(np.argsort(np.argsort([row["shared"], row["alone"]]))))  # (2, 2)
        return f"{head}  correlation {correlations[0, 1]:.2f}"
    epochs = sum(one["epochs"] for one in row.get("trials", ()))
    cost = f"  {epochs:.0f} epochs, {row['seconds']:.0f} s" if epochs else ""
    return f"{head}  accuracy {row['accuracy']:.4f}, test {row['test_accuracy']:.4f}{cost}"


if __name__ == "__main__":
    main()

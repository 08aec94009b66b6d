"""`make study-detection`: the gain of each part of a detector over the same baseline; fbnetv3 against random search.

On scenes of digits and on photographs of playing cards, three seeds, every detector trained from scratch for the same
number of epochs. Writes docs/studies/detection.json; `benchmarks.studies.detection_page` makes the page and its figures
of it. Takes up to two and a half hours on two cores, and continues if it was interrupted.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies import pool, rows
from benchmarks.studies.data import Data, cards, scenes
from benchmarks.studies.rows import Key
from benchmarks.studies.searching import Trained, blueprint_of, search, test, train
from searchsvc.domain import Candidate, DatasetInfo
from searchsvc.spaces import Categorical, Space, networks

RESULTS = Path(__file__).parents[2] / "docs/studies/detection.json"
SEEDS = (0, 1, 2)
SPACE = "detector-small"
METRICS = ("ap", "ap50", "ap75")
BASELINE = "baseline"
CONTROL = "wider FPN, as many FLOPs as RFP"
VALUES: Mapping[str, Any] = {
    "class_loss": "focal",
    "boxes": "dirac",
    "optimizer": "adamw",
    "lr": 0.004,
    "weight_decay": 0.01,
    "batch_size": 8,
    "clip_norm": 35.0,
    "ema_decay": 0.99,
    "augmentation": "S1",
}
"""The baseline: the smallest ResNet with an FPN, plain convolutions, focal loss, GIoU and centerness."""
QFL, DFL = {"class_loss": "qfl"}, {"class_loss": "qfl", "boxes": "dfl"}
SAC = {f"sac_{stage}": "plain" for stage in ("c3", "c4", "c5")}
RFP: Mapping[str, Any] = {"neck": "rfp", "rfp_steps": 2}
_WIDTHS, _DEPTHS = tuple(range(4, 44, 4)), (1, 2, 3)


@dataclass(frozen=True, slots=True)
class Part:
    """A change to the baseline."""

    name: str
    values: Mapping[str, Any]
    paper: str = ""
    """The published gain, in points of COCO AP."""


PARTS: tuple[Part, ...] = (
    Part(BASELINE, {}),
    Part("+ QFL", QFL, "about +0.7 over ATSS"),
    Part("+ QFL + DFL", DFL, "+0.8 to +1.0 over ATSS"),
    Part("+ SAC", SAC, "+4.7 (Cascade R-CNN), deformable; about 1 less without"),
    Part("+ RFP", RFP, "+4.5 (Cascade R-CNN)"),
    Part(CONTROL, {}, "none: the backbone of RFP runs twice"),
    Part("+ SWN", {"sample_weighting": "swn"}, "about +1"),
    Part("+ non-local", {"attention": "non_local", "attention_at": "c4"}, "about +0.8 (Mask R-CNN)"),
    Part("+ DNL", {"attention": "dnl", "attention_at": "c4"}, "about +1.5 (Mask R-CNN)"),
    Part("+ EMA", {"ema": True}, "about +0.1 to +0.5 after the rate has decayed"),
    Part(
        "all together",
        {**DFL, **SAC, **RFP, "sample_weighting": "swn", "attention": "dnl", "attention_at": "c4", "ema": True},
        "+7.1 of SAC and RFP (Cascade R-CNN)",
    ),
)
SEARCHES: Mapping[str, Mapping[str, Any]] = {"fbnetv3": {"name": "fbnetv3", "top": 3}, "random": {"name": "random"}}
SEARCHED: Mapping[str, Any] = {"backbone": "resnet", "finest": 8, "batch_size": 4, "clip_norm": 35.0}
"""Fixed values of the searched space: in few epochs, only small batches make enough steps to tell detectors apart."""


def document(
    data: Data, seed: int, algorithm: Mapping[str, Any], trials: int, fix: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the job of a search, or of a single training."""
    return {
        "name": f"{data.name}-{seed}",
        "task": "detection",
        "dataset": dict(data.section),
        "space": {"name": SPACE, "fix": {"resolution": _resolution(data), **(fix or {})}},
        "objectives": [{"metric": "ap"}],
        "algorithm": dict(algorithm),
        "fidelity": {"epochs": data.epochs},
        "budget": {"trials": trials},
        "seed": seed,
    }


def _resolution(data: Data) -> int:
    """Return a resolution that the space offers."""
    return max(128, data.side)


def run_part(data: Data, part: Part, seed: int) -> pool.Row:
    """Train and test a detector."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        blueprint = blueprint_of(document(data, seed, {"name": "random"}, 1), folder)
        values = {**blueprint.constants, **VALUES, **part.values, "resolution": data.side}
        if part.name == CONTROL:
            values |= as_many_flops(values, {**values, **RFP}, blueprint.dataset)
        metrics = train(blueprint, values, seed, folder / "0")
        tested = test(blueprint, Trained(0, values, {}, metrics, data.epochs, True, 0.0), folder)
    return {
        "kind": "part", "dataset": data.name, "arm": part.name, "seed": seed,
        "flops": flops_of(values, blueprint.dataset),
        "validation": {one: metrics[one] for one in METRICS}, "test": {one: tested[one] for one in METRICS},
    }  # fmt: skip


def as_many_flops(values: Mapping[str, Any], other: Mapping[str, Any], info: DatasetInfo) -> dict[str, Any]:
    """Return width and depths of a backbone with which `values` cost about as much as `other`."""
    depths = [Categorical(f"depth_{stage}", _DEPTHS) for stage in range(1, 5)]
    space = Space([Categorical("base_width", _WIDTHS), *depths])
    names = space.names
    every = [
        Candidate(dict(zip(names, one, strict=True))) for one in itertools.product(_WIDTHS, *[_DEPTHS] * len(depths))
    ]
    model = networks.cost_model_for("detection", space, info, values)
    costs = model(space.to_matrix(every))["flops"]
    return dict(every[int(np.argmin(np.abs(costs - flops_of(other, info))))].values)


def flops_of(values: Mapping[str, Any], info: DatasetInfo) -> float:
    space = Space([Categorical("base_width", (values.get("base_width", 8),))])
    model = networks.cost_model_for("detection", space, info, values)
    return float(model(space.sample(1, np.random.default_rng(0)))["flops"][0])


def run_search(data: Data, arm: str, seed: int) -> pool.Row:
    """Run a search and test its best trial."""
    algorithm = {**SEARCHES[arm], **({"batch": data.batch} if arm == "fbnetv3" else {})}
    with tempfile.TemporaryDirectory() as name:
        folder, job = Path(name), document(data, seed, algorithm, data.trials, SEARCHED)
        trials = search(job, folder)
        best = max((one for one in trials if one.metrics), key=_ap)
        tested = test(blueprint_of(job, folder), best, folder)
    return {
        "kind": "search", "dataset": data.name, "arm": arm, "seed": seed,
        "trials": [{"epochs": one.epochs, "seconds": one.seconds, "ap": _ap(one)} for one in trials],
        "validation": {"ap": _ap(best)}, "test": {one: tested[one] for one in METRICS}, "values": best.values,
    }  # fmt: skip


def _ap(trial: Trained) -> float:
    return (trial.metrics or {}).get("ap", 0.0)


def parts(data: Data, seed: int) -> dict[Key, tuple[Any, ...]]:
    """Return function and arguments of the trainings with a dataset and a seed."""
    return {(data.name, seed, "part", one.name): (run_part, data, one, seed) for one in PARTS}


def searches(data: Data, seed: int) -> dict[Key, tuple[Any, ...]]:
    """Return function and arguments of the searches with a dataset and a seed."""
    return {(data.name, seed, "search", arm): (run_search, data, arm, seed) for arm in SEARCHES}


def main() -> None:
    arguments = rows.options(__doc__)
    tiny = {"size": 96, "train": 50, "validation": 20, "test": 20}
    trained, searched = [scenes(40, 0, 0), cards(40)], scenes(12, 12, 4)
    if arguments.quick:
        trained, searched = [scenes(1, 0, 0, **tiny)], scenes(1, 5, 4, **tiny)
    every: dict[Key, tuple[Any, ...]] = {}
    for seed in SEEDS[:1] if arguments.quick else SEEDS:
        every |= {key: piece for data in trained for key, piece in parts(data, seed).items()}
        every |= searches(searched, seed)
    results = rows.Kept(RESULTS, _line, quick=arguments.quick, fresh=arguments.fresh)
    with pool.processes(arguments.processes) as workers:
        rows.measure_missing(results, workers, every)


def _line(row: Mapping[str, Any]) -> str:
    head = f"{row['dataset']:14} {row['kind']:7} {row['arm']:32} seed {row['seed']}"
    return f"{head}  AP {row['validation']['ap']:.4f}, test {row['test']['ap']:.4f}  {row['seconds']:.0f} s"


if __name__ == "__main__":
    main()

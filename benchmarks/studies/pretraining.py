"""`make study-data`: pre-training and self-training by amount of data and augmentation; rankings by honest labels.

On parts of MNIST and of photographs of playing cards, three seeds. A network is trained from scratch and from the
weights of another dataset; each then teaches a student of its kind on the images without labels. The study also runs
searches whose validation labels are checked and made again (`benchmarks.studies.relabelling`). Writes
docs/studies/data.json; `benchmarks.studies.pretraining_page` makes the page and its figures of it. Takes up to two
hours on two cores, and continues if it was interrupted: all of the first seed comes before the second.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.studies import pool, relabelling, rows
from benchmarks.studies.detection import DFL, VALUES
from benchmarks.studies.parts import Parts, cards_in_parts, mnist_at_14_px
from benchmarks.studies.rows import Key
from benchmarks.studies.searching import Trained, blueprint_of, fixed_values, test, train
from searchsvc.spaces.recipe import PRETRAINED, SCRATCH
from workers.trials.files import MODEL, PSEUDO_SUMMARY

RESULTS = Path(__file__).parents[2] / "docs/studies/data.json"
SEEDS = (0, 1, 2)
LEVELS = ("S1", "S4")
CLASSIFIER: Mapping[str, Any] = {
    "stem_width": 16,
    "depth_1": 1,
    "depth_2": 2,
    "depth_3": 2,
    "width_1": 16,
    "width_2": 24,
    "width_3": 48,
    "kernel": 3,
    "expansion": 3,
    "optimizer": "sgd",
    "lr": 0.1,
    "batch_size": 64,
    "resolution": 14,
    "label_smoothing": 0.1,
    "pseudo_labels": "soft",
    "pseudo_threshold": 0.5,
}
"""The task's defaults, except for smoothing.

It keeps the loss of a few labelled images from vanishing, and pseudo labels are weighted by that loss.
"""
DETECTOR: Mapping[str, Any] = {**VALUES, **DFL, "batch_size": 4, "lr": 0.003, "pseudo_threshold": 0.3}
"""The baseline of the study of detectors, with QFL and DFL; small batches make more steps of few images. The threshold
is below the paper's 0.5; most boxes that reach it turned out to be wrong.
"""
SURER = 0.5
"""The paper's threshold; students of detectors are also trained with it, with S1 and two of the seeds."""


@dataclass(frozen=True, slots=True)
class Source:
    """A pre-trained network."""

    weights: str
    """The file of its weights."""
    reached: float
    """The metric on the validation split of its own dataset."""


def mnist(folder: Path, epochs: int, images: int = 10_000, further: int = 10_000, tested: int = 5000) -> Parts:
    """Return MNIST, to be trained after scikit-learn's digits. The files are written to `folder`."""
    labelled, unlabelled = mnist_at_14_px(folder, images, further, tested)
    return Parts(
        name=labelled["name"],
        task="classification",
        space="mbconv-small",
        metric="accuracy",
        section=labelled,
        further=unlabelled,
        source={"name": "digits"},
        fractions=(0.01, 0.05, 0.2, 1.0),
        values=CLASSIFIER,
        epochs=epochs,
        source_epochs=8 * epochs,
    )


def cards(folder: Path, epochs: int, size: int = 128, further: int = 60, scenes: int = 800) -> Parts:
    """Return playing cards, to be trained after a number of scenes of digits. The files are written to `folder`."""
    labelled, unlabelled = cards_in_parts(folder, size, further, validation=0.15)
    return Parts(
        name=labelled["name"],
        task="detection",
        space="detector-small",
        metric="ap",
        section=labelled,
        further=unlabelled,
        source={"name": "digits-scenes", "size": size, "train": scenes, "validation": 60, "test": 20},
        fractions=(0.2, 0.5, 1.0),
        values={**DETECTOR, "resolution": size},
        epochs=epochs,
        source_epochs=epochs // 2,
    )


def document(parts: Parts, seed: int, genes: Mapping[str, Any], **sections: Any) -> dict[str, Any]:
    """Return the job of a training. Each repetition has its own split, and so its own labelled images."""
    return {
        "name": f"{parts.name}-{seed}",
        "task": parts.task,
        "dataset": {**parts.section, "split_seed": seed},
        "space": {"name": parts.space, "fix": {**parts.values, **genes}},
        "objectives": [{"metric": parts.metric}],
        "algorithm": {"name": "random"},
        "fidelity": {"epochs": parts.epochs},
        "budget": {"trials": 1},
        "seed": seed,
        **sections,
    }


def pretrained(parts: Parts, folder: Path) -> Source:
    """Train the network of a dataset on the dataset before it. Its weights are left in `folder`."""
    job = {**document(parts, 0, {"augmentation": "S1"}), "dataset": dict(parts.source)}
    job["fidelity"] = {"epochs": parts.source_epochs}
    blueprint = blueprint_of(job, folder)
    place = folder / f"before-{parts.name}"
    metrics = train(blueprint, fixed_values(blueprint), 0, place)
    return Source(str(place / MODEL), metrics[parts.metric])


def run_part(parts: Parts, fraction: float, level: str, source: Source, seed: int, kind: str = "part") -> pool.Row:
    """Run the four trainings on a part of the data: scratch and pre-trained, and the student of each."""
    trainings = list[pool.Row]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for init in (SCRATCH, PRETRAINED):
            genes = {"data_fraction": fraction, "augmentation": level, "init": init}
            before = {"pretrained": {"file": source.weights}} if init == PRETRAINED else {}
            trainings.append(_training(parts, seed, genes, before, folder / init))
            taught = {
                "unlabelled": "rest" if fraction < 1 else dict(parts.further),
                "teacher": {"file": str(folder / init / "0" / MODEL)},
            }
            student = {**genes, "self_training": True}
            trainings.append(_training(parts, seed, student, {**before, "self_training": taught}, folder / f"{init}-2"))
    return {
        "kind": kind, "dataset": parts.name, "arm": f"{fraction:g} {level}", "seed": seed, "metric": parts.metric,
        "source": source.reached, "trainings": trainings,
    }  # fmt: skip


def _training(
    parts: Parts, seed: int, genes: Mapping[str, Any], sections: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    """Train and test a network; its weights are left in `folder`/0.

    The row has no metrics if no prediction of its teacher reaches the threshold.
    """
    started = time.process_time()
    blueprint = blueprint_of(document(parts, seed, genes, **sections), folder)
    values, place = fixed_values(blueprint), folder / "0"
    try:
        metrics = train(blueprint, values, seed, place)
    except RuntimeError as error:
        if "pseudo_threshold" not in str(error):
            raise
        return {"values": dict(genes), "failed": str(error)}
    tested = test(blueprint, Trained(0, values, {}, metrics, parts.epochs, True, 0.0), folder)
    summary = place / PSEUDO_SUMMARY
    return {
        "values": dict(genes),
        "validation": metrics[parts.metric],
        "test": tested[parts.metric],
        "train_loss": metrics["train_loss"],
        "pseudo": _of_pseudo_labels(json.loads(summary.read_text(encoding="utf-8"))) if summary.exists() else None,
        "processor_seconds": time.process_time() - started,
    }


def _of_pseudo_labels(summary: Mapping[str, Any]) -> dict[str, Any]:
    return {name: summary[name] for name in ("images", "kept", "labels", "precision", "recall")}


def pieces(every: Sequence[tuple[Parts, Source]], labels: relabelling.Search, seed: int) -> dict[Key, tuple[Any, ...]]:
    """Return function and arguments of every measurement with a seed."""
    tasks: dict[Key, tuple[Any, ...]] = {}
    for parts, source in every:
        for fraction, level in itertools.product(parts.fractions, LEVELS):
            tasks[parts.name, seed, "part", f"{fraction:g} {level}"] = (
                run_part, parts, fraction, level, source, seed,
            )  # fmt: skip
        if parts.task == "detection" and seed in SEEDS[:2]:
            surer = replace(parts, values={**parts.values, "pseudo_threshold": SURER})
            for fraction in parts.fractions:
                tasks[parts.name, seed, "surer", f"{fraction:g} S1"] = (
                    run_part, surer, fraction, "S1", source, seed, "surer",
                )  # fmt: skip
    return tasks | {(relabelling.DATASET, seed, "labels", ""): (relabelling.run, labels, seed)}


def main() -> None:
    arguments = rows.options(__doc__)
    results = rows.Kept(RESULTS, _line, quick=arguments.quick, fresh=arguments.fresh)
    with tempfile.TemporaryDirectory() as name, pool.processes(arguments.processes) as workers:
        folder = Path(name)
        if arguments.quick:
            sets = [mnist(folder, 1, 1000, 500, 200), cards(folder, 2, further=20, scenes=50)]
            labels = relabelling.Search(trials=4, epochs=1, images=600, tested=200)
        else:
            sets, labels = [mnist(folder, 6), cards(folder, 32)], relabelling.Search()
        before = [workers.submit(pretrained, one, folder) for one in sets]
        sources = [one.result() for one in before]
        every: dict[Key, tuple[Any, ...]] = {}
        for seed in SEEDS[:1] if arguments.quick else SEEDS:
            every |= pieces(list(zip(sets, sources, strict=True)), labels, seed)
        rows.measure_missing(results, workers, every)


def _line(row: Mapping[str, Any]) -> str:
    head = f"{row['dataset']:14} {row['kind']:6} {row['arm']:8} seed {row['seed']}"
    if row["kind"] == "labels":
        return f"{head}  {len(row['trials'])} trials, {row['questions']} questions  {row['seconds']:.0f} s"
    reached = "  ".join(f"{one['test']:.4f}" if "test" in one else "failed" for one in row["trainings"])
    return f"{head}  {reached}  {row['seconds']:.0f} s"


if __name__ == "__main__":
    main()

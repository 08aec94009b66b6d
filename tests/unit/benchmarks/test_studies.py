"""Studies continue after an interruption, and compare the things that they claim to compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.studies import detection, pretraining, relabelling
from benchmarks.studies import pretraining_tables as tables
from benchmarks.studies.data import Data, scenes
from benchmarks.studies.parts import Parts, mnist_at_14_px
from benchmarks.studies.ranks import rank_correlation
from benchmarks.studies.rows import Kept
from benchmarks.studies.searching import Trained, blueprint_of, fixed_values
from searchsvc.domain import DatasetInfo, JobSpec
from searchsvc.service.planning.resolve import resolve
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.spaces import catalogue
from searchsvc.spaces.networks import complete
from searchsvc.store import Store
from tests.support.labels import predictions_of
from workers.data import classification as data

INFO = DatasetInfo("scenes", tuple("0123456789"), (3, 128, 128), {"train": 200, "validation": 60, "test": 60})


def row(arm: str) -> dict[str, Any]:
    return {"dataset": "scenes", "seed": 0, "kind": "part", "arm": arm}


def test_what_is_measured_is_not_measured_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    Kept(path, str, quick=False, fresh=False).add(row("b"))
    results = Kept(path, str, quick=False, fresh=False)
    pieces = {("scenes", 0, "part", arm): arm for arm in "ab"}
    assert results.missing(pieces) == ["a"]
    results.add(row("a"))
    assert [one["arm"] for one in json.loads(path.read_text())] == ["a", "b"]
    assert Kept(path, str, quick=False, fresh=True).missing(pieces) == ["a", "b"]


def test_a_quick_run_leaves_the_results_alone(tmp_path: Path) -> None:
    Kept(tmp_path / "rows.json", str, quick=True, fresh=False).add(row("a"))
    assert not (tmp_path / "rows.json").exists()


@pytest.mark.parametrize("part", detection.PARTS, ids=lambda one: one.name)
def test_every_part_of_a_detector_can_be_trained(part: detection.Part) -> None:
    values = complete({**catalogue.find(detection.SPACE).constants, **detection.VALUES, **part.values})
    assert detection.flops_of(values, INFO) > 0


def test_the_control_of_the_recursive_pyramid_costs_what_it_costs() -> None:
    values = {**catalogue.find(detection.SPACE).constants, **detection.VALUES}
    wider = {**values, **detection.as_many_flops(values, {**values, **detection.RFP}, INFO)}
    ratio = detection.flops_of(wider, INFO) / detection.flops_of({**values, **detection.RFP}, INFO)
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_parts_are_trained_once_per_seed_on_each_dataset() -> None:
    data: Data = scenes(1, 0, 0)
    keys = [key for seed in detection.SEEDS for key in detection.parts(data, seed)]
    assert len(set(keys)) == len(keys) == len(detection.PARTS) * len(detection.SEEDS)


# ---- parts of the data, and doubtful labels --------------------------------------------------------------------------


def parts(name: str, fractions: tuple[float, ...]) -> Parts:
    return Parts(name, "classification", "mbconv-small", "accuracy", {"name": name}, {}, {}, fractions, {}, 1, 1)


def test_a_training_has_every_value_that_its_job_fixes(striped: Path, tmp_path: Path) -> None:
    section, _ = mnist_at_14_px(striped, 400, 300, 50)
    mnist = replace(parts("mnist", (1.0,)), section=section, values=pretraining.CLASSIFIER)
    values = fixed_values(blueprint_of(pretraining.document(mnist, 0, {"augmentation": "S4"}), tmp_path))
    assert values.items() >= {**pretraining.CLASSIFIER, "augmentation": "S4"}.items()


def test_each_seed_has_every_part_at_every_level_and_one_search_for_labels() -> None:
    source = pretraining.Source("weights", 0.5)
    every = [(parts("a", (0.1, 1.0)), source), (parts("b", (0.5,)), source)]
    keys = list(pretraining.pieces(every, relabelling.Search(), 2))
    cells = [("a", "0.1 S1"), ("a", "0.1 S4"), ("a", "1 S1"), ("a", "1 S4"), ("b", "0.5 S1"), ("b", "0.5 S4")]
    assert keys == [*((name, 2, "part", arm) for name, arm in cells), (relabelling.DATASET, 2, "labels", "")]


def test_a_repetition_has_a_split_of_its_own() -> None:
    jobs = [pretraining.document(parts("digits", (1.0,)), seed, {"data_fraction": 0.1}) for seed in (0, 1)]
    assert [job["dataset"]["split_seed"] for job in jobs] == [0, 1]
    assert all(job["space"]["fix"]["data_fraction"] == 0.1 for job in jobs)


@pytest.fixture
def striped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images in place of MNIST: images of class c have values around 10 + 20 c everywhere."""
    random, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 900), ("test", 200)):
        labels = random.permutation(np.arange(count) % 10).astype(np.uint8)
        arrays[f"y_{split}"] = labels
        noise = random.integers(-4, 5, (count, 28, 28))
        arrays[f"x_{split}"] = ((10 + 20 * labels.astype(int))[:, None, None] + noise).astype(np.uint8)
    folder = tmp_path / "data/classification"
    folder.mkdir(parents=True)
    np.savez(folder / "mnist.npz", **arrays)
    monkeypatch.setenv("SEARCHSVC_SHARED", str(tmp_path))
    return tmp_path


def shown(image: np.ndarray) -> set[int]:
    """Return the classes that a striped image is made of."""
    return {round((int(value) - 10) / 20) for value in np.unique(image)}


def test_parts_of_mnist_share_no_image_with_the_further_ones(striped: Path) -> None:
    labelled, further = mnist_at_14_px(striped, 400, 300, 50)
    own, others = np.load(labelled["path"]), np.load(further["path"])
    assert [one.shape for one in (own["x_train"], own["x_test"], others["x_train"])] == [
        (500, 14, 14),
        (50, 14, 14),
        (300, 14, 14),
    ]
    assert [shown(image) for image in own["x_train"]] == [{label} for label in own["y_train"].tolist()]
    pixels = [{image.tobytes() for image in one["x_train"]} for one in (own, others)]
    assert not pixels[0] & pixels[1]
    blueprint = resolve(JobSpec.parse(pretraining.document(a_part(labelled), 0, {})), trusted=True, settings=Settings())
    assert blueprint.dataset.sizes["train"] == pytest.approx(400, abs=5)


def test_both_networks_of_a_part_teach_a_student(striped: Path) -> None:
    """A threshold that no teacher reaches leaves no student, and the row says so."""
    parts = pretraining.mnist(striped, 1, 100, 100, 50)
    small = replace(parts, source_epochs=1, values={**parts.values, "pseudo_threshold": 0.0})
    source = pretraining.pretrained(small, striped)
    trainings = pretraining.run_part(small, 1.0, "S1", source, 0)["trainings"]
    arms = [(one["values"]["init"], one["values"].get("self_training", False)) for one in trainings]
    assert arms == [("scratch", False), ("scratch", True), ("pretrained", False), ("pretrained", True)]
    assert [one["pseudo"] and one["pseudo"]["images"] for one in trainings] == [None, 100, None, 100]
    strict = replace(small, values={**parts.values, "pseudo_threshold": 1.0})
    genes, sections = {"data_fraction": 0.5, "self_training": True}, {"self_training": {"unlabelled": "rest"}}
    failed = pretraining._training(strict, 0, genes, sections, striped / "strict")
    assert "pseudo_threshold" in failed["failed"]


def a_part(section: dict[str, Any]) -> Parts:
    return Parts("mnist", "classification", "mbconv-small", "accuracy", section, {}, {}, (1.0,), {}, 1, 1)


def test_labels_are_wrong_in_the_validation_split_alone_and_the_truth_is_known(striped: Path) -> None:
    dataset = relabelling.doubtful(relabelling.Search(images=600, tested=100), 0, striped)
    loaded = data.load(dataset.section)
    shows = [shown(image) for image in loaded.validation.images]
    assert shows == [set(one) for one in dataset.validation]
    does_not = [place for place, label in enumerate(loaded.validation.labels.tolist()) if label not in shows[place]]
    assert does_not == dataset.wrong.tolist()
    assert len(does_not) == round(0.08 * 200)
    assert all(
        label in shown(image) for image, label in zip(loaded.train.images, loaded.train.labels.tolist(), strict=True)
    )
    doubled = [sum(len(shown(image)) == 2 for image in split.images) for split in (loaded.train, loaded.validation)]
    assert sum(doubled) == 60
    assert [shown(image) for image in dataset.test_images] == [set(one) for one in dataset.test]


def test_raters_who_never_err_put_the_labels_right(striped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that sees the truth and a trial that repeats the labels: only by the new labels is the first the best."""
    monkeypatch.setattr(relabelling, "RATERS", {"first": 1.0, "second": 1.0})
    options = relabelling.Search(trials=2, images=600, tested=10)
    dataset = relabelling.doubtful(options, 0, striped)
    images = data.load(dataset.section).validation_images
    first = np.array([one[0] for one in dataset.validation])
    trained = []
    for number, answers in enumerate((first, images.labels)):
        folder = striped / "trials" / str(number)
        folder.mkdir(parents=True)
        corrected = predictions_of(images, answers)
        (folder / "predictions.npz").write_bytes(corrected.content())
        trained.append(
            Trained(number, {"lr": 0.01 * (number + 1)}, {"flops": 1.0}, {"accuracy": corrected.accuracy}, 1, True, 1.0)
        )
    settings = Settings(data_dir=striped / "home").prepare()
    store = Store.create(settings.database_url)
    service = Service(store, settings)
    job = relabelling.stored(service, relabelling._document(options, dataset, 0), trained, striped / "trials")
    service.labels.relabel(job.id)
    relabelling.answered(service, job, dataset.validation, np.random.default_rng(0))
    labels = service.labels.relabelled(job.id).labels
    by_number = {one.trial.number: one for one in service.labels.reassess(job.id, labels).items}
    assert by_number[0].accuracy.value < by_number[1].accuracy.value == 1.0
    assert by_number[0].real_accuracy.value == 1.0
    assert by_number[1].real_accuracy.value == pytest.approx(1 - len(dataset.wrong) / len(images.names))
    quality = relabelling._quality(images, dataset, [labels[one] for one in images.names])
    assert quality["wrong_found"] == quality["wrong"] == len(dataset.wrong)
    store.close()


def a_cell(fraction: float, level: str, seed: int, **points: float) -> dict[str, Any]:
    """Return a row of four trainings, each with its points on test images; an arm that is left out has failed."""
    trainings = []
    for arm, changed in {"scratch": {}, **tables.ARMS}.items():
        values = {"init": "scratch", "data_fraction": fraction, "augmentation": level, **changed}
        reached = {"test": points[arm] / 100, "pseudo": None} if arm in points else {"failed": "pseudo_threshold"}
        trainings.append({"values": values, **reached})
    return {"dataset": "a", "kind": "part", "seed": seed, "arm": f"{fraction:g} {level}", "trainings": trainings}


def rows_of_parts() -> list[dict[str, Any]]:
    """Return rows in which each seed shifts all points by more than any gain; a student of the last cell failed."""
    rows = []
    for seed in range(3):
        luck, jitter = 10.0 * seed, 0.1 * seed
        for fraction, level, before in ((0.1, "S1", 6.0), (1.0, "S1", 1.0), (0.1, "S4", 4.0), (1.0, "S4", -2.0)):
            arms = {"scratch": luck, "self-trained": luck + 3 + jitter, "pre-trained": luck + before + jitter}
            if not (seed == 2 and fraction == 1.0 and level == "S4"):
                arms["both"] = luck + before + 2
            rows.append(a_cell(fraction, level, seed, **arms))
    return rows


def test_gains_are_those_of_pairs_and_signs_are_counted() -> None:
    gains = tables.gains(rows_of_parts())
    student = tables.gain_of(gains, 0.1, "S1", tables.STUDENT, {})
    assert student is not None
    assert (student.gain.value, student.pairs) == (pytest.approx(3.1), 3)
    assert student.gain.low is not None
    assert student.gain.low > 2.5
    cut = tables.gain_of(gains, 1.0, "S4", tables.BOTH, {})
    assert cut is not None
    assert (cut.pairs, cut.cell.trials) == (0, 2)
    signs = dict(line.strip("| ").split(" | ")[::2] for line in tables.signs({"a": gains})[2:])
    assert signs["self-training helps at every size"] == "above 0 in 4 of 4 cells; clearly in 4, clearly below in 0"
    assert signs["the gain of pre-training shrinks with data"] == "S1: +6.1, +1.1; S4: +4.1, -1.9"
    assert signs["... and with augmentation"] == "S1: +3.6, S4: +1.1"


def test_the_tables_say_where_seeds_are_missing() -> None:
    lines = tables.reached(rows_of_parts(), [0.1, 1.0])
    assert lines[2] == (
        "| 10 % | S1 | 10.0 (0.0 to 20.0) | 13.1 (3.0 to 23.2) | 16.1 (6.0 to 26.2) | 18.0 (8.0 to 28.0) |"
    )
    assert lines[-1].endswith("| 5.0 (0.0 to 10.0, 2 seed(s)) |")
    assert "+3.1" in tables.gain_table(tables.gains(rows_of_parts()), [0.1, 1.0])[2]


def test_regret_is_what_the_chosen_trial_lacks() -> None:
    trials = [{"accuracy": 0.9, "reassessed": 0.8, "test": 0.85}, {"accuracy": 0.8, "reassessed": 0.9, "test": 0.95}]
    assert tables.regret({"trials": trials}, "accuracy") == pytest.approx(0.1)
    assert tables.regret({"trials": trials}, "reassessed") == 0.0
    tied = [{**one, "accuracy": 0.5} for one in trials]
    assert tables.regret({"trials": tied}, "accuracy") == pytest.approx(0.05)


def test_a_rank_correlation_has_an_interval_around_it() -> None:
    first = np.random.default_rng(0).permutation(16)
    second = first + np.random.default_rng(1).normal(0, 4, 16)
    value, low, high = rank_correlation(first.tolist(), second.tolist())
    ranks = [np.argsort(np.argsort(one)) for one in (first, second)]
    assert value == pytest.approx(np.corrcoef(ranks)[0, 1])
    assert low < value < high

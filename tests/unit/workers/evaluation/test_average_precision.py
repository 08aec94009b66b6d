"""Average precision: by hand, by an independent calculation, and without any objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.average_precision import averages
from tests.support.scenes import truth
from tests.support.work import calls
from workers.data.detection import Truth
from workers.evaluation.detection import evaluate
from workers.models.boxes import Boxes
from workers.models.heads.detections import Detections, in_px

ONE = ("thing",)
Found = tuple[list[float], float, int]
"""Box, score, label."""


def detected(*rows: Found) -> Detections:
    boxes = torch.tensor([row[0] for row in rows], dtype=torch.float64).reshape(-1, 4)
    scores = torch.tensor([row[1] for row in rows], dtype=torch.float64)
    return Detections(Boxes(boxes), scores, torch.tensor([row[2] for row in rows], dtype=torch.int64))


def measured(
    detections: Sequence[Detections], truths: Sequence[Truth], classes: Sequence[str] = ONE
) -> dict[str, float]:
    return dict(evaluate(detections, truths, classes))


def random_case(images: int, classes: int, seed: int, most: int = 8) -> tuple[list[Detections], list[Truth]]:
    """Return boxes of all sizes, crowds, equal scores; some detections near an object, some anywhere."""
    random = np.random.default_rng(seed)
    detections, truths = [], []
    for _ in range(images):
        count, guesses = int(random.integers(most)), int(random.integers(1, 130))
        corner, sides = random.uniform(0, 300, (count, 2)), random.uniform(4, 200, (count, 2))
        boxes = np.concatenate([corner, corner + sides], 1)
        areas = sides.prod(1) * random.uniform(0.5, 1, count)
        labels = random.integers(classes, size=count)
        truths.append(Truth(boxes, labels, random.random(count) < 0.15, areas))
        corner, sides = random.uniform(0, 300, (guesses, 2)), random.uniform(4, 150, (guesses, 2))
        guessed, named = np.concatenate([corner, corner + sides], 1), random.integers(classes, size=guesses)
        if count:
            near = np.flatnonzero(random.random(guesses) < 0.5)
            of = random.integers(count, size=len(near))
            guessed[near], named[near] = boxes[of] + random.uniform(-2, 2, (len(near), 4)), labels[of]
        scores = -np.sort(-random.integers(1, 100, guesses) / 100)
        boxes_of_image = Boxes(torch.from_numpy(guessed))
        detections.append(Detections(boxes_of_image, torch.from_numpy(scores), torch.from_numpy(named)))
    return detections, truths


def test_a_false_detection_between_two_right_ones() -> None:
    """Precision is 1 up to half of the objects, then two thirds: 51 and 50 of the 101 levels of recall."""
    objects = truth([[0, 0, 20, 20], [50, 50, 80, 80]], [0, 0])
    detections = detected(([0, 0, 20, 20], 0.9, 0), ([30, 0, 45, 20], 0.8, 0), ([50, 50, 80, 80], 0.7, 0))
    metrics = measured([detections], [objects])
    assert metrics["ap"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert metrics["ar100"] == 1.0
    assert [metrics[name] for name in ("ap50", "ap75", "ap/thing")] == pytest.approx([metrics["ap"]] * 3)


def test_overlap_decides_which_thresholds_a_box_passes() -> None:
    """An overlap of 0.68 passes .50, .55, .60 and .65."""
    metrics = measured([detected(([0, 0, 68, 10], 0.9, 0))], [truth([[0, 0, 100, 10]], [0])])
    assert metrics["ap"] == pytest.approx(0.4)
    assert (metrics["ap50"], metrics["ap75"], metrics["ar100"]) == (1.0, 0.0, pytest.approx(0.4))


def test_a_second_detection_of_an_object_is_false() -> None:
    twice = detected(([0, 0, 20, 20], 0.9, 0), ([0, 0, 20, 20], 0.8, 0), ([50, 50, 80, 80], 0.7, 0))
    objects = truth([[0, 0, 20, 20], [50, 50, 80, 80]], [0, 0])
    assert measured([twice], [objects])["ap"] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_is_found_in_a_crowd_is_neither_right_nor_wrong() -> None:
    objects = truth([[0, 0, 20, 20], [50, 50, 90, 90]], [0, 0], crowd=(1,))
    inside = [([50.0 + 9 * place, 50, 59 + 9 * place, 60], 0.95, 0) for place in range(4)]
    assert measured([detected(*inside, ([0, 0, 20, 20], 0.9, 0))], [objects])["ap"] == 1.0
    assert measured([detected(([0, 0, 20, 20], 0.9, 0))], [objects])["ap"] == 1.0


def test_sizes_are_of_the_stated_areas() -> None:
    objects = truth([[0, 0, 20, 20], [50, 50, 100, 100], [200, 200, 400, 400]], [0, 0, 0])
    detections = detected(([0, 0, 20, 20], 0.9, 0), ([50, 50, 100, 100], 0.8, 0))
    metrics = measured([detections], [objects])
    assert (metrics["ap_small"], metrics["ap_medium"], metrics["ap_large"]) == (1.0, 1.0, 0.0)
    thin = replace(objects, areas=np.array([400.0, 900.0, 1500.0]))
    metrics = measured([detections], [thin])
    assert metrics["ap_small"] == 1.0
    assert metrics["ap_medium"] == 0.0
    assert "ap_large" not in metrics


def test_metrics_without_an_object_are_not_there() -> None:
    objects = truth([[0, 0, 20, 20]], [0])
    detections = detected(([0, 0, 20, 20], 0.9, 0), ([0, 0, 20, 20], 0.9, 1))
    metrics = measured([detections], [objects], ("seen", "unseen"))
    assert metrics["ap/seen"] == metrics["ap"] == 1.0
    assert not {"ap/unseen", "ap_medium", "ap_large"} & metrics.keys()
    assert measured([detections], [truth([], [])]) == {}
    assert measured([detections], [truth([[0, 0, 20, 20]], [0], crowd=(0,))]) == {}


def test_a_detector_that_finds_nothing_has_zero() -> None:
    metrics = measured([detected()], [truth([[0, 0, 20, 20]], [0])])
    assert set(metrics.values()) == {0.0}
    assert {"ap", "ap50", "ap75", "ap_small", "ar100", "ap/thing"} == metrics.keys()


def test_detections_beyond_the_hundredth_do_not_count() -> None:
    wrong: list[Found] = [([100.0, 100, 110, 110], 0.9, 0)] * 100
    right: Found = ([0, 0, 20, 20], 0.5, 0)
    objects = truth([[0, 0, 20, 20]], [0])
    assert measured([detected(*wrong, right)], [objects])["ap"] == 0.0
    assert measured([detected(*wrong[:99], right)], [objects])["ap"] == pytest.approx(0.01)


@pytest.mark.parametrize(("images", "classes", "seed"), [(12, 1, 0), (20, 3, 1), (10, 7, 2), (3, 2, 3)])
def test_every_metric_equals_an_independent_calculation(images: int, classes: int, seed: int) -> None:
    detections, truths = random_case(images, classes, seed)
    names = [f"class {label}" for label in range(classes)]
    metrics, wanted = measured(detections, truths, names), averages(detections, truths, names)
    assert metrics.keys() == wanted.keys()
    assert metrics == pytest.approx(wanted, abs=1e-12)
    assert 0 < metrics["ap"] < 1


def test_twice_the_images_take_hardly_more_than_twice_the_operations() -> None:
    names = [str(label) for label in range(10)]
    counts = []
    for images in (50, 50, 100):  # the first one imports what it needs
        detections, truths = random_case(images, 10, 0)
        with calls() as made:
            measured(detections, truths, names)
        counts.append(made.count)
    assert counts[2] < 2.5 * counts[1]


def test_detections_return_to_the_px_of_the_file() -> None:
    detections = in_px(detected(([10, 20, 30, 40], 0.9, 2)), seen=(64, 96), size=(128, 288))
    assert detections.boxes.xyxy.tolist() == [[30, 40, 90, 80]]
    assert (detections.scores.tolist(), detections.labels.tolist()) == ([0.9], [2])

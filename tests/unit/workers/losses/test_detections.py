"""Detections from outputs: boxes are decoded to their places, limits hold, classes stay apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workers.models.anchors import Anchors
from workers.models.boxes import Boxes
from workers.models.heads.detections import DetectionLimits, detections
from workers.models.heads.one_stage import HeadOutputs

SIZE = (96, 128)


@pytest.fixture
def anchors() -> Anchors:
    """Anchors of images of that size on three levels: 192 + 48 + 12."""
    return Anchors.of([(12, 16), (6, 8), (3, 4)], (8, 16, 32), torch.zeros(()))


def silent(anchors: Anchors, images: int = 1) -> HeadOutputs:
    """Return outputs of a head that detects nothing; a Dirac distance of a stride to every side."""
    total = len(anchors.boxes)
    return HeadOutputs(torch.full((images, total, 3), -9.0), torch.zeros(images, total, 4), None)


def place(outputs: HeadOutputs, anchors: Anchors, index: int, box: list[float], logits: dict[int, float]) -> None:
    """Make an anchor of the first image predict a box."""
    distances = Boxes(torch.tensor(box)).distances(anchors.centers[index]) / anchors.strides[index]
    outputs.boxes[0, index] = distances.log()
    for label, logit in logits.items():
        outputs.classes[0, index, label] = logit


def test_a_box_comes_back_where_it_was_placed(anchors: Anchors) -> None:
    outputs = silent(anchors)
    box = [9.0, 11.0, 57.0, 43.0]
    place(outputs, anchors, 192 + 8 + 2, box, {1: 2.0})  # centre (32, 16) of the second level
    (detected,) = detections(outputs, anchors, 0, [SIZE])
    torch.testing.assert_close(detected.boxes.xyxy, torch.tensor([box]))
    assert detected.labels.tolist() == [1]
    assert detected.scores.tolist() == pytest.approx([torch.tensor(2.0).sigmoid().item()])


def test_a_lesser_box_of_the_same_class_goes_and_of_another_class_stays(anchors: Anchors) -> None:
    outputs = silent(anchors)
    for index, logits in ((34, {0: 1.0}), (35, {0: 2.0}), (36, {2: 0.5})):  # neighbours in a row
        place(outputs, anchors, index, [4.0, 3.0, 60.0, 40.0], logits)
    (detected,) = detections(outputs, anchors, 0, [SIZE])
    assert detected.labels.tolist() == [0, 2]
    assert detected.scores.tolist() == pytest.approx(torch.tensor([2.0, 0.5]).sigmoid().tolist())


def test_boxes_end_at_the_borders_of_their_own_image(anchors: Anchors) -> None:
    outputs = silent(anchors)
    place(outputs, anchors, 34, [-20.0, 3.0, 200.0, 90.0], {0: 1.0})
    (detected,) = detections(outputs, anchors, 0, [(50, 70)])
    torch.testing.assert_close(detected.boxes.xyxy, torch.tensor([[0.0, 3.0, 70.0, 50.0]]))


def test_only_scores_above_the_limit_are_detections(anchors: Anchors) -> None:
    (detected,) = detections(silent(anchors), anchors, 0, [SIZE])
    assert len(detected.boxes) == len(detected.scores) == 0
    (detected,) = detections(silent(anchors), anchors, 0, [SIZE], DetectionLimits(score=0.0))
    assert len(detected.boxes) == 100


def test_the_best_of_each_level_and_image_are_kept(random: torch.Generator, anchors: Anchors) -> None:
    outputs = silent(anchors)._replace(classes=torch.randn(1, len(anchors.boxes), 3, generator=random))
    loose = DetectionLimits(per_level=5, iou=1.0)
    (detected,) = detections(outputs, anchors, 0, [SIZE], loose)
    scores = outputs.classes.sigmoid()[0]
    wanted = torch.cat([level.flatten().topk(5).values for level in scores.split([192, 48, 12])]).sort(descending=True)
    torch.testing.assert_close(detected.scores, wanted.values)
    (fewer,) = detections(outputs, anchors, 0, [SIZE], DetectionLimits(per_level=5, iou=1.0, per_image=4))
    torch.testing.assert_close(fewer.scores, wanted.values[:4])


def test_centerness_lowers_the_score_after_the_limit(anchors: Anchors) -> None:
    outputs = silent(anchors)
    place(outputs, anchors, 34, [4.0, 3.0, 60.0, 40.0], {0: 1.0})
    seen: Tensor = torch.full((1, len(anchors.boxes)), -4.0)
    (detected,) = detections(outputs._replace(centerness=seen), anchors, 0, [SIZE])
    assert detected.scores.tolist() == pytest.approx([(torch.tensor(1.0).sigmoid() * seen[0, 0].sigmoid()).item()])


def test_images_of_a_batch_do_not_suppress_each_other(anchors: Anchors) -> None:
    outputs = silent(anchors, images=2)
    place(outputs, anchors, 34, [4.0, 3.0, 60.0, 40.0], {0: 1.0})
    twice = HeadOutputs(outputs.classes[:1].repeat(2, 1, 1), outputs.boxes[:1].repeat(2, 1, 1), None)
    assert [len(one.boxes) for one in detections(twice, anchors, 0, [SIZE, SIZE])] == [1, 1]
    assert [len(one.boxes) for one in detections(outputs, anchors, 0, [SIZE, SIZE])] == [1, 0]

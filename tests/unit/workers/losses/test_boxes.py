"""Boxes: distances and centres invert each other; overlaps agree with the reference and with counted pixels."""

from __future__ import annotations

import torch
from torchvision.ops import box_iou

from tests.support.tensors import assert_same
from workers.models.boxes import Boxes


def test_distances_from_any_point_give_the_box_back(random: torch.Generator) -> None:
    boxes = Boxes(torch.rand(6, 4, generator=random))
    points = torch.rand(6, 2, generator=random)
    torch.testing.assert_close(Boxes.around(points, boxes.distances(points)).xyxy, boxes.xyxy)


def test_pairwise_iou_is_that_of_torchvision(random: torch.Generator) -> None:
    low = torch.rand(9, 2, generator=random, dtype=torch.float64)
    boxes = Boxes(torch.cat((low, low + torch.rand(9, 2, generator=random, dtype=torch.float64) + 0.1), 1))
    assert_same(boxes[:4].pairwise_iou(boxes[4:]), box_iou(boxes.xyxy[:4], boxes.xyxy[4:]))


def test_iou_counts_no_extra_pixel() -> None:
    box, other = Boxes(torch.tensor([[0.0, 0.0, 4.0, 2.0]])), Boxes(torch.tensor([[2.0, 0.0, 6.0, 2.0]]))
    assert box.iou(other).item() == torch.tensor(4 / 12).item()


def test_boxes_without_area_have_no_overlap_and_no_nan() -> None:
    point = Boxes(torch.zeros(1, 4))
    assert point.iou(point).item() == 0
    assert point.giou(point).isfinite().all()


def test_boxes_are_clipped_to_their_image() -> None:
    clipped = Boxes(torch.tensor([[-3.0, 5.0, 70.0, 90.0]])).clipped(height=40, width=60)
    assert clipped.xyxy.tolist() == [[0, 5, 60, 40]]

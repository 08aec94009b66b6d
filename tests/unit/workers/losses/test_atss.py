"""ATSS: the assignment of the reference, and of the algorithm written out object by object."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from tests.support.tensors import assert_same
from workers.losses.atss import Targets, assign
from workers.models.anchors import Anchors
from workers.models.boxes import Boxes


def written_out(anchors: Anchors, boxes: Boxes) -> list[int]:
    """Run algorithm 1 on an image, anchor by anchor: the object of each, or -1."""
    ious = anchors.boxes.pairwise_iou(boxes).tolist()
    owner, best = [-1] * len(ious), [0.0] * len(ious)
    for number, (x0, y0, x1, y1) in enumerate(boxes.xyxy.tolist()):
        distances = (anchors.centers - boxes[number].centers()).norm(dim=1).tolist()
        candidates, first = [], 0
        for count in anchors.counts:
            level = list(range(first, first + count))
            level.sort(key=distances.__getitem__)
            candidates += level[:9]
            first += count
        chosen = torch.tensor([ious[a][number] for a in candidates], dtype=torch.float64)
        threshold = chosen.mean() + chosen.std()
        for a in candidates:
            x, y = anchors.centers[a].tolist()
            inside = min(x - x0, y - y0, x1 - x, y1 - y) > 0.01
            if inside and ious[a][number] >= threshold and ious[a][number] > best[a]:
                owner[a], best[a] = number, ious[a][number]
    return owner


def test_it_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]]) -> None:
    vectors = golden("gfl_atss")
    anchors = Anchors.of([(16, 16), (8, 8), (4, 4)], (8, 16, 32), vectors["anchors"])
    boxes, labels = Boxes(vectors["gt_bboxes"]), vectors["gt_labels"]
    (assigned,) = assign(anchors, Targets.of([(boxes, labels)]), images=1)
    positive = assigned >= 0
    assert_same(anchors.boxes.xyxy, vectors["anchors"])
    assert anchors.counts == tuple(vectors["num_level_anchors"].tolist())
    assert (assigned + 1).tolist() == vectors["assigned_gt_inds"].tolist()
    assert torch.where(positive, labels[assigned], -1).tolist() == vectors["labels"].tolist()
    ious = anchors.boxes.iou(boxes[assigned.clamp(min=0)])
    assert_same(torch.where(positive, ious, -1e8), vectors["max_overlaps"])


def test_a_batch_is_assigned_as_its_images_are_one_by_one(
    anchors: Anchors, make_targets: Callable[..., Targets]
) -> None:
    targets = make_targets(4, 0, 30, 50)
    assigned = assign(anchors, targets, images=4)
    for image in range(4):
        own = (targets.images == image).nonzero().flatten()
        wanted = [-1 if object_ < 0 else own[object_].item() for object_ in written_out(anchors, targets.boxes[own])]
        assert assigned[image].tolist() == wanted
    assert (assigned >= 0).sum() > 60


def test_a_batch_without_objects_has_negatives_alone(anchors: Anchors) -> None:
    nothing = (Boxes(torch.zeros(0, 4, dtype=torch.float64)), torch.zeros(0, dtype=torch.long))
    assert (assign(anchors, Targets.of([nothing, nothing]), images=2) == -1).all()


def test_of_two_equal_objects_the_first_has_the_anchors(anchors: Anchors) -> None:
    boxes = Boxes(torch.tensor([[20.0, 20.0, 61.0, 60.0]] * 2, dtype=torch.float64))
    assigned = assign(anchors, Targets.of([(boxes, torch.tensor([1, 2]))]), images=1)
    assert set(assigned.unique().tolist()) == {-1, 0}


def test_a_single_anchor_is_its_own_threshold() -> None:
    anchors = Anchors.of([(1, 1)], (64,), torch.zeros(()))
    boxes = Boxes(torch.tensor([[-30.0, -30.0, 40.0, 40.0]]))
    assert assign(anchors, Targets.of([(boxes, torch.tensor([0]))]), images=1).tolist() == [[0]]


def test_centres_lie_on_multiples_of_the_stride_row_by_row() -> None:
    anchors = Anchors.of([(2, 3)], (16,), torch.zeros(()))
    assert anchors.centers.tolist() == [[0, 0], [16, 0], [32, 0], [0, 16], [16, 16], [32, 16]]
    assert anchors.boxes.xyxy[1].tolist() == [-48, -64, 80, 64]


@pytest.mark.parametrize(("strides", "positives"), [((8, 10, 20), 0), ((8, 12, 16), 1)])
def test_the_threshold_is_made_with_the_unbiased_deviation(strides: tuple[int, ...], positives: int) -> None:
    """IoUs as 1 : 0.64 : 0.16 put it at 1.02 of the greatest, the biased deviation at 0.94; the others at 0.95."""
    anchors = Anchors.of([(1, 1)] * 3, strides, torch.zeros(()))
    boxes = Boxes(torch.tensor([[-20.0, -20.0, 20.0, 20.0]]))
    assigned = assign(anchors, Targets.of([(boxes, torch.tensor([0]))]), images=1)
    assert (assigned >= 0).sum() == positives

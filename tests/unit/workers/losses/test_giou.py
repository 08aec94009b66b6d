"""GIoU loss: the reference's values and gradients, its extremes, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from tests.support.tensors import assert_same
from workers.losses.giou import giou_loss
from workers.models.boxes import Boxes


@pytest.mark.parametrize("epsilon", [1e-6, 1e-7])
def test_it_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]], epsilon: float) -> None:
    vectors = golden("gfl_giou")
    predicted = vectors["pred"].requires_grad_()
    losses = giou_loss(Boxes(predicted), Boxes(vectors["target"]), epsilon)
    (gradient,) = torch.autograd.grad(losses.sum(), predicted)
    assert_same(losses, vectors[f"v2_loss_eps{epsilon:.0e}"])
    assert_same(gradient, vectors[f"v2_grad_eps{epsilon:.0e}"])


def test_the_overlaps_are_the_reference(golden: Callable[[str], Mapping[str, Tensor]]) -> None:
    vectors = golden("gfl_giou")
    predicted, targets = Boxes(vectors["pred"]), Boxes(vectors["target"])
    assert_same(predicted.iou(targets), vectors["v2_iou"])
    assert_same(predicted.giou(targets), vectors["v2_giou"])


def test_it_is_0_for_equal_boxes_and_nears_2_far_apart() -> None:
    box = Boxes(torch.tensor([[0.0, 0.0, 2.0, 3.0]], dtype=torch.float64))
    assert giou_loss(box, box).item() == 0
    assert 1.999 < giou_loss(box, Boxes(box.xyxy + 1e4)).item() < 2


def test_it_does_not_depend_on_the_scale(random: torch.Generator) -> None:
    points = torch.rand(2, 5, 4, generator=random, dtype=torch.float64).sort(-1).values[..., [0, 1, 2, 3]]
    boxes, other = Boxes(100 * points[0]), Boxes(100 * points[1])
    torch.testing.assert_close(giou_loss(boxes, other), giou_loss(boxes / 8.0, other / 8.0))


def test_its_gradient_is_that_of_finite_differences(random: torch.Generator) -> None:
    low = torch.rand(2, 8, 2, generator=random, dtype=torch.float64)
    corners = torch.cat((low, low + 0.3 + torch.rand(2, 8, 2, generator=random, dtype=torch.float64)), -1)
    targets = Boxes(corners[1])
    assert torch.autograd.gradcheck(lambda b: giou_loss(Boxes(b), targets), corners[0].requires_grad_())

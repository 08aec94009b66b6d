"""Focal loss: torchvision's values; finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torchvision.ops import sigmoid_focal_loss

from tests.support.tensors import assert_same
from workers.losses.focal import focal_loss


@pytest.mark.parametrize(("alpha", "gamma"), [(0.25, 2.0), (0.6, 1.0)])
def test_it_is_that_of_torchvision(random: torch.Generator, alpha: float, gamma: float) -> None:
    logits = 3 * torch.randn(20, 4, generator=random, dtype=torch.float64)
    targets = F.one_hot(torch.arange(20) % 5, 5)[:, :4].double()
    assert_same(focal_loss(logits, targets, alpha, gamma), sigmoid_focal_loss(logits, targets, alpha, gamma).sum(-1))


def test_its_gradient_is_that_of_finite_differences(random: torch.Generator) -> None:
    logits = torch.randn(6, 4, generator=random, dtype=torch.float64, requires_grad=True)
    targets = F.one_hot(torch.arange(6) % 4, 4).double()
    assert torch.autograd.gradcheck(lambda z: focal_loss(z, targets), logits)

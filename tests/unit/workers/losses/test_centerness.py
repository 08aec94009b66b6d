"""Centerness: its formula, and the minimum of its loss."""

from __future__ import annotations

import torch

from tests.support.tensors import assert_same
from workers.losses.centerness import centerness, centerness_loss


def test_it_is_1_at_the_centre_and_falls_towards_a_side() -> None:
    values = centerness(torch.tensor([[2.0, 3.0, 2.0, 3.0], [1.0, 3.0, 4.0, 3.0], [1.0, 1.0, 4.0, 9.0]]))
    torch.testing.assert_close(values, torch.tensor([1.0, 0.5, 1 / 6]))


def test_its_loss_is_least_where_the_score_is_the_centerness(random: torch.Generator) -> None:
    targets = torch.rand(5, generator=random, dtype=torch.float64)
    logits = targets.logit().requires_grad_()
    (gradient,) = torch.autograd.grad(centerness_loss(logits, targets).sum(), logits)
    assert_same(gradient, torch.zeros_like(gradient))

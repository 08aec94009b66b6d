"""Quality Focal Loss: the reference's values and gradients, cross entropy as a limit, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from tests.support.tensors import REFERENCE_EPSILON, assert_same
from workers.losses.quality_focal import quality_focal_loss


def wanted(vectors: Mapping[str, Tensor]) -> Tensor:
    """Return the IoU at the class of positives; class 5 is background."""
    return F.one_hot(vectors["label"], 6)[:, :5] * vectors["score"][:, None]


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_it_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]], beta: float) -> None:
    vectors = golden("gfl_qfl")
    logits = vectors["pred"].requires_grad_()
    losses = quality_focal_loss(logits, wanted(vectors), beta)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert_same(losses, vectors[f"loss_none_beta{beta}"])
    assert_same(gradient, vectors[f"grad_sum_beta{beta}"])


def test_its_weighted_mean_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]]) -> None:
    vectors = golden("gfl_qfl")
    logits = vectors["pred"].requires_grad_()
    loss = (vectors["weight"] * quality_focal_loss(logits, wanted(vectors))).sum() / (7 + REFERENCE_EPSILON)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert_same(loss, vectors["loss_weighted_avg7"])
    assert_same(gradient, vectors["grad_weighted_avg7"])


def test_beta_0_is_cross_entropy(random: torch.Generator) -> None:
    logits, targets = torch.randn(7, 3, generator=random), torch.rand(7, 3, generator=random)
    plain = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(-1)
    torch.testing.assert_close(quality_focal_loss(logits, targets, beta=0.0), plain)


def test_a_score_equal_to_its_quality_costs_nothing() -> None:
    quality = torch.tensor([[0.3, 0.9]], dtype=torch.float64)
    assert quality_focal_loss(quality.logit(), quality).item() < 1e-20


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_its_gradient_is_that_of_finite_differences(random: torch.Generator, beta: float) -> None:
    logits = torch.randn(6, 4, generator=random, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(6, 4, generator=random, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: quality_focal_loss(z, targets, beta), logits)

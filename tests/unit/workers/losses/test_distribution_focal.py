"""Distribution Focal Loss and the integral: the reference's values and gradients, the optimum, finite differences."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from tests.support.tensors import REFERENCE_EPSILON, assert_same
from workers.losses.distribution_focal import distribution_focal_loss
from workers.models.heads import distances


def test_it_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]]) -> None:
    vectors = golden("gfl_dfl_integral")
    logits = vectors["pred"].requires_grad_()
    losses = distribution_focal_loss(logits, vectors["label"])
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    assert_same(losses, vectors["loss_none"])
    assert_same(gradient, vectors["grad_sum"])
    weighted = (vectors["weight"] * losses).sum() / (4 + REFERENCE_EPSILON)
    assert_same(weighted, vectors["loss_weighted_avg4"])


def test_the_integral_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]]) -> None:
    vectors = golden("gfl_dfl_integral")
    logits = vectors["pred"].requires_grad_()
    decoded = distances.decode(logits.reshape(5, 4 * 17), 17)  # (5, 4)
    weights = 1 + torch.arange(20, dtype=torch.float64).reshape(5, 4)
    (gradient,) = torch.autograd.grad((decoded * weights).sum(), logits)
    assert_same(decoded, vectors["integral"])
    assert_same(gradient, vectors["integral_grad_weighted"])


def test_its_optimum_has_the_target_as_its_integral() -> None:
    target = torch.tensor([2.3, 0.0, 6.9], dtype=torch.float64)
    probabilities = torch.full((3, 8), 1e-12, dtype=torch.float64)
    lower = target.long()
    probabilities[torch.arange(3), lower] += 1 - (target - lower)
    probabilities[torch.arange(3), lower + 1] += target - lower
    logits = probabilities.log().requires_grad_()
    (gradient,) = torch.autograd.grad(distribution_focal_loss(logits, target).sum(), logits)
    assert gradient.abs().max() < 1e-9
    torch.testing.assert_close(distances.integral(logits), target)


def test_gradients_are_those_of_finite_differences(random: torch.Generator) -> None:
    logits = torch.randn(4, 9, generator=random, dtype=torch.float64, requires_grad=True)
    targets = 7.9 * torch.rand(4, generator=random, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: distribution_focal_loss(z, targets), logits)
    assert torch.autograd.gradcheck(distances.integral, logits)


def test_every_encoded_distance_has_two_bins() -> None:
    encoded = distances.encode(torch.tensor([-1.0, 3.25, 8.0, 100.0]), bins=9)
    torch.testing.assert_close(encoded, torch.tensor([0.0, 3.25, 7.9, 7.9]))
    assert distribution_focal_loss(torch.zeros(4, 9), encoded).isfinite().all()


def test_a_dirac_distance_is_positive_and_finite() -> None:
    decoded = distances.decode(torch.tensor([[-50.0, 0.0, 3.0, 500.0]]), bins=0)
    assert (decoded > 0).all()
    assert decoded[0, 1] == 1
    assert decoded.isfinite().all()

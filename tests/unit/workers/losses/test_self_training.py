"""The joint loss of a student: its formula, its averages, its gradients, its size."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from workers.losses.self_training import JointLoss, normalised


def scalar(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [(1.0, (0.5 + 0.6 / 2.4 * 2.0) / 2), (0.25, (0.5 + 0.25 * 0.6 / 2.4 * 2.0) / 1.25), (4.0, (0.5 + 4 * 0.5) / 5)],
)
def test_known_averages_give_the_known_total(alpha: float, expected: float) -> None:
    means = torch.tensor([0.6, 2.4], dtype=torch.float64)
    assert normalised(scalar(0.5), scalar(2.0), means, alpha).item() == pytest.approx(expected, rel=1e-12)


def test_averages_start_at_the_first_losses_and_move_by_a_hundredth() -> None:
    loss = JointLoss(1.0)
    loss(scalar(1.0), scalar(10.0))
    assert loss.state()["means"].tolist() == [1.0, 10.0]
    loss(scalar(3.0), scalar(30.0))
    assert loss.state()["means"].tolist() == pytest.approx([1.02, 10.2])


def test_no_gradient_flows_through_either_average() -> None:
    loss, alpha = JointLoss(0.5), 0.5
    loss(scalar(1.0), scalar(4.0))
    labelled, pseudo = scalar(2.0), scalar(3.0)
    loss(labelled, pseudo).backward()
    mean_labelled, mean_pseudo = loss.state()["means"].tolist()
    assert float(labelled.grad) == pytest.approx(1 / (1 + alpha), rel=1e-12)
    assert float(pseudo.grad) == pytest.approx(alpha * mean_labelled / mean_pseudo / (1 + alpha), rel=1e-12)
    means = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    normalised(scalar(1.0), scalar(1.0), means, alpha).backward()
    assert means.grad is None


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("alpha", [0.25, 1.0, 4.0])
def test_the_total_stays_on_the_scale_of_the_labelled_loss(scale: float, alpha: float) -> None:
    loss, random = JointLoss(alpha), torch.Generator().manual_seed(1)
    factors = 0.5 + torch.rand(200, 2, generator=random, dtype=torch.float64)
    decay = torch.linspace(1.0, 0.1, 200, dtype=torch.float64)
    steps = list(zip(decay, factors, strict=True))
    totals = [float(loss(2 * d * factor[0], 2 * scale * d * factor[1])) for d, factor in steps]
    assert sum(totals) == pytest.approx(float((2 * decay * factors[:, 0]).sum()), rel=0.2)
    unscaled = JointLoss(alpha)
    for d, factor, total in zip(decay, factors, totals, strict=True):
        assert total == pytest.approx(float(unscaled(2 * d * factor[0], 2 * d * factor[1])), rel=1e-9)


def test_a_pseudo_loss_of_nothing_is_no_infinity() -> None:
    loss = JointLoss(1.0)
    assert loss(scalar(1.0), scalar(0.0)).item() == pytest.approx(0.5)
    labelled, pseudo = scalar(1.0), scalar(1e-9)
    loss(labelled, pseudo).backward()
    assert float(pseudo.grad) == pytest.approx(0.5e6)


def test_it_goes_on_from_its_state() -> None:
    whole, first, second = JointLoss(2.0), JointLoss(2.0), JointLoss(2.0)
    steps = [(scalar(1.0), scalar(5.0)), (scalar(0.5), scalar(7.0)), (scalar(0.25), scalar(2.0))]
    expected = [whole(*step).item() for step in steps]
    assert first(*steps[0]).item() == expected[0]
    second.restore(first.state())
    assert [second(*step).item() for step in steps[1:]] == expected[1:]

"""Sample Weighting Network: the reference's outputs and gradients, weights of 1 at the start, both forms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from tests.support.tensors import assert_same
from workers.losses.sample_weighting import (
    Samples,
    SampleWeightingNet,
    Weighting,
    one_stage_weights,
    optimizer,
    two_stage_loss,
    two_stage_weights,
)

CONTROL = Weighting(limit=0, positive=0, negative=0, boxes=0)


@pytest.fixture
def net() -> SampleWeightingNet:
    """A network whose uncertainties differ between samples, some beyond the limit."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = SampleWeightingNet().double()
        for parameter in net.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return net


@pytest.fixture
def samples(random: torch.Generator) -> Samples:
    """Twelve samples, of which five are positive; all but the last field are part of a graph."""

    def draw(*shape: int) -> Tensor:
        return torch.rand(12, *shape, generator=random, dtype=torch.float64).requires_grad_()

    return Samples(draw(), draw(), draw(), draw(4), torch.arange(12) % 5 < 2)


def uncertainties(net: SampleWeightingNet, samples: Samples, limit: float) -> Tensor:
    """Return s, (N, 2), with zeros for negatives, as in the paper's text."""
    rows = []
    for number, positive in enumerate(samples.positive.tolist()):
        sample = [part[number : number + 1].detach() for part in samples[:4]]
        if not positive:
            sample = [torch.zeros_like(sample[0]), torch.zeros_like(sample[1]), sample[2], torch.zeros_like(sample[3])]
        rows.append(net(*sample))
    return torch.cat(rows).clamp(-limit, limit)


@pytest.mark.parametrize("name", ["swn_net_init", "swn_net_random"])
def test_the_network_is_the_reference(golden: Callable[[str], Mapping[str, Tensor]], name: str) -> None:
    vectors = golden(name)
    net = SampleWeightingNet().double()
    net.load_state_dict({key[6:]: value for key, value in vectors.items() if key.startswith("param.")})
    outputs = net(*(vectors[key] for key in ("ious", "probs", "cls_loss", "reg_loss")))
    (outputs * vectors["gradout"]).sum().backward()
    assert_same(outputs, vectors["out"])
    for key, parameter in net.named_parameters():
        assert_same(parameter.grad, vectors[f"grad.{key}"])


def test_every_weight_is_1_at_the_start(samples: Samples) -> None:
    net = SampleWeightingNet().double()
    for weights in (two_stage_weights(net, samples), one_stage_weights(net, samples)):
        assert_same(weights.classes, torch.ones_like(weights.classes))
        assert_same(weights.boxes, torch.ones_like(weights.boxes))
        assert abs(weights.regularizer.item()) < 1e-9


def test_the_two_stage_loss_is_its_formula(net: SampleWeightingNet, samples: Samples) -> None:
    classes, boxes = uncertainties(net, samples, 2.0).unbind(-1)
    positive, total = samples.positive, 12
    plus, minus = classes[positive].mean(), classes[~positive].mean()
    classification = (
        torch.exp(-plus) * samples.class_losses[positive].sum()
        + torch.exp(-minus) * samples.class_losses[~positive].sum()
    ) / total
    of_boxes = (torch.exp(-boxes[positive]) * samples.box_losses[positive].sum(1)).sum() / total
    terms = two_stage_loss(net, samples)
    assert_same(terms["classification"], classification)
    assert_same(terms["boxes"], of_boxes)
    assert_same(terms["regularizer"], 0.5 * plus + 0.5 * minus + 0.5 * boxes[positive].mean())


def test_the_two_stage_loss_reaches_the_detector_through_the_losses_alone(
    net: SampleWeightingNet, samples: Samples
) -> None:
    weights = two_stage_weights(net, samples)
    total = torch.stack(list(two_stage_loss(net, samples).values())).sum()
    inputs = samples[:4]
    ious, scores, classes, boxes = torch.autograd.grad(total, inputs, allow_unused=True)
    assert ious is None
    assert scores is None
    assert_same(classes, weights.classes.detach() / 12)
    wanted = (weights.boxes * samples.positive).detach() / 12
    assert_same(boxes, wanted[:, None].expand(-1, 4))


def test_the_network_learns_from_loss_and_regularizer(samples: Samples) -> None:
    """d / ds_cls of the last layer's bias: -sum w CE / N + 0.5 + 0.5, for a network with equal outputs for all samples.
    """
    net = SampleWeightingNet().double()
    torch.stack(list(two_stage_loss(net, samples).values())).sum().backward()
    classes = 1.0 - samples.class_losses.sum() / 12
    boxes = 0.5 - samples.box_losses[samples.positive].sum() / 12
    assert_same(net.predictor[2].bias.grad, torch.stack((classes, boxes)).detach())


def test_beyond_the_limit_no_gradient_reaches_the_network(samples: Samples) -> None:
    net = SampleWeightingNet().double()
    torch.nn.init.constant_(net.predictor[2].bias, 2.5)
    terms = two_stage_loss(net, samples)
    torch.stack(list(terms.values())).sum().backward()
    assert_same(terms["regularizer"], torch.tensor(3.0, dtype=torch.float64))
    assert all((one.grad == 0).all() for one in net.parameters())


def test_the_one_stage_form_has_one_weight_for_all_classes(net: SampleWeightingNet, samples: Samples) -> None:
    classes, boxes = uncertainties(net, samples, 2.0).unbind(-1)
    weights = one_stage_weights(net, samples)
    assert_same(weights.classes, torch.exp(-classes.mean()))
    assert_same(weights.boxes, torch.exp(-boxes))
    assert_same(weights.regularizer, 0.5 * classes.mean() + 0.5 * boxes[samples.positive].mean())


def test_the_one_stage_form_passes_gradients_to_iou_and_score(net: SampleWeightingNet, samples: Samples) -> None:
    weights = one_stage_weights(net, samples)
    total = weights.classes + weights.regularizer
    ious, scores, classes, boxes = torch.autograd.grad(total, samples[:4], allow_unused=True)
    assert (ious != 0).any()
    assert (scores != 0).any()
    assert classes is None
    assert boxes is None


@pytest.mark.parametrize("positive", [True, False])
def test_a_batch_without_one_kind_has_a_finite_loss(net: SampleWeightingNet, samples: Samples, positive: bool) -> None:
    alike = samples._replace(positive=torch.full((12,), positive))
    terms = two_stage_loss(net, alike)
    torch.stack(list(terms.values())).sum().backward()
    assert all(one.isfinite() for one in terms.values())
    assert all(one.grad is not None and one.grad.isfinite().all() for one in net.parameters())


def test_the_control_weighs_nothing(net: SampleWeightingNet, samples: Samples) -> None:
    weights = two_stage_weights(net, samples, CONTROL)
    assert (weights.classes == 1).all()
    assert (weights.boxes == 1).all()
    assert weights.regularizer == 0


def test_trained_alone_it_finds_the_log_of_twice_the_loss() -> None:
    """The optimum of exp(-s) L + s / 2, for a class loss and a box loss that all samples share."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = SampleWeightingNet(box_terms=1)
    samples = Samples(*torch.full((3, 8), 0.4), torch.full((8, 1), 1.3), torch.ones(8, dtype=torch.bool))
    adam = optimizer(net)
    for _ in range(600):
        adam.zero_grad()
        terms = two_stage_loss(net, samples, Weighting(negative=0.0))
        torch.stack(list(terms.values())).sum().backward()
        adam.step()
    weights = two_stage_weights(net, samples)
    assert -weights.classes[0].log().item() == pytest.approx(math.log(2 * 0.4), abs=0.05)
    assert -weights.boxes[0].log().item() == pytest.approx(math.log(2 * 1.3), abs=0.05)


def test_it_has_an_adam_of_its_own() -> None:
    group = optimizer(SampleWeightingNet()).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (1e-3, 1e-4)


def test_cross_entropy_and_smooth_l1_are_what_it_weighs(net: SampleWeightingNet, random: torch.Generator) -> None:
    """The wiring of a Faster R-CNN: with the control, the loss is the plain loss."""
    logits = torch.randn(6, 4, generator=random, dtype=torch.float64)
    labels = torch.tensor([0, 3, 3, 1, 2, 3])  # 3 is background
    offsets = torch.randn(6, 4, generator=random, dtype=torch.float64)
    positive = labels != 3
    samples = Samples(
        ious=torch.rand(6, generator=random, dtype=torch.float64),
        scores=logits.softmax(1).gather(1, labels[:, None])[:, 0],
        class_losses=F.cross_entropy(logits, labels, reduction="none"),
        box_losses=F.smooth_l1_loss(offsets, torch.zeros_like(offsets), reduction="none"),
        positive=positive,
    )
    terms = two_stage_loss(net, samples, CONTROL)
    plain = F.smooth_l1_loss(offsets[positive], torch.zeros(3, 4, dtype=torch.float64), reduction="sum") / 6
    assert_same(terms["classification"], F.cross_entropy(logits, labels))
    assert_same(terms["boxes"], plain)

"""Sample Weighting Network (arXiv 2006.06568): weights of each sample's losses, learnt with the detector.

For every sample, the network takes four inputs and gives two log-uncertainties, s = (s_cls, s_reg), clamped to +-limit;
a loss L becomes exp(-s) L + lambda s, whose optimum is s = ln(L / lambda). **Two-stage** (regions of a Faster R-CNN)::

    w_cls = exp(-m+) for every positive, exp(-m-) for every negative     m+, m- = means of s_cls over either
    w_reg = exp(-s_reg) of each positive
    L     = sum w_cls CE / N + sum_pos w_reg sum smoothL1 / N + lambda+ m+ + lambda- m- + lambda_reg mean_pos(s_reg)

**One-stage** (all anchors of a RetinaNet): a single mean m over all s_cls, w_cls = exp(-m) for all, a single term
lambda+ m.

All four inputs are constants in the two-stage form. In the one-stage form, IoU and score are not, as in the authors'
code: they pass some gradient to the detector. The network is not part of the detector, and is not used at inference.
Shapes: N samples, P positives among them, T terms of a box's loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Adam

_WIDTH = 64
_DEVIATION = 1e-4  # of initial weights: s is 0, and every weight 1, at the start


class Samples(NamedTuple):
    """Inputs of the network; IoU, score and box losses of negatives count as 0."""

    ious: Tensor  # (N), of the predicted box with its object
    scores: Tensor  # (N), of the object's class
    class_losses: Tensor  # (N)
    box_losses: Tensor  # (N, T)
    positive: Tensor  # (N), bool


@dataclass(frozen=True, slots=True)
class Weighting:
    """The constants of the method, as for Faster R-CNN; with limit and lambdas 0, the control, all weights are 1."""

    limit: float = 2.0
    positive: float = 0.5  # lambda+
    negative: float = 0.5  # lambda-
    boxes: float = 0.5  # lambda_reg


class SampleWeights(NamedTuple):
    """Factors of the samples' losses, and a summand."""

    classes: Tensor  # (N), or () in the one-stage form
    boxes: Tensor  # (N), of which those of positives mean something
    regularizer: Tensor  # ()


DEFAULT_WEIGHTING = Weighting()


class SampleWeightingNet(nn.Module):
    """Four branches of two layers, a branch per input, then two layers on their concatenated outputs."""

    def __init__(self, box_terms: int = 4) -> None:
        super().__init__()
        self.iou_net = _branch(1)
        self.prob_net = _branch(1)
        self.cls_loss_net = _branch(1)
        self.reg_loss_net = _branch(box_terms)
        self.predictor = nn.Sequential(nn.Linear(4 * _WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, 2))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=_DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, ious: Tensor, scores: Tensor, class_losses: Tensor, box_losses: Tensor) -> Tensor:
        """Map (N), (N), (N) and (N, T) to s_cls and s_reg, (N, 2), before any clamp."""
        seen = (
            self.iou_net(ious.unsqueeze(-1)),
            self.prob_net(scores.unsqueeze(-1)),
            self.cls_loss_net(class_losses.unsqueeze(-1)),
            self.reg_loss_net(box_losses),
        )
        return self.predictor(torch.cat(seen, dim=-1))  # type: ignore[no-any-return]


def net_of(values: Mapping[str, Any]) -> SampleWeightingNet | None:
    """Build the net of a one-stage head if the recipe uses it; it is not part of the detector and is not stored."""
    return SampleWeightingNet(box_terms=1) if values["sample_weighting"] == "swn" else None


def optimizer(net: SampleWeightingNet) -> Adam:
    """Return the optimiser of the network, which does not depend on the detector's."""
    return Adam(net.parameters(), lr=1e-3, weight_decay=1e-4)


def two_stage_weights(
    net: SampleWeightingNet, samples: Samples, weighting: Weighting = DEFAULT_WEIGHTING
) -> SampleWeights:
    """Weigh sampled regions; no gradient flows back into the samples."""
    positive = samples.positive
    classes, boxes = _uncertainties(net, Samples(*(one.detach() for one in samples)), weighting.limit)
    of_positives, of_negatives = _mean(classes, positive), _mean(classes, ~positive)  # m+, m-
    factors = torch.where(positive, (-of_positives).exp(), (-of_negatives).exp())  # (N)
    regularizer = weighting.positive * of_positives + weighting.negative * of_negatives
    return SampleWeights(factors, (-boxes).exp(), regularizer + weighting.boxes * _mean(boxes, positive))


def one_stage_weights(
    net: SampleWeightingNet, samples: Samples, weighting: Weighting = DEFAULT_WEIGHTING
) -> SampleWeights:
    """Weigh all anchors; IoUs and scores that carry a gradient pass it on."""
    constant = samples._replace(class_losses=samples.class_losses.detach(), box_losses=samples.box_losses.detach())
    classes, boxes = _uncertainties(net, constant, weighting.limit)
    mean = classes.mean()
    regularizer = weighting.positive * mean + weighting.boxes * _mean(boxes, samples.positive)
    return SampleWeights((-mean).exp(), (-boxes).exp(), regularizer)


def two_stage_loss(
    net: SampleWeightingNet, samples: Samples, weighting: Weighting = DEFAULT_WEIGHTING
) -> dict[str, Tensor]:
    """Return the terms of L, from the cross entropies and the smooth L1 of each coordinate, both unreduced."""
    weights = two_stage_weights(net, samples, weighting)
    boxes = torch.where(samples.positive, samples.box_losses.sum(-1), 0.0)  # (N)
    total = max(1, len(samples.positive))
    return {
        "classification": (weights.classes * samples.class_losses).sum() / total,
        "boxes": (weights.boxes * boxes).sum() / total,
        "regularizer": weights.regularizer,
    }


def _branch(inputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU())


def _uncertainties(net: SampleWeightingNet, samples: Samples, limit: float) -> tuple[Tensor, Tensor]:
    """Return s_cls and s_reg, (N) each."""
    positive = samples.positive
    ious, scores = torch.where(positive, samples.ious, 0.0), torch.where(positive, samples.scores, 0.0)
    box_losses = torch.where(positive.unsqueeze(-1), samples.box_losses, 0.0)  # (N, T)
    classes, boxes = net(ious, scores, samples.class_losses, box_losses).clamp(-limit, limit).unbind(-1)  # (N) each
    return classes, boxes


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean over the chosen entries of (N); 0 if none is chosen, so that the weight is 1."""
    return torch.where(chosen, values, 0.0).sum() / chosen.sum().clamp(min=1)

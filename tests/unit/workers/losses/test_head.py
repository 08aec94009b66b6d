"""The detection head: its shapes and start, and its independence of sample weighting."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.losses.sample_weighting import SampleWeightingNet, optimizer
from workers.models.boxes import Boxes
from workers.models.heads.one_stage import HeadDesign, OneStageHead

STRIDES = (8, 16, 32)


def maps(channels: int = 12) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(2, channels, 64 // stride, 96 // stride, generator=generator) for stride in STRIDES]


def head(bins: int = 17, centerness: bool = False) -> OneStageHead:
    torch.manual_seed(0)
    design = HeadDesign(3, inputs=12, width=16, depth=2, groups=2, strides=STRIDES, bins=bins, centerness=centerness)
    return OneStageHead(design)


@pytest.mark.parametrize(("bins", "channels"), [(17, 68), (8, 32), (0, 4)])
@pytest.mark.parametrize("centerness", [True, False])
def test_every_anchor_has_its_outputs(bins: int, channels: int, centerness: bool) -> None:
    network = head(bins, centerness)
    outputs = network(maps())
    total = len(network.anchors(maps()).boxes)
    assert total == 8 * 12 + 4 * 6 + 2 * 3
    assert outputs.classes.shape == (2, total, 3)
    assert outputs.boxes.shape == (2, total, channels)
    assert (None if outputs.centerness is None else outputs.centerness.shape) == ((2, total) if centerness else None)


def test_locations_are_in_the_order_of_the_anchors() -> None:
    network, inputs = head(), maps()
    outputs, anchors = network(inputs), network.anchors(inputs)
    row, column = 3, 2  # of the second level
    index = 8 * 12 + row * 6 + column
    by_hand = network.classes(network.class_tower(inputs[1]))[:, :, row, column]
    torch.testing.assert_close(outputs.classes[:, index], by_hand)
    assert anchors.centers[index].tolist() == [column * 16, row * 16]
    assert anchors.strides[index] == 16


def test_it_starts_with_every_score_near_one_in_a_hundred() -> None:
    scores = head()(maps()).classes.sigmoid()
    assert scores.mean().item() == pytest.approx(0.01, rel=0.1)
    assert head().classes.bias.tolist() == pytest.approx([-math.log(99)] * 3)


def test_towers_are_shared_and_only_a_scale_is_of_a_level() -> None:
    network = head()
    with torch.no_grad():
        before = network(maps()).boxes
        network.scales[1] = 3.0
        after = network(maps()).boxes
    second = slice(8 * 12, 8 * 12 + 4 * 6)
    torch.testing.assert_close(after[:, second], 3 * before[:, second])
    torch.testing.assert_close(after[:, : 8 * 12], before[:, : 8 * 12])


def test_sample_weighting_is_not_part_of_the_head() -> None:
    """After a training step with sample weighting, the head has the same parameters, and no others, to export."""
    network, net = head(), SampleWeightingNet(box_terms=1)
    loss = OneStageLoss(bins=17, weighting_net=net)
    targets = Targets.of([(Boxes(torch.tensor([[10.0, 10.0, 40.0, 44.0]])), torch.tensor([1]))] * 2)
    before = [each.clone() for each in net.parameters()]
    adam = optimizer(net)
    terms = loss(network(maps()), network.anchors(maps()), targets)
    torch.stack(list(terms.values())).sum().backward()
    adam.step()
    assert network.state_dict().keys() == head().state_dict().keys()
    assert {id(each) for each in network.parameters()}.isdisjoint(id(each) for each in net.parameters())
    assert any((old != new).any() for old, new in zip(before, net.parameters(), strict=True))

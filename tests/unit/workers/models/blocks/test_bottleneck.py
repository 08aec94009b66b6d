"""The bottleneck with feedback against the reference."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torchvision.models import resnet

from workers.models.blocks.bottleneck import Bottleneck
from workers.models.blocks.conv_aws import ConvAWS
from workers.models.blocks.sac import SwitchableAtrousConv


def _close(ours, reference):
    torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)


@pytest.fixture
def vectors(golden):
    return golden("rfp_bottleneck")


@pytest.fixture
def block(vectors):
    made = Bottleneck(6, 4, 2, feedback=8).double().eval()
    made.load_state_dict(vectors.under("state.", {}))
    return made


def test_outputs_are_the_references_with_and_without_feedback(vectors, block):
    _close(block(vectors["x"]), vectors["out_plain"])
    _close(block(vectors["x"], vectors["rfp_feat"]), vectors["out_rfp"])


def test_feedback_changes_nothing_at_the_start():
    block, x = Bottleneck(6, 4, 2, feedback=8).eval(), torch.randn(2, 6, 10, 8)
    assert torch.equal(block(x, torch.randn(2, 8, 5, 4)), block(x))


def test_feedback_is_learned_from_the_start():
    block = Bottleneck(6, 4, feedback=8)
    block(torch.randn(2, 6, 10, 8), torch.randn(2, 8, 10, 8)).square().sum().backward()
    assert block.rfp_conv.weight.grad.abs().max() > 0


def test_the_input_is_left_as_it_was():
    block, x = Bottleneck(16, 4).eval(), torch.randn(2, 16, 6, 6)
    original = x.clone()
    block(x)
    assert torch.equal(x, original)


@pytest.mark.parametrize(("inputs", "stride"), [(16, 1), (8, 2)])
def test_torchvisions_weights_load_and_give_its_outputs(inputs, stride):
    shortcut = torch.nn.Sequential(torch.nn.Conv2d(8, 16, 1, 2, bias=False), torch.nn.BatchNorm2d(16))
    theirs = resnet.Bottleneck(inputs, 4, stride, None if stride == 1 else shortcut)
    options = {"pointwise": partial(ConvAWS, bias=False), "spatial": SwitchableAtrousConv}
    x = torch.randn(2, inputs, 10, 8)
    for ours in (Bottleneck(inputs, 4, stride), Bottleneck(inputs, 4, stride, **options)):
        ours.load_state_dict(theirs.state_dict(), strict=False)
        torch.testing.assert_close(ours(x), theirs(x))

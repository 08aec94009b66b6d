"""The recursive pyramid: equal to a plain pyramid at the start, to its equations afterwards."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from searchsvc.errors import InvalidInput
from workers.models.blocks.fpn import FPN
from workers.models.blocks.resnet import ResNet
from workers.models.blocks.rfp import RecursiveFeaturePyramid

IMAGES = (2, 3, 64, 96)


def _backbone_of(feedback, **options):
    return ResNet((1, 1, 1, 1), 2, feedback=feedback, **options)


def _pyramid(start=0, **options):
    fpn = FPN((8, 16, 32, 64), 8, start=start, levels=5 - start)
    return RecursiveFeaturePyramid(_backbone_of, fpn, **options).double()


@pytest.fixture
def images():
    return torch.randn(IMAGES, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"steps": 3}, {"shared": True}, {"start": 1, "steps": 3, "shared": True}])
@pytest.mark.parametrize("training", [False, True])
def test_at_the_start_it_is_the_plain_pyramid(images, options, training):
    rfp = _pyramid(**options).train(training)
    plain = rfp.fpn(rfp.backbones[0](images))
    for ours, right in zip(rfp(images), plain, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-12)


def test_one_step_has_the_parameters_of_the_plain_pyramid(images):
    rfp = _pyramid(steps=1)
    assert {name.split(".")[0] for name, _ in rfp.named_parameters()} == {"backbones", "fpn"}
    assert not any("rfp_conv" in name for name, _ in rfp.named_parameters())
    for ours, right in zip(rfp(images), rfp.fpn(rfp.backbones[0](images)), strict=True):
        assert torch.equal(ours, right)


@pytest.mark.parametrize(("options", "count"), [({}, 2), ({"steps": 3}, 3), ({"steps": 3, "shared": True}, 1)])
def test_backbones_are_separate_unless_shared(options, count):
    assert len(_pyramid(**options).backbones) == count


def _direct(rfp, images, backbones):
    """Run the neck as the reference writes it: levels 0 to 3 to stages 0 to 3, of which the first ignores its own."""
    pyramid = rfp.fpn(backbones[0](images))
    for backbone in backbones[1:]:
        maps = backbone.maxpool(backbone.relu(backbone.bn1(backbone.conv1(images))))
        refined = []
        for stage in range(4):
            block = getattr(backbone, f"layer{stage + 1}")[0]
            out = block.bn2(block.conv2(block.bn1(block.conv1(maps)).relu())).relu()
            out = block.bn3(block.conv3(out)) + block.downsample(maps)
            maps = (out + block.rfp_conv(_aspp(rfp.aspp, pyramid[stage])) if stage else out).relu()
            refined.append(maps)
        again = rfp.fpn(refined)
        gates = [torch.sigmoid(rfp.fusion(one)) for one in again]
        pyramid = [g * new + (1 - g) * old for g, new, old in zip(gates, again, pyramid, strict=True)]
    return pyramid


def _aspp(aspp, maps):
    first, second, third, pooled = aspp.branches
    parts = [conv(maps).relu() for conv in (first, second, third)]
    return torch.cat([*parts, pooled(nn.AdaptiveAvgPool2d(1)(maps)).relu().expand_as(parts[0])], 1)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("steps", [2, 3])
def test_afterwards_it_is_its_equations(images, randomise, steps, shared):
    rfp = _pyramid(steps=steps, shared=shared).eval()
    randomise(rfp)
    expected = _direct(rfp, images, [*rfp.backbones] * (steps if shared else 1))
    for ours, right in zip(rfp(images), expected, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-9, atol=1e-9)


def test_at_the_start_all_learns_but_what_the_zeros_hide(images):
    """Feedback passes a 0, so that the pooling before it learns later; fusion needs P and Q to differ."""
    rfp = _pyramid()
    for module in rfp.modules():
        if hasattr(module, "bn3"):
            nn.init.ones_(module.bn3.weight)
    sum(one.square().sum() for one in rfp(images)).backward()
    still = {name for name, one in rfp.named_parameters() if one.grad is None or not one.grad.any()}
    assert still == {name for name, _ in rfp.named_parameters() if name.startswith(("aspp", "fusion"))}


def test_pretrained_weights_reach_all_backbones(images):
    rfp = _pyramid(steps=3)
    pretrained = _backbone_of(0).double()
    rfp.backbones[0].load_state_dict(pretrained.state_dict())
    rfp.equalise()
    for ours, right in zip(rfp(images), rfp.fpn(pretrained(images)), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-12)


def test_it_starts_as_the_plain_pyramid_with_switchable_convolutions():
    backbone_of = partial(_backbone_of, standardised=True, sac=(False, True, True, True))
    rfp = RecursiveFeaturePyramid(backbone_of, FPN((8, 16, 32, 64), 8)).double()
    images = torch.randn(1, 3, 96, 96, dtype=torch.float64)
    for ours, right in zip(rfp(images), rfp.fpn(rfp.backbones[0](images)), strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-12)


def test_less_than_one_step_is_refused():
    with pytest.raises(InvalidInput, match="/steps: 0"):
        _pyramid(steps=0)

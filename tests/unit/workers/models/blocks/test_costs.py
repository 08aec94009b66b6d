"""Formulas of FLOPs and parameters against built blocks, counted by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from searchsvc.spaces.detector import blocks as costs
from searchsvc.spaces.detector.blocks import Cost
from workers.models.blocks.aspp import ASPP
from workers.models.blocks.bottleneck import Bottleneck
from workers.models.blocks.dnl import DisentangledNonLocal, OfficialDisentangledNonLocal
from workers.models.blocks.fpn import FPN
from workers.models.blocks.non_local import NonLocal
from workers.models.blocks.resnet import ResNet
from workers.models.blocks.rfp import RecursiveFeaturePyramid
from workers.models.blocks.sac import SwitchableAtrousConv

HEIGHT, WIDTH = 9, 6
PIXELS = HEIGHT * WIDTH


def _counted(module: nn.Module, *inputs) -> Cost:
    """Count with torch, without fused attention, which it cannot count; FlopCounterMode counts two per multiply-add."""
    module.eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        module(*inputs)
    return Cost(counter.get_total_flops() // 2, sum(one.numel() for one in module.parameters()))


def _maps(channels: int, height: int = HEIGHT, width: int = WIDTH):
    return torch.zeros(1, channels, height, width)


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 1, 1), (3, 2, 1), (5, 2, 4)])
def test_switchable_convolutions(kernel, stride, groups):
    sac = SwitchableAtrousConv(8, 12, kernel, stride, padding=kernel // 2, groups=groups)
    px = -(-HEIGHT // stride) * -(-WIDTH // stride)
    assert costs.switchable(8, 12, kernel, PIXELS, px, groups=groups) == _counted(sac, _maps(8))


def test_deformable_convolutions_count_as_plain_ones():
    sac = SwitchableAtrousConv(8, 12, 3, padding=1, deform=True)
    counted = _counted(sac, _maps(8))
    branches = 2 * 9 * 8 * 12 * PIXELS  # torch does not count deformable convolutions
    assert costs.switchable(8, 12, 3, PIXELS, PIXELS, deform=True) == counted + Cost(branches, 0)


@pytest.mark.parametrize("dilations", [(3,), (3, 6), (2, 4, 6, 8, 9, 10)])
def test_aspp(dilations):
    assert costs.aspp(8, 24, PIXELS, len(dilations)) == _counted(ASPP(8, 24, dilations), _maps(8))


@pytest.mark.parametrize(("extra", "convolved"), [("pool", False), ("conv", True)])
def test_pyramids(extra, convolved):
    maps = [_maps(4, 16, 12), _maps(8, 8, 6), _maps(12, 4, 3)]
    pixels = [192, 48, 12, 2 * 2, 1 * 1]
    assert costs.fpn((4, 8, 12), 8, pixels, convolved=convolved) == _counted(FPN((4, 8, 12), 8, extra=extra), maps)


@pytest.mark.parametrize(("inputs", "stride", "shortcut"), [(16, 1, False), (8, 1, True), (16, 2, True)])
def test_bottlenecks(inputs, stride, shortcut):
    px = -(-HEIGHT // stride) * -(-WIDTH // stride)
    spatial = costs.convolution(4, 4, 3, px, bias=False)
    block = Bottleneck(inputs, 4, stride)
    assert costs.bottleneck(inputs, 4, PIXELS, px, spatial=spatial, shortcut=shortcut) == _counted(block, _maps(inputs))


@pytest.mark.parametrize("norm", [False, True])
def test_non_local_blocks(norm):
    assert costs.non_local(8, 4, PIXELS, norm=norm) == _counted(NonLocal(8, norm=norm), _maps(8))
    assert costs.disentangled(8, 4, PIXELS, norm=norm) == _counted(DisentangledNonLocal(8, norm=norm), _maps(8))


def test_the_official_disentangled_block():
    assert costs.official_disentangled(8, 4, PIXELS) == _counted(OfficialDisentangledNonLocal(8), _maps(8))


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_recursion(steps):
    """Costs beyond the backbones and pyramids of the steps, which are counted separately."""
    outputs, pixels = (8, 16, 32, 64), [16 * 24, 8 * 12, 4 * 6, 2 * 3, 1 * 2]
    images = torch.zeros(1, 3, 64, 96)
    rfp = RecursiveFeaturePyramid(lambda fed: ResNet((1, 1, 1, 1), 2, feedback=fed), FPN(outputs, 8), steps=steps)
    backbone, fpn = _counted(ResNet((1, 1, 1, 1), 2), images), costs.fpn(outputs, 8, pixels)
    backbones = backbone + (steps - 1) * (backbone + costs.feedback(outputs[1:], 8, pixels[1:4]))
    pyramids = Cost(steps * fpn.flops, fpn.params)
    recursion = costs.recursion(8, pixels[1:4], pixels, steps=steps)
    assert backbones + pyramids + recursion == _counted(rfp, images)


def test_arrays_give_what_their_elements_do():
    channels, pixels = np.array([8, 16]), np.array([54, 12])
    both = costs.switchable(channels, 12, 3, pixels, pixels, deform=True) + costs.disentangled(channels, 4, pixels)
    each = [
        costs.switchable(c, 12, 3, px, px, deform=True) + costs.disentangled(c, 4, px) for c, px in ((8, 54), (16, 12))
    ]
    assert _listed(both) == each


def test_genes_may_choose_in_arrays():
    spatial = costs.convolution(4, 4, 3, PIXELS, bias=False)
    both = costs.bottleneck(16, 4, PIXELS, PIXELS, spatial=spatial, shortcut=np.array([False, True]))
    each = [costs.bottleneck(16, 4, PIXELS, PIXELS, spatial=spatial, shortcut=one) for one in (False, True)]
    assert _listed(both) == each


def _listed(both: Cost) -> list[Cost]:
    return [Cost(*map(int, pair)) for pair in zip(both.flops, both.params, strict=True)]

"""Switchable atrous convolution against the reference, at the start, and in its deformable form."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torchvision.ops import deform_conv2d

from searchsvc.errors import InvalidInput
from workers.models.blocks.sac import SwitchableAtrousConv

NAMES = {"weight_gamma": "gamma", "weight_beta": "beta"}


@pytest.mark.parametrize("case", ["init", "pretrained", "random"])
def test_outputs_and_gradients_are_the_references(golden, case):
    vectors = golden("sac_stride1", f"{case}.")
    sac = SwitchableAtrousConv(4, 6, 3, padding=1)
    vectors.load(sac, NAMES)
    vectors.check(sac, NAMES)


def test_plain_weights_give_the_references_start(golden):
    vectors = golden("sac_stride1", "pretrained.")
    sac = SwitchableAtrousConv(4, 6, 3, padding=1).double()
    sac.load_state_dict({"weight": vectors["param.weight"]}, strict=False)
    torch.testing.assert_close(sac(vectors["x"]), vectors["plain_conv_out"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(sac.gamma, vectors["buffer.weight_gamma"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("deform", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": 3, "padding": 2, "dilation": 2, "stride": 2},
        {"kernel_size": 5, "padding": 2, "groups": 4, "stride": 2},
    ],
    ids=["plain", "dilated", "depthwise"],
)
def test_at_the_start_it_is_the_plain_convolution(options, deform):
    plain = nn.Conv2d(4, 8, bias=False, **options).double()
    x = torch.randn(2, 4, 11, 9, dtype=torch.float64)
    sac = SwitchableAtrousConv.of(plain, deform=deform)
    torch.testing.assert_close(sac(x), plain(x), rtol=1e-12, atol=1e-12)


def _direct(sac, x):
    """Follow the equations literally: pool with all channels, then switch."""
    x = x + sac.pre_context(F.adaptive_avg_pool2d(x, 1))
    pooled = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)
    switch = F.conv2d(pooled, sac.switch.weight, sac.switch.bias, sac.stride)
    weight = sac.effective_weight()
    small = F.conv2d(x, weight, None, sac.stride, 1, 1)
    large = F.conv2d(x, weight + sac.weight_diff, None, sac.stride, 3, 3)
    y = switch * small + (1 - switch) * large
    return y + sac.post_context(F.adaptive_avg_pool2d(y, 1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("sides", [(11, 9), (8, 6), (3, 3)])
@pytest.mark.parametrize("deform", [False, True])
def test_any_stride_gives_the_equations(randomise, stride, sides, deform):
    sac = SwitchableAtrousConv(4, 6, 3, stride, padding=1, deform=deform).double()
    randomise(sac)
    for offset in (sac.offset_s, sac.offset_l):
        if offset is not None:
            nn.init.zeros_(offset.weight)
            nn.init.zeros_(offset.bias)
    x = torch.randn(2, 4, *sides, dtype=torch.float64)
    torch.testing.assert_close(sac(x), _direct(sac, x), rtol=1e-9, atol=1e-9)


def test_offsets_move_where_the_kernels_read():
    """An offset of (1, 2) rows and columns at every point reads the map moved by the same distance."""
    sac = SwitchableAtrousConv.of(nn.Conv2d(4, 6, 3, padding=1, bias=False), deform=True)
    plain = SwitchableAtrousConv.of(nn.Conv2d(4, 6, 3, padding=1, bias=False))
    plain.load_state_dict(sac.state_dict(), strict=False)
    sac.offset_s.bias.data = torch.tensor([1.0, 2.0]).repeat(9)
    x = torch.randn(1, 4, 12, 12)
    torch.testing.assert_close(sac(x)[..., 2:-3, 2:-4], plain(x)[..., 3:-2, 4:-2])


def test_offsets_come_from_the_pooled_map():
    """Includes the large kernel's offset: with a switch of 0, only the large branch is left."""
    sac = SwitchableAtrousConv(2, 3, 3, padding=1, deform=True).double()
    nn.init.zeros_(sac.switch.bias)
    nn.init.normal_(sac.offset_l.weight, std=0.1)
    x = torch.randn(1, 2, 9, 9, dtype=torch.float64)
    pooled = F.avg_pool2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), 5, 1)
    expected = deform_conv2d(x, sac.offset_l(pooled), sac.effective_weight(), padding=(3, 3), dilation=(3, 3))
    torch.testing.assert_close(sac(x), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("deform", [False, True])
def test_at_the_start_the_switch_learns_and_the_difference_does_not(deform):
    sac = SwitchableAtrousConv(4, 6, 3, padding=1, deform=deform)
    sac(torch.randn(2, 4, 8, 8)).square().sum().backward()
    assert sac.weight_diff.grad.abs().max() == 0
    assert sac.switch.weight.grad.abs().max() > 0
    assert sac.weight.grad.abs().max() > 0


def test_gradients_of_the_deformable_form_are_those_of_finite_differences(randomise):
    sac = SwitchableAtrousConv(2, 2, 3, padding=1, deform=True).double()
    randomise(sac)
    names = ["weight", "weight_diff", "switch.weight", "offset_s.weight", "offset_l.bias", "post_context.weight"]

    def run(x, *values):
        return torch.func.functional_call(sac, dict(zip(names, values, strict=True)), (x,))

    inputs = [torch.randn(1, 2, 4, 4, dtype=torch.float64), *(sac.get_parameter(name).detach() for name in names)]
    assert torch.autograd.gradcheck(run, [one.requires_grad_() for one in inputs], fast_mode=True)


def test_maps_too_small_to_reflect_are_refused():
    with pytest.raises(InvalidInput, match=r"/resolution: SAC needs maps of 3 px or more, not \(2, 8\)"):
        SwitchableAtrousConv(4, 4, 3, padding=1)(torch.zeros(1, 4, 2, 8))


def test_a_convolution_with_bias_is_refused():
    with pytest.raises(InvalidInput, match="/bias: SAC has no bias"):
        SwitchableAtrousConv.of(nn.Conv2d(4, 4, 3))


def test_it_computes_in_half_precision():
    sac = SwitchableAtrousConv(4, 6, 3, padding=1, deform=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert sac(torch.randn(1, 4, 8, 8)).isfinite().all()

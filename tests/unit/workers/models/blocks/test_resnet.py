"""The ResNet of bottlenecks: torchvision's network under DetectoRS' options."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import resnet
from torchvision.models._utils import IntermediateLayerGetter

from workers.models.blocks.conv_aws import ConvAWS
from workers.models.blocks.resnet import ResNet
from workers.models.blocks.sac import SwitchableAtrousConv

LAST_THREE = (False, True, True, True)


@pytest.mark.parametrize(
    "options",
    [{}, {"standardised": True, "sac": LAST_THREE}, {"sac": LAST_THREE, "deform": True, "feedback": 8}],
    ids=["plain", "standardised", "deformable"],
)
def test_torchvisions_weights_load_and_give_its_maps(options):
    theirs = resnet.ResNet(resnet.Bottleneck, [1, 2, 1, 1], width_per_group=64).eval()
    ours = ResNet((1, 2, 1, 1), **options).eval()
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert unexpected == ["fc.weight", "fc.bias"]
    assert [name for name in missing if name in theirs.state_dict()] == []
    x = torch.randn(1, 3, 96, 96)
    layers = IntermediateLayerGetter(theirs, {f"layer{stage}": str(stage) for stage in range(1, 5)})
    for map_, right in zip(ours(x), layers(x).values(), strict=True):
        torch.testing.assert_close(map_, right, rtol=1e-4, atol=1e-4)


def test_its_outputs_are_as_stated():
    ours = ResNet((1, 1, 1, 1), 4, channels=1).eval()
    sizes = [tuple(one.shape[1:]) for one in ours(torch.randn(1, 1, 65, 96))]
    assert sizes == [(16, 17, 24), (32, 9, 12), (64, 5, 6), (128, 3, 3)]
    assert ours.outputs == (16, 32, 64, 128)


def test_options_are_where_they_belong():
    ours = ResNet((2, 2, 2, 2), 4, standardised=True, sac=LAST_THREE, feedback=8)
    switchable = [name for name, one in ours.named_modules() if isinstance(one, SwitchableAtrousConv)]
    assert switchable == [f"layer{stage}.{block}.conv2" for stage in (2, 3, 4) for block in (0, 1)]
    fed = [name for name, _ in ours.named_modules() if name.endswith("rfp_conv")]
    assert fed == [f"layer{stage}.0.rfp_conv" for stage in (2, 3, 4)]
    assert all(isinstance(one, ConvAWS) for name, one in ours.named_modules() if name.endswith(("conv1", "conv3")))


def test_it_starts_with_blocks_that_hand_their_input_on():
    ours, x = ResNet((2, 1, 1, 1), 4), torch.randn(1, 16, 8, 8).relu()
    assert torch.equal(ours.layer1[1](x), x)

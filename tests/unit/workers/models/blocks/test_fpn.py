"""The feature pyramid: sizes, the top-down path, and the coarser levels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from searchsvc.errors import InvalidInput
from workers.models.blocks.fpn import FPN

SIZES = [(21, 17), (11, 9), (6, 5)]


@pytest.fixture
def maps():
    return [torch.randn(2, c, *size, dtype=torch.float64) for c, size in zip((4, 8, 16), SIZES, strict=True)]


@pytest.fixture
def transparent():
    """Return an FPN whose lateral and 3 x 3 convolutions pass their inputs on, for maps of equal channels."""

    def make(**options):
        fpn = FPN([4] * 3, 4, **options)
        for conv in fpn.lateral_convs:
            nn.init.dirac_(conv.weight)
        for conv in fpn.fpn_convs:
            nn.init.dirac_(conv.weight)
        return fpn.double()

    return make


@pytest.mark.parametrize("extra", ["pool", "conv"])
@pytest.mark.parametrize("start", [0, 1])
def test_levels_halve(maps, extra, start):
    pyramid = FPN((4, 8, 16), 12, levels=5 - start, start=start, extra=extra).double()(maps)
    assert [tuple(one.shape[1:]) for one in pyramid] == [(12, *size) for size in [*SIZES, (3, 3), (2, 2)][start:]]


def test_coarse_maps_are_added_by_nearest_neighbour(transparent):
    """Written out by indices: pixel i of a map of n takes pixel floor(i m / n) of the coarser map of m."""
    maps = [torch.randn(1, 4, *size, dtype=torch.float64) for size in SIZES]
    expected = [*maps]
    for fine in (1, 0):
        (h, w), (up_h, up_w) = SIZES[fine], SIZES[fine + 1]
        rows, columns = torch.arange(h) * up_h // h, torch.arange(w) * up_w // w
        expected[fine] = maps[fine] + expected[fine + 1][..., rows, :][..., columns]
    for ours, right in zip(transparent(levels=3)(maps), expected, strict=True):
        torch.testing.assert_close(ours, right)


def test_pooled_levels_take_every_other_pixel(maps):
    *_, coarsest, sixth, seventh = FPN((4, 8, 16), 12).double()(maps)
    assert torch.equal(sixth, coarsest[..., ::2, ::2])
    assert torch.equal(seventh, sixth[..., ::2, ::2])


def test_convolved_levels_come_from_the_level_before(maps):
    fpn = FPN((4, 8, 16), 12, extra="conv").double()
    *_, coarsest, sixth, seventh = fpn(maps)
    assert torch.equal(sixth, fpn.extra_convs[0](coarsest))
    assert torch.equal(seventh, fpn.extra_convs[1](sixth))


def test_it_starts_as_stated():
    fpn = FPN((64, 128), 64, extra="conv")
    for conv in (*fpn.lateral_convs, *fpn.fpn_convs, *fpn.extra_convs):
        fan = (conv.in_channels + conv.out_channels) * conv.weight[0, 0].numel()
        assert conv.weight.abs().max().item() == pytest.approx((6 / fan) ** 0.5, rel=0.01)
        assert not conv.bias.any()


@pytest.mark.parametrize(("start", "fed"), [(0, {1: 1, 2: 2}), (1, {1: 0, 2: 1}), (2, {2: 0})])
def test_stages_are_fed_the_level_of_their_size(start, fed):
    assert FPN((4, 8, 16), 12, start=start).fed_back() == fed


def test_more_stages_than_levels_are_refused():
    with pytest.raises(InvalidInput, match="/levels: 2 levels for the stages 0 to 2"):
        FPN((4, 8, 16), levels=2)

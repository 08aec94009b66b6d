"""Atrous spatial pyramid pooling against the reference."""

from __future__ import annotations

import pytest
import torch

from searchsvc.errors import InvalidInput
from workers.models.blocks.aspp import ASPP


def test_outputs_and_gradients_are_the_references(golden):
    vectors, aspp = golden("rfp_aspp"), ASPP(8, 8)
    vectors.load(aspp, {"aspp.": "branches."})
    vectors.check(aspp, {"aspp.": "branches."})


def test_it_starts_as_stated():
    aspp = ASPP(64, 256)
    for conv, size in zip(aspp.branches, (1, 9, 9, 1), strict=True):
        assert conv.weight.std().item() == pytest.approx((2 / (size * 64)) ** 0.5, rel=0.05)
        assert torch.equal(conv.bias, torch.zeros(64))


def test_channels_that_do_not_divide_are_refused():
    with pytest.raises(InvalidInput, match="/channels: 10 channels do not divide among the 4 branches"):
        ASPP(10, 10)

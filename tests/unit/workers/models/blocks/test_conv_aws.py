"""Adaptive weight standardisation against the reference, and as a plain convolution at the start."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from searchsvc.errors import InvalidInput
from workers.models.blocks.conv_aws import ConvAWS


def _close(ours, reference):
    torch.testing.assert_close(ours, reference, rtol=1e-9, atol=1e-9)


@pytest.fixture
def file(golden):
    return golden("conv_aws")


@pytest.fixture
def conv(file):
    """A convolution with plain weights loaded."""
    made = ConvAWS(4, 6, 3, padding=1).double()
    made.load_state_dict({"weight": file["weight"], "bias": file["bias"]})
    return made


def test_plain_weights_give_the_references_buffers_and_outputs(file, conv):
    _close(conv.gamma, file["gamma"])
    _close(conv.beta, file["beta"])
    _close(conv.effective_weight(), file["eff_weight_loaded"])
    _close(conv(file["x"]), file["out_loaded"])


def test_rescaled_weights_give_the_references_outputs(file, conv):
    conv.weight.data = file["weight_rescaled"]
    _close(conv.effective_weight(), file["eff_weight_rescaled"])
    _close(conv(file["x"]), file["out_rescaled"])


def test_from_scratch_it_is_plain_weight_standardisation(file, conv):
    conv.gamma.fill_(1)
    conv.beta.fill_(0)
    _close(conv.effective_weight(), file["eff_weight_gamma1"])
    _close(conv(file["x"]), file["out_gamma1"])


def test_a_plain_convolutions_outputs_are_kept():
    plain, standardised = nn.Conv2d(4, 6, 3, groups=2), ConvAWS(4, 6, 3, groups=2)
    standardised.load_state_dict(plain.state_dict())
    x = torch.randn(2, 4, 7, 6)
    torch.testing.assert_close(standardised(x), plain(x))


def test_loading_does_not_change_the_state_dict_that_it_is_given():
    state = nn.Conv2d(4, 6, 3).state_dict()
    nn.Sequential(ConvAWS(4, 6, 3)).load_state_dict({f"0.{name}": one for name, one in state.items()})
    ConvAWS(4, 6, 3).load_state_dict(state)
    assert list(state) == ["weight", "bias"]


def test_its_own_buffers_are_loaded_as_they_are():
    first, second = ConvAWS(4, 6, 3), ConvAWS(4, 6, 3)
    first.gamma.fill_(2.5)
    second.load_state_dict(first.state_dict())
    assert torch.equal(second.gamma, first.gamma)
    assert torch.equal(second.beta, torch.zeros(6, 1, 1, 1))


def test_buffers_are_not_trained():
    assert [name for name, _ in ConvAWS(4, 6, 3).named_parameters()] == ["weight", "bias"]


def test_gradients_are_those_of_finite_differences():
    conv = ConvAWS(2, 3, 3).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)

    def run(weight):
        return torch.func.functional_call(conv, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(run, (conv.weight.detach().requires_grad_(),))


def test_filters_of_one_weight_are_refused():
    with pytest.raises(InvalidInput, match="/kernel_size: a filter of one weight"):
        ConvAWS(4, 4, 1, groups=4)

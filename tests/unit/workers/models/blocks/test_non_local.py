"""Non-local blocks, plain and disentangled, against the references."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from workers.models.blocks.dnl import DisentangledNonLocal, OfficialDisentangledNonLocal, centred
from workers.models.blocks.non_local import NonLocal

NAMES = {
    **{f"{name}.conv.": f"{name}." for name in ("theta", "phi", "g", "conv_out")},
    "conv_out.bn.": "bn.",
}


@pytest.mark.parametrize(
    ("file", "case", "make"),
    [
        ("nonlocal_mmcv", "random", NonLocal),
        ("dnl_mmseg_scale1_T0.05", "init", DisentangledNonLocal),
        ("dnl_mmseg_scale1_T0.05", "random", DisentangledNonLocal),
        ("dnl_mmseg_bn", "init_trainbn", partial(DisentangledNonLocal, norm=True)),
        ("dnl_mmseg_bn", "random_trainbn", partial(DisentangledNonLocal, norm=True)),
        ("dnl_original_ln_nostd", "init", OfficialDisentangledNonLocal),
        ("dnl_original_ln_nostd", "random", OfficialDisentangledNonLocal),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_outputs_and_gradients_are_the_references(golden, file, case, make):
    vectors, block = golden(file, f"{case}."), make(8)
    vectors.load(block, NAMES)
    vectors.check(block, NAMES)


def test_both_attentions_are_the_references(golden):
    vectors, block = golden("dnl_mmseg_scale1_T0.05", "random."), DisentangledNonLocal(8)
    vectors.load(block, NAMES)
    one_hot = torch.eye(30, dtype=torch.float64).expand(2, 30, 30)
    pairwise = block.pairwise(vectors["x"], one_hot)
    both = block.gathered(vectors["x"], one_hot)
    torch.testing.assert_close(pairwise, vectors["pairwise_attention"], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(both - pairwise, vectors["unary_attention"].expand(2, 30, 30), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("make", [NonLocal, DisentangledNonLocal])
@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_at_the_start_it_is_the_identity(make, norm, training):
    block, x = make(8, norm=norm).train(training), torch.randn(2, 8, 5, 6)
    assert torch.equal(block(x), x)


def test_at_the_start_the_official_form_adds_the_unary_path_only():
    block, x = OfficialDisentangledNonLocal(8).double(), torch.randn(2, 8, 5, 6, dtype=torch.float64)
    weights = block.conv_mask(x).flatten(2).softmax(-1)  # (2, 1, 30)
    unary = torch.einsum("nij,ncj->nci", weights, block.conv_value(x).flatten(2))[..., None]  # (2, 8, 1, 1)
    torch.testing.assert_close(block(x), x + unary, rtol=1e-12, atol=1e-12)
    assert 0 < (block(x) - x).abs().max() < 0.1


@pytest.mark.parametrize("centre", ["layer", "channel"])
def test_the_centre_is_the_one_asked_for(centre, randomise):
    """Written out position by position: by channel the means differ, by layer a single number is subtracted."""
    block = OfficialDisentangledNonLocal(4, centre=centre).double()
    randomise(block)
    x = torch.randn(1, 4, 3, 2, dtype=torch.float64)
    query, key, value = (conv(x)[0].flatten(1) for conv in (block.conv_query, block.conv_key, block.conv_value))
    mean = query.mean() if centre == "layer" else query.mean(1, keepdim=True)
    pairwise = ((query - mean).T @ key).softmax(1)  # the mean of k is the same for all j
    weights = block.gamma * pairwise + block.conv_mask(x)[0].flatten(1).softmax(1)
    expected = x + (value @ weights.T).unflatten(1, (3, 2))
    torch.testing.assert_close(block(x), expected, rtol=1e-9, atol=1e-9)


def test_centring_takes_off_what_it_says():
    sequence = torch.randn(2, 30, 4)
    torch.testing.assert_close(centred(sequence, "channel").mean(1), torch.zeros(2, 4))
    torch.testing.assert_close(centred(sequence, "layer").mean((1, 2)), torch.zeros(2))


def test_a_lower_temperature_sharpens():
    maps = torch.randn(1, 8, 5, 6)
    blocks = [DisentangledNonLocal(8, temperature=one) for one in (1.0, 0.01)]
    blocks[1].load_state_dict(blocks[0].state_dict())
    one_hot = torch.eye(30)[None]
    dull, sharp = (block.pairwise(maps, one_hot).max(-1).values.mean() for block in blocks)
    assert dull < sharp

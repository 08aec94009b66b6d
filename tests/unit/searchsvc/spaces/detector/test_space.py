"""The spaces of detectors: active genes, refused values, equal candidates."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import DatasetInfo, Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import (
    Categorical,
    CostModel,
    Integer,
    ShippedSpace,
    Space,
    catalogue,
    cost_model_for,
    identity_for,
    networks,
)
from searchsvc.spaces.costs.model import NO_COSTS
from searchsvc.spaces.detector.maps import strides_of
from searchsvc.spaces.detector.space import FAMILIES
from searchsvc.spaces.fbnetv3.space import LIMITS as FBNETV3_GENES
from searchsvc.spaces.halves import halves

SCENES = DatasetInfo("scenes", tuple("0123456789"), (3, 160, 160), {})
SHIPPED = [catalogue.find(name) for name in FAMILIES]
ARCHITECTURE = {
    "network": "detector-small",
    "finest": 8,
    "coarser": 1,
    "resolution": 128,
    "boxes": "dfl",
    "class_loss": "qfl",
}


def model_of(space: Space, **constants: Scalar) -> CostModel:
    return cost_model_for("detection", space, SCENES, {"network": "detector-small", **constants})


def costs(**values: Scalar) -> tuple[float, float]:
    """Return (FLOPs, params) of the default of detector-small with other values."""
    totals = model_of(Space([Categorical("lr", (0.1,))]), **{**ARCHITECTURE, **values})(np.zeros((1, 1)))
    return float(totals["flops"][0]), float(totals["params"][0])


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda one: one.name)
def test_genes_are_active_where_they_mean_something(shipped: ShippedSpace) -> None:
    for candidate in shipped.space.from_matrix(shipped.space.sample(200, np.random.default_rng(2))):
        values = candidate.values
        assert ("base_width" in values) == ("depth_3" in values) == (values["backbone"] == "resnet")
        assert bool(FBNETV3_GENES.keys() & values.keys()) == (values["backbone"] != "resnet")
        assert ("attention_at" in values) == (values["attention"] != "none")
        assert ("rfp_shared" in values) == (values["neck"] == "rfp")
        assert ("dfl_bins" in values) == ("dfl_weight" in values) == (values["boxes"] == "dfl")
        assert ("qfl_beta" in values) == (values["class_loss"] == "qfl")
        assert ("ema_decay" in values) == values["ema"]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda one: one.name)
def test_every_neck_has_the_three_levels_that_assignment_needs(shipped: ShippedSpace) -> None:
    for candidate in shipped.space.from_matrix(shipped.space.sample(50, np.random.default_rng(2))):
        assert len(strides_of(candidate.values)) >= 3


def test_strides_go_on_by_doubling() -> None:
    assert strides_of({"finest": 4, "coarser": 0}) == (4, 8, 16, 32)
    assert strides_of({"finest": 8, "coarser": 2}) == (8, 16, 32, 64, 128)


@pytest.mark.parametrize(
    ("name", "value", "flops_too"),
    [
        ("base_width", 12, True),
        ("depth_3", 2, True),
        ("sac_c4", "plain", True),
        ("attention", "dnl", True),
        ("neck", "rfp", True),
        ("finest", 4, True),
        ("coarser", 2, True),
        ("head_depth", 2, True),
        ("head_width", 32, True),
        ("neck_channels", 32, True),
        ("backbone", "fbnetv3-small", True),
    ],
)
def test_each_gene_has_its_costs(name: str, value: Scalar, flops_too: bool) -> None:
    default, other = costs(), costs(**{name: value})
    assert (default[0] != other[0]) == flops_too
    assert default[1] != other[1]


@pytest.mark.parametrize("gene", [{"standardised": True}, {"rfp_steps": 4}, {"attention_at": "c5"}, {"e6": 2}])
def test_what_means_nothing_costs_nothing(gene: dict[str, Scalar]) -> None:
    assert costs(**gene) == costs()


def test_a_shared_backbone_is_run_as_often_and_counted_once() -> None:
    separate, shared = costs(neck="rfp"), costs(neck="rfp", rfp_shared=True)
    assert separate[0] == shared[0]
    assert separate[1] > shared[1]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda single: single.name)
def test_costs_of_a_matrix_are_those_of_its_rows(shipped: ShippedSpace) -> None:
    model = cost_model_for("detection", shipped.space, SCENES, shipped.constants)
    matrix = shipped.space.sample(20, np.random.default_rng(3))
    whole = model(matrix)
    for row in range(20):
        single = model(matrix[row : row + 1])
        assert {name: values[0] for name, values in single.items()} == {name: whole[name][row] for name in whole}
    assert model(matrix[:0])["flops"].shape == (0,)


def test_images_that_are_too_small_are_refused() -> None:
    tiny = DatasetInfo("tiny", tuple("ab"), (3, 64, 200), {})
    shipped = catalogue.find("detector-small")
    assert cost_model_for("detection", shipped.space, tiny, shipped.constants) is not NO_COSTS  # it has a resolution
    space = Space([Categorical("neck", ("fpn", "rfp"))])
    with pytest.raises(InvalidInput, match="65 px or more on a side, not 64"):
        cost_model_for("detection", space, tiny, shipped.constants)
    with pytest.raises(InvalidInput, match="not 32"):
        cost_model_for("detection", Space([Categorical("resolution", (32, 128))]), SCENES, shipped.constants)


def test_an_inline_space_without_a_network_is_of_the_full_family() -> None:
    space = Space([Integer("head_depth", 1, 4)])
    unnamed, named = (cost_model_for("detection", space, SCENES, one) for one in ({}, {"network": "detector"}))
    assert unnamed(np.array([[4.0]])) == named(np.array([[4.0]]))
    assert networks.complete({}, "detection")["base_width"] == 64
    assert cost_model_for("classification", space, SCENES) is NO_COSTS


def test_widths_that_round_to_the_same_are_the_same_detector() -> None:
    backbones = Categorical("backbone", ("fbnetv3", "resnet"))
    space = Space([backbones, Integer("c3", 24, 48, 4, when={"backbone": "fbnetv3"})])
    identity = identity_for("detection", space, {"network": "detector"})
    assert identity is not None
    same, too, other, resnet = identity(np.array([[0.0, 28.0], [0.0, 32.0], [0.0, 40.0], [1.0, np.nan]]))
    assert same.tobytes() == too.tobytes()
    assert len({one.tobytes() for one in (same, other, resnet)}) == 3


def test_the_recipe_of_a_detector_is_told_apart_from_its_architecture() -> None:
    shipped = catalogue.find("detector")
    [candidate] = shipped.space.from_matrix(shipped.space.sample(1, np.random.default_rng(0)))
    parts = halves({**shipped.constants, **candidate.values})
    assert {"class_loss", "boxes", "augmentation", "sample_weighting", "init", "lr"} <= parts.recipe.keys()
    assert {"network", "backbone", "neck", "head_depth", "resolution"} <= parts.architecture.keys()

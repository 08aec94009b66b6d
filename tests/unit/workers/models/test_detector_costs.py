"""The cost model of detectors against networks that are built and counted."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import DatasetInfo
from searchsvc.spaces import Categorical, Space, catalogue, cost_model_for, networks
from searchsvc.spaces.detector.backbones.table import BACKBONES
from searchsvc.spaces.detector.necks.table import NECKS
from searchsvc.spaces.detector.space import LIMITS
from tests.support.detectors import counted

PHOTOS = DatasetInfo("photos", tuple("abcde"), (3, 131, 150), {})
GREY = DatasetInfo("grey", tuple("ab"), (1, 67, 97), {})


def check(name: str, info: DatasetInfo, candidates: int, space: Space | None = None) -> None:
    shipped = catalogue.find(name)
    space = space or shipped.space
    model = cost_model_for("detection", space, info, shipped.constants)
    matrix = space.sample(candidates, np.random.default_rng(candidates))
    costs = model(matrix)
    for row, candidate in enumerate(space.from_matrix(matrix)):
        counts = counted({**shipped.constants, **candidate.values}, info.shape, len(info.classes))
        assert (costs["flops"][row], costs["params"][row]) == counts, candidate.values


@pytest.mark.parametrize(("name", "candidates"), [("detector-small", 12), ("detector", 3)])
def test_candidates_cost_what_torch_counts(name: str, candidates: int) -> None:
    check(name, PHOTOS, candidates)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("name", "candidates"), [("detector-small", 200), ("detector", 30)])
def test_many_candidates_cost_what_torch_counts(name: str, candidates: int) -> None:
    check(name, PHOTOS, candidates)


def test_images_of_any_size_and_all_that_can_be_built_are_exact() -> None:
    genes = ("sac_c3", "sac_c5", "attention", "attention_at", "neck", "rfp_shared", "finest", "coarser", "backbone")
    check("detector-small", GREY, 10, Space([LIMITS[name] for name in genes]))


@pytest.mark.parametrize("neck", NECKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_neck_costs_on_every_backbone_what_torch_counts(backbone: str, neck: str) -> None:
    kinds = [Categorical("backbone", (backbone,)), Categorical("neck", (neck,))]
    own = [LIMITS[gene.name] for gene in NECKS[neck].genes]
    check("detector-small", GREY, 2, Space([*kinds, LIMITS["finest"], LIMITS["coarser"], *own]))


@pytest.mark.parametrize("neck", NECKS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_stages_cost_together_what_the_detector_costs(backbone: str, neck: str) -> None:
    space = Space([Categorical("backbone", (backbone,)), Categorical("neck", (neck,))])
    constants = {**catalogue.find("detector-small").constants, "attention": "dnl", "sac_c4": "plain", "coarser": 2}
    costs = cost_model_for("detection", space, PHOTOS, constants)(np.zeros((1, 2)))
    stages = networks.stages_of("detection", {**constants, "backbone": backbone, "neck": neck}, PHOTOS)
    assert sum(stage.flops for stage in stages) == costs["flops"][0]
    assert sum(stage.params for stage in stages) == costs["params"][0]

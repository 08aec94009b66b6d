"""timm's ResNets cost as much as the cost model says, and accept every size of image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from searchsvc.domain import DatasetInfo
from searchsvc.spaces import Space, catalogue, cost_model_for
from searchsvc.spaces.networks import complete
from searchsvc.spaces.resnet import LAYERS
from tests.support.counting import Countable
from workers.models import build

DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
PHOTOS = DatasetInfo("photos", tuple("abc"), (3, 51, 40), {})
LARGE = DatasetInfo("large", tuple("abc"), (3, 64, 48), {})


@pytest.mark.parametrize("info", [DIGITS, PHOTOS, LARGE], ids=lambda one: one.name)
def test_costs_of_the_space_equal_what_the_built_networks_count(info: DatasetInfo) -> None:
    shipped = catalogue.find("resnet-small")
    space = Space([shipped.space["network"], shipped.space["base_width"]])
    model = cost_model_for("classification", space, info, shipped.constants)
    matrix = np.array([[network, width] for network in range(2) for width in range(3)], float)
    costs = model(matrix)
    for row, candidate in enumerate(space.from_matrix(matrix)):
        values = complete({**shipped.constants, **candidate.values})
        counts = Countable(lambda values=values: build(values, info.shape, len(info.classes))).counted(info.shape)  # type: ignore[misc]
        assert (costs["flops"][row], costs["params"][row]) == (counts.flops, counts.params), values


def test_costs_of_a_fixed_network_at_other_resolutions_are_exact() -> None:
    values = complete({"network": "resnet34d", "base_width": 8, "resolution": 24})
    space = Space([catalogue.find("resnet-small").space["lr"]])
    model = cost_model_for("classification", space, DIGITS, values)
    counts = Countable(lambda: build(values, DIGITS.shape, 10)).counted((1, 24, 24))
    costs = model(np.array([[0.01], [0.02]]))
    assert costs["flops"].tolist() == [counts.flops] * 2
    assert costs["params"].tolist() == [counts.params] * 2


@pytest.mark.parametrize("network", LAYERS)
def test_dropout_and_drop_path_reach_the_network(network: str) -> None:
    torch.manual_seed(0)
    model = build(complete({"network": network, "dropout": 0.3, "drop_path": 0.2}), (1, 8, 8), 10)
    rates = [getattr(module, "drop_prob", 0.0) for module in model.modules()]
    assert model.drop_rate == 0.3
    assert max(rates) == pytest.approx(0.2)
    assert model.eval()(torch.randn(2, 1, 8, 8)).shape == (2, 10)

"""Networks from rows agree with their definitions and the cost model, and are trained like FBNetV3's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import Tensor, nn

from searchsvc.domain import DatasetInfo, Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Space, catalogue, cost_model_for, networks
from searchsvc.spaces.fbnetv3 import definitions
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition, count
from searchsvc.spaces.fbnetv3.space import FAMILIES, SMALL, definition_of
from searchsvc.spaces.networks import complete
from tests.support.counting import Countable, counted_by_parts
from workers.models import build
from workers.models.fbnetv3 import FBNetV3Net, PooledHead
from workers.models.networks import fbnetv3_net

DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
PHOTOS = DatasetInfo("photos", tuple("abcde"), (3, 64, 41), {})
IMAGENET = DatasetInfo("imagenet", tuple(map(str, range(1000))), (3, 320, 320), {})


def network_of(definition: NetworkDefinition, side: int, classes: int = 1000) -> FBNetV3Net:
    with torch.device("meta"):
        return fbnetv3_net(definition, (3, side, side), classes).eval()


def small(shape: tuple[int, int, int], **values: Scalar) -> FBNetV3Net:
    torch.manual_seed(0)
    network = build(complete({"network": "fbnetv3-small", **values}), shape, 10)
    assert isinstance(network, FBNetV3Net)
    return network


class TestReleasedNetworks:
    @pytest.mark.parametrize("name", definitions.names())
    def test_the_built_network_has_what_its_rows_say(self, name: str) -> None:
        definition = definitions.find(name)
        side = definition.resolution
        network, counts = network_of(definition, side), count(definition, (3, side, side), 1000)
        weights = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        norms = [p.numel() for m in network.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
        assert sum(weights) == counts.conv_weights
        assert sum(norms) == counts.norm_params
        assert sum(p.numel() for p in network.parameters()) == counts.params
        assert Countable(lambda: network).counted((3, side, side)).flops == counts.flops

    @pytest.mark.parametrize("name", ["fbnetv3-a", "fbnetv3-g"])
    def test_maps_and_means_of_the_built_network_are_as_counted(self, name: str) -> None:
        definition = definitions.find(name)
        side = definition.resolution
        network, counts = network_of(definition, side), count(definition, (3, side, side), 1000)
        pooled, sides = [definition.head.c], []  # the classifier's own mean over 1x1 counts too

        def note_side(_: nn.Module, __: tuple[Tensor], output: Tensor) -> None:
            sides.append(tuple(output.shape[2:]))

        for module in (network.stem, *network.blocks):
            module.register_forward_hook(note_side)
        for module in (module for module in network.modules() if isinstance(module, SqueezeExcite)):
            module.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0].numel()))
        network.head.expand.register_forward_hook(lambda _, __, output: pooled.append(output.numel()))
        with torch.inference_mode():
            network(torch.empty(1, 3, side, side, device="meta"))
        assert sum(pooled) == counts.pool_elements
        ends = np.cumsum([0, *(group.n for group in definition.groups)])
        assert tuple(sides[end] for end in ends) == counts.sides


class TestCostModel:
    def check(self, name: str, info: DatasetInfo, candidates: int, space: Space | None = None) -> None:
        """Compare the cost model with networks whose parts are built and counted, by hooks and by torch."""
        shipped = catalogue.find(name)
        space = space or shipped.space
        model = cost_model_for("classification", space, info, shipped.constants)
        matrix = space.sample(candidates, np.random.default_rng(3))
        costs = model(matrix)
        for row, candidate in enumerate(space.from_matrix(matrix)):
            values = networks.complete({**shipped.constants, **candidate.values})
            side = int(values["resolution"])
            shape = (info.shape[0], side, side) if side else info.shape
            definition = definition_of(FAMILIES[str(values["network"])], values, min(shape[1:]))
            counts = counted_by_parts(definition, shape, len(info.classes))
            assert (costs["flops"][row], costs["params"][row]) == (counts.flops, counts.params), candidate.values

    @pytest.mark.parametrize(
        ("name", "info"),
        [("fbnetv3", IMAGENET), ("fbnetv3-released", IMAGENET), ("fbnetv3-small", DIGITS)],
        ids=["fbnetv3", "released", "small"],
    )
    def test_a_thousand_candidates_cost_what_their_parts_count(self, name: str, info: DatasetInfo) -> None:
        self.check(name, info, 1000)

    def test_fixed_and_narrowed_spaces_and_other_images_are_exact(self) -> None:
        space = catalogue.find("fbnetv3-small").space.fix({"k3": 5, "n2": 1, "c4": 40, "ema": True})
        self.check("fbnetv3-small", PHOTOS, 60, space.narrow({"c5": (32, 56), "e3a": (2, 5)}))

    @pytest.mark.parametrize(("name", "info"), [("fbnetv3-released", IMAGENET), ("fbnetv3-small", PHOTOS)])
    def test_a_network_costs_what_its_parts_do(self, name: str, info: DatasetInfo) -> None:
        shipped = catalogue.find(name)
        for candidate in shipped.space.from_matrix(shipped.space.sample(3, np.random.default_rng(5))):
            values = networks.complete({**shipped.constants, **candidate.values})
            side = int(values["resolution"])
            shape = (3, side, side) if side else info.shape
            definition = definition_of(FAMILIES[str(values["network"])], values, min(shape[1:]))
            whole = Countable(lambda values=values: build(values, info.shape, 5)).counted(shape)  # type: ignore[misc]
            assert whole == counted_by_parts(definition, shape, 5)


class TestSmallNetworks:
    @pytest.mark.parametrize("side", [1, 4, 8, 16, 23, 24, 28, 32, 47, 48, 64, 95])
    def test_no_map_vanishes(self, side: int) -> None:
        definition = definition_of(SMALL, networks.complete({"network": "fbnetv3-small"}), side)
        last = count(definition, (1, side, side), 10).sides[-1][0]
        assert last >= min(side, 2)
        assert last <= 6

    def test_logits_come_out_of_every_size_of_image(self) -> None:
        for shape in ((1, 8, 8), (1, 28, 28), (3, 33, 64)):
            assert small(shape).eval()(torch.randn(2, *shape)).shape == (2, 10)

    def test_a_resolution_other_than_that_of_the_images_sets_the_strides(self) -> None:
        strides = [small((1, 8, 8), resolution=side).blocks[-2].conv_dw.stride for side in (0, 8, 48)]
        assert strides[0] == strides[1]
        assert small((1, 8, 8)).blocks[3].conv_dw.stride != small((1, 8, 8), resolution=64).blocks[3].conv_dw.stride

    def test_residual_branches_start_as_zero(self) -> None:
        network = small((1, 8, 8)).eval()
        residual = [block for block in network.blocks if block.has_skip]
        assert len(residual) >= 4
        for block in residual:
            maps = torch.randn(2, block.conv_pw.in_channels, 4, 4)
            assert torch.equal(block(maps), maps)

    def test_every_parameter_is_trained_after_the_first_step(self) -> None:
        network = small((1, 8, 8))
        optimizer = torch.optim.SGD(network.parameters(), 0.1)
        for _ in range(2):  # behind a zero scale there is no gradient in the first step
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(torch.randn(4, 1, 8, 8)), torch.arange(4)).backward()
            optimizer.step()
        still = [name for name, one in network.named_parameters() if one.grad is None or not one.grad.any()]
        assert still == []

    def test_drop_path_rises_linearly_with_depth_and_only_where_there_is_a_residual(self) -> None:
        network = small((1, 8, 8), drop_path=0.2)
        blocks = list(network.blocks)
        for number, block in enumerate(blocks):
            rate = getattr(block.drop_path, "drop_prob", 0.0)
            assert rate == pytest.approx(0.2 * number / len(blocks) if block.has_skip else 0.0)

    def test_dropout_and_drop_path_act_in_training_only(self) -> None:
        network, images = small((1, 8, 8), dropout=0.5, drop_path=0.5), torch.randn(8, 1, 8, 8)
        for block in network.blocks:
            if isinstance(block, InvertedResidual):
                nn.init.ones_(block.bn3.weight)
        assert not torch.equal(network(images), network(images))
        network.eval()
        assert torch.equal(network(images), network(images))

    def test_values_that_cannot_be_built_are_refused_by_name(self) -> None:
        with pytest.raises(InvalidInput, match=r"/c3: .*; /k9"):
            build(complete({"network": "fbnetv3-small", "c3": 2, "k9": 3}), (1, 8, 8), 10)

    def test_the_head_pools_before_it_projects(self) -> None:
        head = PooledHead(8, 16, 32)
        assert head(torch.randn(2, 8, 5, 3)).shape == (2, 32)
        assert head.project[0].bias is None

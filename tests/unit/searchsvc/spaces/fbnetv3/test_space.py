"""FBNetV3's spaces: their sizes, their released members, the identity of networks, and the number of operations."""

from __future__ import annotations

import numpy as np
import pytest

from searchsvc.domain import Candidate, DatasetInfo, Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Categorical, Integer, Space, catalogue, cost_model_for, identity_for, networks
from searchsvc.spaces.fbnetv3 import definitions
from searchsvc.spaces.fbnetv3.definition import NetworkDefinition, count
from searchsvc.spaces.fbnetv3.space import FAMILIES, LIMITS, definition_of
from searchsvc.spaces.recipe import FBNETV3
from tests.support.work import calls

IMAGENET = DatasetInfo("imagenet", tuple(map(str, range(1000))), (3, 224, 224), {})
DIGITS = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
GENES = [
    *(f"k{stage}" for stage in range(1, 8)),
    *("e2a", "e2b", "e3a", "e3b", "e45a", "e45b", "e6"),
    *(f"c{stage}" for stage in range(8)),
    *(f"n{stage}" for stage in range(1, 7)),
]
RELEASED: dict[str, Scalar] = {
    **dict(zip([f"k{stage}" for stage in range(1, 8)], (3, 5, 5, 5, 3, 3, 5), strict=True)),
    **dict(zip([f"k{stage}b" for stage in range(2, 7)], (5, 5, 3, 5, 5), strict=True)),
    **dict(zip(GENES[7:14], (4, 2, 5, 3, 5, 3, 6), strict=True)),
    "e6b": 4,
    **dict(zip(GENES[14:22], (16, 16, 24, 40, 72, 120, 184, 224), strict=True)),
    **dict(zip(GENES[22:], (2, 4, 5, 5, 6, 6), strict=True)),
    "trim4": True,
    "trim6": True,
}
RECIPE: dict[str, Scalar] = {
    "lr": 0.026,
    "optimizer": "rmsprop",
    "ema": True,
    "dropout": 0.17,
    "drop_path": 0.21,
    "mixup": 0.07,
    "weight_decay": 1e-5,
}


def part(name: str, names: list[str]) -> Space:
    space = catalogue.find(name).space
    return Space([space[parameter] for parameter in names])


def definition(name: str, values: dict[str, Scalar], side: int) -> NetworkDefinition:
    complete = networks.complete({**catalogue.find(name).constants, **values})
    return definition_of(FAMILIES[str(complete["network"])], complete, side)


def fbnetv3_candidate(**changes: Scalar) -> Candidate:
    """Return the middle of the space with changes."""
    space = catalogue.find("fbnetv3").space
    middle = space.from_matrix(space.from_unit(np.full((1, len(space)), 0.5)))[0]
    return Candidate({**middle.values, **changes})


def test_the_architectures_are_as_many_as_published() -> None:
    assert part("fbnetv3", GENES).size() == 175_878_910_771_200_000


def test_the_recipes_are_as_many_as_published() -> None:
    assert Space(FBNETV3).size() == 18_905_040


def test_the_joint_space_has_the_genes_in_their_order_then_resolution_then_recipe() -> None:
    space = catalogue.find("fbnetv3").space
    assert list(space.names) == [*GENES, "resolution", *RECIPE]
    assert space.size() == 175_878_910_771_200_000 * 7 * 18_905_040


def test_the_options_of_the_released_networks_multiply_the_space() -> None:
    names = [*GENES, *(f"k{stage}b" for stage in range(2, 7)), "e6b", "trim4", "trim6"]
    assert part("fbnetv3-released", names).size() == 175_878_910_771_200_000 * 2**5 * 4 * 2**2


def test_the_small_space_has_the_same_genes() -> None:
    assert list(catalogue.find("fbnetv3-small").space.names) == [*GENES, *RECIPE]


@pytest.mark.parametrize(("name", "side"), [("fbnetv3-a", 224), ("fbnetv3-b", 248)])
def test_released_networks_are_members_and_decode_to_their_rows(name: str, side: int) -> None:
    space = catalogue.find("fbnetv3-released").space
    candidate = Candidate({**RELEASED, "resolution": side, **RECIPE})
    assert space.contains(candidate) is None
    decoded = space.from_matrix(space.to_matrix([candidate]))[0]
    assert decoded == candidate
    built = definition("fbnetv3-released", dict(decoded.values), side)
    assert built.rows == definitions.find(name).rows
    assert built.resolution == definitions.find(name).resolution


@pytest.mark.parametrize("name", ["fbnetv3", "fbnetv3-released", "fbnetv3-small"])
def test_every_gene_changes_the_network(name: str) -> None:
    shipped = catalogue.find(name)
    middle = shipped.space.from_matrix(shipped.space.from_unit(np.full((1, len(shipped.space)), 0.5)))[0].values
    for gene in LIMITS:
        if gene in shipped.space:
            ends = shipped.space.from_matrix(shipped.space.from_unit(np.array([[0.0], [1.0]]) * np.ones(len(middle))))
            low, high = (definition(name, {**middle, gene: end.values[gene]}, 224).rows for end in ends)
            assert low != high, gene


class TestCosts:
    def test_many_candidates_are_counted_in_few_operations(self) -> None:
        shipped = catalogue.find("fbnetv3")
        model = cost_model_for("classification", shipped.space, IMAGENET, shipped.constants)
        matrix = shipped.space.sample(50_000, np.random.default_rng(0))
        with calls() as made:
            assert len(model(matrix)["flops"]) == 50_000
        assert made.count < 500

    def test_an_empty_matrix_has_no_costs(self) -> None:
        shipped = catalogue.find("fbnetv3-small")
        model = cost_model_for("classification", shipped.space, DIGITS, shipped.constants)
        assert len(model(np.empty((0, len(shipped.space))))["params"]) == 0

    def test_a_space_too_wide_for_tables_has_the_same_costs(self) -> None:
        wide = Space([*(Integer(f"c{stage}", 4, 150) for stage in range(8)), Integer("n3", 1, 9)])
        model = cost_model_for("classification", wide, IMAGENET, {"network": "fbnetv3"})
        matrix = wide.sample(50, np.random.default_rng(2))
        costs = model(matrix)
        for row, candidate in enumerate(wide.from_matrix(matrix)):
            values = networks.complete({"network": "fbnetv3", **candidate.values})
            counts = count(definition_of(FAMILIES["fbnetv3"], values, 224), (3, 224, 224), 1000)
            assert (costs["flops"][row], costs["params"][row]) == (counts.flops, counts.params)

    def test_maps_that_would_vanish_are_refused_before_any_trial(self) -> None:
        space = Space([Integer("k3", 3, 5, 2), Categorical("trim6", (False, True))])
        with pytest.raises(InvalidInput, match="trim"):
            cost_model_for("classification", space, DIGITS, {"network": "fbnetv3"})


class TestIdentity:
    def identical(self, name: str, candidate: Candidate, other: Candidate) -> bool:
        shipped = catalogue.find(name)
        identity = identity_for("classification", shipped.space, shipped.constants)
        assert identity is not None
        first, second = identity(shipped.space.to_matrix([candidate, other]))
        return bool((first == second).all())

    def test_widths_that_round_to_the_same_are_the_same_network(self) -> None:
        assert self.identical("fbnetv3", fbnetv3_candidate(c1=18), fbnetv3_candidate(c1=22))
        assert not self.identical("fbnetv3", fbnetv3_candidate(c1=16), fbnetv3_candidate(c1=18))

    def test_another_recipe_or_resolution_is_another_training(self) -> None:
        middle = fbnetv3_candidate(c1=18, mixup=0.1, resolution=224)
        assert not self.identical("fbnetv3", middle, fbnetv3_candidate(c1=20, mixup=0.2, resolution=224))
        assert not self.identical("fbnetv3", middle, fbnetv3_candidate(c1=20, mixup=0.1, resolution=232))

    @pytest.mark.parametrize("name", ["fbnetv3", "fbnetv3-released", "fbnetv3-small"])
    def test_candidates_are_identical_exactly_if_their_rows_are(self, name: str) -> None:
        shipped = catalogue.find(name)
        random = np.random.default_rng(4)
        parent = shipped.space.sample(1, random)
        children = np.repeat(parent, 150, axis=0)
        mutated = shipped.space.sample(150, random)
        genes = [column for column, name in enumerate(shipped.space.names) if name in LIMITS]
        for row in range(1, 150):
            chosen = random.choice(genes, 2)
            children[row, chosen] = mutated[row, chosen]
        identity = identity_for("classification", shipped.space, shipped.constants)
        assert identity is not None
        identities = [row.tobytes() for row in identity(children)]
        rows = [definition(name, dict(candidate.values), 64).rows for candidate in shipped.space.from_matrix(children)]
        assert len(set(rows)) < 150
        assert len(set(identities)) == len(set(rows)) == len(set(zip(identities, rows, strict=True)))

    def test_conditions_and_fixed_genes_are_decoded(self) -> None:
        space = Space([Integer("n2", 1, 2), Integer("e2b", 2, 4, when={"n2": 2}), Integer("c3", 20, 24, 2)])
        identity = identity_for("classification", space, {"network": "fbnetv3-small"})
        assert identity is not None
        rows = identity(space.to_matrix([Candidate({"n2": 1, "c3": 20}), Candidate({"n2": 1, "c3": 22})]))
        assert (rows[0] == rows[1])[: -len(space)].all()

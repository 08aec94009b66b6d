"""Features: the columns of each block_columns, and the parameters that are found to be the architecture."""

from __future__ import annotations

import numpy as np

from searchsvc.predictors.encoding import Encoding
from searchsvc.spaces import Categorical, Float, Integer, Matrix, Space
from searchsvc.spaces.costs.model import CostModel

SPACE = Space(
    [
        Integer("width", 8, 64, step=8),
        Integer("depth", 1, 4),
        Categorical("rate", (0.001, 0.1, 0.01)),
        Categorical("optimizer", ("sgd", "adam")),
        Float("momentum", 0.0, 1.0, when={"optimizer": "sgd"}),
    ]
)


def costs(matrix: Matrix) -> dict[str, Matrix]:
    return {"flops": matrix[:, 0] ** 2 * matrix[:, 1], "ones": np.ones(len(matrix))}


COST_MODEL = CostModel(("flops", "ones"), costs)


def block_columns(encoding: Encoding, kind: str, parameter: int, matrix: Matrix) -> Matrix:
    [block] = [block for block in encoding.blocks if block.kind == kind and block.parameters == (parameter,)]
    return encoding.features(matrix)[:, block.columns]


def test_the_architecture_is_the_parameters_on_which_costs_depend() -> None:
    encoding = Encoding(SPACE, COST_MODEL)
    assert encoding.architecture == (0, 1)
    assert encoding.costs == ("flops",)
    architecture, recipe = encoding.halves
    assert len(architecture) == 2
    assert not set(architecture) & set(recipe)


def test_a_parameter_in_a_condition_of_the_architecture_is_architecture() -> None:
    kernel = Integer("kernel", 1, 9, when={"op": "conv"})
    space = Space([Categorical("op", ("conv", "skip")), kernel, Integer("x", 0, 5)])

    kernels = CostModel(("flops",), lambda matrix: {"flops": np.nan_to_num(matrix[:, 1]) + 1})
    assert Encoding(space, kernels).architecture == (0, 1)


def test_without_a_cost_model_every_parameter_is_architecture() -> None:
    encoding = Encoding(SPACE)
    assert encoding.architecture == (0, 1, 2, 3, 4)
    assert encoding.costs == ()
    assert encoding.halves[1].size == 0


def test_numeric_choices_are_ordered_by_value_and_kept_apart_by_choice() -> None:
    matrix = np.array([[8.0, 1, code, 1, np.nan] for code in range(3)])
    places = block_columns(Encoding(SPACE), "order", 2, matrix)[:, 0]
    np.testing.assert_allclose(places - places[0], [0.0, 1.0, 0.5])
    choices = block_columns(Encoding(SPACE), "choice", 2, matrix)
    np.testing.assert_allclose(np.square(choices[:, None] - choices[None]).sum(axis=2), 1 - np.eye(3), atol=1e-12)


def test_an_inactive_parameter_has_position_0_and_is_flagged() -> None:
    matrix = np.array([[8.0, 1, 0, 1, np.nan], [8.0, 1, 0, 0, 0.0]])
    encoding = Encoding(SPACE)
    np.testing.assert_allclose(np.diff(block_columns(encoding, "active", 4, matrix)[:, 0]), [1.0])
    np.testing.assert_allclose(np.diff(block_columns(encoding, "order", 4, matrix)[:, 0]), [0.0], atol=1e-12)


def test_parameters_with_the_same_values_are_counted_together() -> None:
    ops = ("none", "skip", "conv")
    space = Space([*(Categorical(f"edge{i}", ops) for i in range(4)), Categorical("head", ("a", "b", "c"))])
    encoding = Encoding(space)
    counts = [block for block in encoding.blocks if block.kind == "count"]
    assert [block.parameters for block in counts] == [(0, 1, 2, 3)] * 3
    first, other = encoding.features(np.array([[0.0, 1, 2, 2, 0], [2.0, 2, 1, 0, 0]]))[:, counts[0].start :]
    np.testing.assert_allclose(first, other, atol=1e-12)


def test_features_are_centred_and_of_bounded_size() -> None:
    sample = SPACE.sample(4000, np.random.default_rng(1))
    features = Encoding(SPACE, COST_MODEL).features(sample)
    assert np.isfinite(features).all()
    assert np.abs(features.mean(axis=0)).max() < 0.1

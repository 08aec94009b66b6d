"""Networks as rows: the released networks have exactly the published counts, and faults in rows are named."""

from __future__ import annotations

from typing import Any

import pytest

from searchsvc.errors import InvalidInput, NotFound
from searchsvc.spaces.fbnetv3 import definitions
from searchsvc.spaces.fbnetv3.definition import Counts, NetworkDefinition, count, parse, round8

PUBLISHED = {
    # conv weights, normalisation, biases, all params, MACs, pool elements, published FLOPs
    "fbnetv3-a": (8_542_224, 46_400, 9_840, 8_598_464, 355_514_328, 1_083_952, 356_598_280),
    "fbnetv3-b": (8_542_224, 46_400, 9_840, 8_598_464, 460_150_000, 1_400_136, 461_550_136),
    "fbnetv3-d": (10_237_552, 56_608, 12_112, 10_306_272, 642_628_864, 1_791_488, 644_420_352),
    "fbnetv3-g": (16_513_648, 90_864, 19_376, 16_623_888, 2_125_187_200, 4_469_184, 2_129_656_384),
}
SIDES = {
    "fbnetv3-a": [112, 112, 56, 56, 28, 28, 13, 13, 13, 13, 6, 6, 6],
    "fbnetv3-b": [124, 124, 62, 62, 31, 31, 15, 15, 15, 15, 7, 7, 7],
    "fbnetv3-d": [124, 124, 62, 62, 31, 31, 16, 16, 16, 16, 8, 8, 8],
    "fbnetv3-g": [160, 160, 80, 80, 40, 40, 20, 20, 20, 20, 10, 10, 10],
}
STEM = {"stage": 0, "op": "conv", "k": 3, "c": 16, "s": 2}
BLOCK = {"stage": 1, "op": "mb", "k": 3, "c": 16, "e": 1, "n": 2}
HEAD = {"stage": 8, "op": "mbpool", "c": 64, "e": 6}


def counts_of(name: str) -> Counts:
    definition = definitions.find(name)
    return count(definition, (3, definition.resolution, definition.resolution), 1000)


def document(*rows: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"name": "mine", "resolution": 32, "rows": list(rows), **fields}


@pytest.mark.parametrize("name", PUBLISHED)
def test_released_networks_count_as_published_to_the_last_digit(name: str) -> None:
    counts = counts_of(name)
    assert PUBLISHED[name] == (
        counts.conv_weights,
        counts.norm_params,
        counts.biases,
        counts.params,
        counts.macs,
        counts.pool_elements,
        counts.published_flops,
    )
    assert (counts.published_params, counts.flops) == (counts.conv_weights, counts.macs)


@pytest.mark.parametrize("name", SIDES)
def test_the_sides_of_maps_of_released_networks(name: str) -> None:
    assert counts_of(name).sides == tuple((side, side) for side in SIDES[name])


def test_the_counts_of_a0() -> None:
    counts = counts_of("fbnetv3-a0")
    assert (counts.conv_weights, counts.macs, counts.pool_elements) == (6_275_532, 217_917_744, 660_544)


@pytest.mark.parametrize("name", definitions.names())
def test_released_networks_share_their_expansions_between_stages_4_and_5(name: str) -> None:
    by_stage = {stage: {g.e for g in definitions.find(name).groups if g.stage == stage} for stage in (4, 5)}
    assert by_stage[4] == by_stage[5]


def test_an_unknown_definition_is_not_found_and_all_names_are_listed() -> None:
    with pytest.raises(NotFound, match="fbnetv3-a, fbnetv3-a0, fbnetv3-b, fbnetv3-d, fbnetv3-g"):
        definitions.find("fbnetv3-z")


@pytest.mark.parametrize(
    ("rounded", "raw"),
    [
        (24, (18, 20, 22)),
        *((raw + 4, (raw,)) for raw in (28, 36, 44, 60, 68, 76, 84, 100, 108, 116, 124, 132, 140)),
        *((raw + 4, (raw,)) for raw in (180, 188, 196, 204, 212, 220)),
        (8, (1, 3.9, 8)),
        (16, (8.5, 12)),
    ],
)
def test_channels_are_rounded_as_in_the_released_networks(rounded: int, raw: tuple[float, ...]) -> None:
    assert [round8(channels) for channels in raw] == [rounded] * len(raw)


def test_images_may_be_rectangles_with_any_channels_and_classes() -> None:
    definition = parse(document(STEM, BLOCK, HEAD))
    square, wide = count(definition, (3, 32, 32), 10), count(definition, (1, 32, 64), 10)
    assert square.sides == ((16, 16), (16, 16))
    assert wide.sides == ((16, 32), (16, 32))
    assert square.conv_weights - wide.conv_weights == 9 * 2 * 16
    assert wide.norm_params == square.norm_params


def test_two_blocks_of_one_group_are_two_groups_of_one_block() -> None:
    block = {**BLOCK, "n": 1, "e": 3, "se": True}
    joined, apart = parse(document(STEM, {**block, "n": 2}, HEAD)), parse(document(STEM, block, block, HEAD))
    first, second = (count(definition, (3, 32, 32), 10) for definition in (joined, apart))
    assert (first.params, first.macs, first.pool_elements) == (second.params, second.macs, second.pool_elements)


@pytest.mark.parametrize(
    ("wrong", "pointer", "message"),
    [
        (document(STEM, {**BLOCK, "k": 4}, HEAD), "/rows/1/k", "k must be odd"),
        (document(STEM, {**BLOCK, "c": 0}, HEAD), "/rows/1/c", "must be at least 1"),
        (document(STEM, {**BLOCK, "x": 1}, HEAD), "/rows/1/x", "key"),
        (document(STEM, {**BLOCK, "se": 1}, HEAD), "/rows/1/se", "must be true or false"),
        (document(STEM, {**BLOCK, "op": "fused"}, HEAD), "/rows/1", "fused"),
        (document(STEM, {"stage": 1, "op": "mb", "k": 3, "c": 8}, HEAD), "/rows/1/e", "is missing"),
        (document(STEM, BLOCK), "/rows", "rows begin with one conv, end with one mbpool"),
        (document(BLOCK, HEAD), "/rows", "rows begin with one conv"),
        (document(STEM, HEAD, HEAD), "/rows", "only mb in between"),
        (document(STEM, {**BLOCK, "stage": 3}, {**BLOCK, "stage": 2}, HEAD), "/rows", "must not decrease"),
        (document(STEM, HEAD, resolution="big"), "/resolution", "must be a whole number"),
        (document(), "/rows", "at least 2"),
    ],
)
def test_a_fault_is_named_at_its_place(wrong: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(wrong)
    assert caught.value.faults[0].pointer.startswith(pointer)
    assert message in caught.value.faults[0].message


def test_a_map_that_vanishes_is_named_by_its_row() -> None:
    definition = parse(document(STEM, BLOCK, {**BLOCK, "k": 7, "pad": 0}, HEAD))
    with pytest.raises(InvalidInput, match="/rows/2: no pixel is left of maps of 4 x 4"):
        count(definition, (3, 8, 8), 10)


def test_a_definition_is_the_same_after_a_round_trip() -> None:
    definition = definitions.find("fbnetv3-a")
    assert NetworkDefinition.model_validate_json(definition.model_dump_json()) == definition

"""Label sets: membership, choice, statistics, and accuracy against them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.data.real_labels import RealLabelsImagenet

from searchsvc.errors import InvalidInput
from searchsvc.labels import LabelSets, hits, ranked, real_accuracy

LISTS = st.lists(st.lists(st.integers(0, 6), max_size=5), min_size=1, max_size=12)


@given(LISTS, st.integers(0, 2**32 - 1))
def test_sets_are_what_sets_of_python_are(lists: list[list[int]], seed: int) -> None:
    sets, random = LabelSets.of(lists), np.random.default_rng(seed)
    queried = random.integers(0, 9, (len(lists), 4))
    index = random.integers(0, len(lists), 5)
    assert sets.lists() == [sorted(set(one)) for one in lists]
    assert sets.contain(queried).tolist() == [
        [int(one) in mine for one in row] for row, mine in zip(queried, lists, strict=True)
    ]
    assert sets.take(index).lists() == [sorted(set(lists[one])) for one in index]


def test_a_hit_among_the_first_answers_stays_one_among_more() -> None:
    sets = LabelSets.of([[2], [0, 1], []])
    assert hits(np.array([[1, 2, 0], [0, 2, 1], [0, 1, 2]]), sets).tolist() == [
        [False, True, True],
        [True, True, True],
        [False, False, False],
    ]


def test_of_equal_scores_the_first_class_is_the_answer() -> None:
    scores = np.array([[0.2, 0.4, 0.4, 0.0]])
    assert ranked(scores, 1).tolist() == [[1]]
    assert ranked(scores, 3).tolist() == [[1, 2, 0]]


def test_nothing_can_be_measured_on_empty_sets() -> None:
    with pytest.raises(InvalidInput, match="all label sets are empty"):
        real_accuracy(np.zeros((2, 1), int), LabelSets.of([[], []]))


def test_the_published_formula_gives_the_same(shared: Path) -> None:
    golden = np.load(shared / "golden" / "real_accuracy.npz")
    sets = LabelSets.of(json.loads((shared / "golden" / "real_case.json").read_text()))
    answers = ranked(golden["logits"], 5)
    np.testing.assert_array_equal(answers[:, 0], golden["pred"])
    np.testing.assert_array_equal(hits(answers, sets)[sets.counts > 0, 0], golden["readme_is_correct"])
    assert real_accuracy(answers, sets) == golden["readme_real_accuracy"]
    assert 100 * real_accuracy(answers, sets, 1) == pytest.approx(float(golden["timm_top1_percent"]), abs=1e-12)
    assert 100 * real_accuracy(answers, sets, 5) == pytest.approx(float(golden["timm_top5_percent"]), abs=1e-12)


def test_timm_agrees_on_all_of_imagenet(shared: Path) -> None:
    sets = LabelSets.of(json.loads((shared / "data" / "classification" / "imagenet_real.json").read_text()))
    first = np.array([one[0] if one else 0 for one in sets.lists()])
    random = np.random.default_rng(0)
    scores = random.random((len(sets), 1000), dtype=np.float32)
    scores[np.arange(len(sets)), first] += random.random(len(sets), dtype=np.float32)  # some right, some in the top 5
    theirs = RealLabelsImagenet([f"ILSVRC2012_val_{number + 1:08d}.JPEG" for number in range(len(sets))])
    theirs.add_result(torch.from_numpy(scores))
    answers = torch.from_numpy(scores).topk(5).indices.numpy()
    for k in (1, 5):
        assert 100 * real_accuracy(answers, sets, k) == pytest.approx(theirs.get_accuracy(k), abs=1e-10)


def test_imagenets_file_has_the_published_numbers(shared: Path) -> None:
    lists = json.loads((shared / "data" / "classification" / "imagenet_real.json").read_text())
    statistics = LabelSets.of(lists).statistics
    assert (statistics.lists, statistics.empty, statistics.labels, statistics.classes) == (50_000, 3_163, 57_553, 1_000)
    assert dict(statistics.sizes) == {0: 3163, 1: 39394, 2: 5408, 3: 1319, 4: 411, 5: 161, 6: 88, 7: 41, 8: 13, 9: 2}

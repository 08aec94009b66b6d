"""The language of docstrings: plain English, measured by the words that give a dialect away."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.support.source import FOLDERS, docstrings, modules, name_of

FRAGMENTS = re.compile(r"(That|Those|The same|Of|What|Whether|With|From|Where|How|It|They|Which)\b")
"""Openings of a docstring that leans on another text, or begins with half a sentence."""


@pytest.fixture(scope="module")
def per_ten_thousand() -> Counter[str]:
    """The frequency of each word per 10,000 words of all docstrings."""
    texts = [text for path in modules(*FOLDERS) for _, text in docstrings(path)]
    words = [word for text in texts for word in re.findall(r"[a-z']+", text.lower())]
    return Counter({word: count * 10_000 // len(words) for word, count in Counter(words).items()})


@pytest.mark.parametrize(("words", "limit"), [(("where",), 25), (("one", "ones"), 25), (("what",), 10)])
def test_docstrings_name_their_subjects(per_ten_thousand: Counter[str], words: tuple[str, ...], limit: int) -> None:
    assert sum(per_ten_thousand[word] for word in words) <= limit


def test_conditions_begin_with_if(per_ten_thousand: Counter[str]) -> None:
    assert per_ten_thousand["if"] >= 45


def test_every_docstring_begins_with_a_verb_or_a_noun() -> None:
    fragments = [
        f"{name_of(path)}:{line}: {text.splitlines()[0]}"
        for path in modules(*FOLDERS)
        for line, text in docstrings(path)
        if FRAGMENTS.match(text)
    ]
    assert fragments == []

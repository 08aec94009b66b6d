"""Notes: counts and names in a sentence."""

from __future__ import annotations

from workers.data.notes import note


def test_a_note_counts_and_names() -> None:
    assert note([], "file", "files") == ()
    assert note(["a"], "file is odd", "files are odd") == ("1 file is odd: a",)
    assert note(["a", "b"], "file is odd", "files are odd") == ("2 files are odd: a, b",)


def test_a_long_note_names_the_first() -> None:
    (sentence,) = note([f"n{number}" for number in range(1_234)], "file is odd", "files are odd")
    assert sentence == "1,234 files are odd: n0, n1, n2, n3, n4 and 1,229 more"


def test_names_that_are_no_text_can_be_printed() -> None:
    assert note(["a\nb", "c\udcff", "\x1b[31m", "é 犬"], "x", "files") == ("4 files: a\\nb, c\\udcff, \\x1b[31m, é 犬",)

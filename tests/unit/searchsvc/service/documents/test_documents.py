"""The safe loader, and the plain data that can be stored."""

from __future__ import annotations

import math
from typing import Any

import pytest

from searchsvc.errors import InvalidInput
from searchsvc.service.documents.documents import DEEPEST, checked, digest, load_document, merge_patch
from tests.support.work import calls


def _refusal(text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as refused:
        load_document(text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("5e6", 5_000_000.0),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("-7", -7),
        ("0x1F", 31),
        ("no", "no"),
        ("on", "on"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("'5'", "5"),
        ("true", True),
        ("~", None),
    ],
)
def test_scalars_are_read_as_in_yaml_1_2(written: str, meant: object) -> None:
    value = load_document(f"key: {written}\n")["key"]
    assert (value, type(value)) == (meant, type(meant))


def test_json_is_read_with_its_escapes_and_tabs() -> None:
    assert load_document('{\n\t"a": [1, 2.5, null, true], "b": "\\ud83d\\ude00\\/"}') == {
        "a": [1, 2.5, None, True],
        "b": "😀/",
    }


def test_an_alias_stands_for_what_its_anchor_names() -> None:
    assert load_document("a: &x [1, 2]\nb: *x\n") == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: the key 'a' occurs twice"),
        ('{"a": 1, "a": 2}', "line 1, column 10: the key 'a' occurs twice"),
        ("a: .nan", "line 1, column 4: .nan is not a finite number"),
        ("a: -.inf", "line 1, column 4: -.inf is not a finite number"),
        ("a: 1e999", "line 1, column 4: 1e999 is too large a number"),
        ("a: " + "9" * 5000, "is too large a whole number"),
        ('{"a": 1e999}', "/a: must be a finite number"),
        ("a: !!python/object/apply:os.system [x]", "line 1, column 4: tags such as"),
        ("a: !!str 5", "line 1, column 4: tags such as"),
        ("a: [1, 2", "line 2, column 1"),
        ("a: b: c", "line 1, column 5: mapping values are not allowed"),
        ("1: 2", "line 1, column 1: a key must be text: put quotes around 1"),
        ("? [a]\n: 1", "line 1, column 3: a key must be text"),
        ("a: *nowhere", "line 1, column 4: the alias *nowhere refers to nothing"),
        ("a: &x [*x]", "line 1, column 8: the alias *x refers to nothing"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1: there is a second document"),
        ("", "the document is empty"),
        ('{"a": "\\u0000"}', "/a: must not contain the character NUL"),
        ('{"a": "\\ud800"}', "/a: must be valid Unicode"),
        (b"a: \xff", "not UTF-8 text: byte 3"),
        ("[" * 100_000, f"nested more than {DEEPEST} levels deep"),
        ('{"a":' * 100_000, f"nested more than {DEEPEST} levels deep"),
    ],
)
def test_what_is_unclear_or_unsafe_is_refused_with_its_place(text: str | bytes, said: str) -> None:
    assert said in _refusal(text)


def test_a_yaml_bomb_is_refused_at_once() -> None:
    """The work does not grow with the number of values to which the document expands."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    for count in (6, 12):  # a million values, and a million times as many
        with calls() as made:
            assert "has more than 100,000 values" in _refusal("\n".join(lines[:count]))
        assert made.count < 5_000


def test_a_document_of_10_mb_is_refused_unread() -> None:
    assert "larger than 1,000,000 bytes" in _refusal("a" * 10_000_000)


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**63, object(), {1: 2}, "\0", {"a\0": 1}])
def test_what_cannot_be_stored_is_named_with_its_pointer(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        checked({"a/b": [0, value]})
    assert refused.value.faults[0].pointer.startswith("/a~1b/1")


def test_a_merge_patch_follows_rfc_7396() -> None:
    target = {"a": "b", "c": {"d": "e", "f": "g"}, "list": [1, 2]}
    patch: dict[str, Any] = {"a": "z", "c": {"f": None}, "list": [3], "new": {"x": None, "y": 1}}
    assert merge_patch(target, patch) == {"a": "z", "c": {"d": "e"}, "list": [3], "new": {"y": 1}}
    assert target["c"] == {"d": "e", "f": "g"}


def test_equal_documents_have_equal_digests() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})

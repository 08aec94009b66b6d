"""Names of classes: their order, and which of them look alike."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from workers.data.notes import note


def class_order(name: str) -> tuple[int, int, str]:
    """Return a key that sorts whole numbers by value, followed by other names."""
    number = name.removeprefix("-")
    return (0, int(name), name) if number.isascii() and number.isdigit() and len(number) < 19 else (1, 0, name)


def folded(name: str) -> str:
    """Return a name without its case, its spaces and its form of Unicode."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def similar_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a note on classes whose names differ only in case, in spaces or in their form of Unicode."""
    by_form: dict[str, list[str]] = {}
    for name in classes:
        by_form.setdefault(folded(name), []).append(name)
    alike = [" and ".join(f"{one!a}" for one in names) for names in by_form.values() if len(names) > 1]
    words = "in case, spaces or form of Unicode, and are different classes"
    return note(alike, f"group of classes differs only {words}", f"groups of classes differ only {words}")

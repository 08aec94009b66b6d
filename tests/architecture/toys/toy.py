"""Toy: an addition to the tree, as new files and as edits of existing files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

NAME, TASK, NUMBER = "toy", "classification", "9999"
"""The toys' values of NAME, TASK and NNNN in the table of CONTRIBUTING.md."""

Edit: TypeAlias = tuple[str, str]
"""A text that a file contains once, and the text in its place."""


def after(line: str, added: str) -> Edit:
    """Return the edit that adds a text after a line."""
    return line, line + added


@dataclass(frozen=True, slots=True)
class Toy:
    """An addition of one kind."""

    row: str
    """First cell of its row in CONTRIBUTING.md."""
    files: Mapping[str, str]
    """Contents of new files by path."""
    edits: Mapping[str, Sequence[Edit]]
    """Edits by path of an existing file."""

    @property
    def paths(self) -> set[str]:
        """All files that it touches."""
        return {*self.files, *self.edits}

    def add_to(self, tree: Path) -> None:
        """Write it into a copy of the tree."""
        for path, content in self.files.items():
            file = tree / path
            assert not file.exists()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8")
        for path, edits in self.edits.items():
            content = (tree / path).read_text(encoding="utf-8")
            for old, new in edits:
                assert content.count(old) == 1, f"{path} has changed; it should contain once: {old}"
                content = content.replace(old, new)
            (tree / path).write_text(content, encoding="utf-8")

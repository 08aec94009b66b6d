"""Notes on a dataset: sentences about what its files contain and the product does not use, or converts."""

from __future__ import annotations

from collections.abc import Sequence

from workers.data.imagefiles import printable
from workers.data.imageheaders import ImageHeader, Oddity

_NAMED = 5
"""Number of names that a note lists."""


def note(names: Sequence[str], one: str, many: str) -> tuple[str, ...]:
    """Return a note that counts `names` and lists the first, or nothing if there are none.

    `one` and `many` are the words after the count, as in `file is not read` and `files are not read`.
    """
    if not names:
        return ()
    return (f"{len(names):,} {one if len(names) == 1 else many}: {listed(names)}",)


def listed(names: Sequence[str]) -> str:
    """Return the first names, and how many there are besides."""
    rest = len(names) - _NAMED
    return ", ".join(map(printable, names[:_NAMED])) + (f" and {rest:,} more" if rest > 0 else "")


def oddity_notes(names: Sequence[str], headers: Sequence[ImageHeader]) -> tuple[str, ...]:
    """Return a note for each oddity of images, which their decoding drops or converts: its count and the first names.
    """
    pairs = list(zip(names, headers, strict=True))
    return tuple(
        sentence
        for oddity in Oddity
        for sentence in note([name for name, header in pairs if oddity in header.oddities], oddity.one, oddity.many)
    )

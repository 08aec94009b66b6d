"""Remarks on what the readers of annotations convert or leave out, counted over all files of a dataset, and named."""

from __future__ import annotations

from typing import NamedTuple

from workers.data.notes import note


class RemarkKind(NamedTuple):
    """The words of a note after its count, for one and for several places."""

    one: str
    many: str


UNUSED_ANNOTATIONS = RemarkKind("other file of annotations is not read", "other files of annotations are not read")


class Remarks:
    """Places of each kind of remark, from which the notes of a dataset are made."""

    def __init__(self) -> None:
        self._places: dict[RemarkKind, list[str]] = {}
        self._sentences: list[str] = []

    def add(self, kind: RemarkKind, *places: str) -> None:
        """Count places: names of files, classes or annotations."""
        self._places.setdefault(kind, []).extend(places)

    def places(self, kind: RemarkKind) -> frozenset[str]:
        """Return the places of a kind so far."""
        return frozenset(self._places.get(kind, ()))

    def say(self, sentence: str) -> None:
        """Add a note that counts nothing; it is said once."""
        if sentence not in self._sentences:
            self._sentences.append(sentence)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences, in the order in which their kinds were found."""
        counted = (sentence for kind, places in self._places.items() for sentence in note(places, *kind))
        return *self._sentences, *counted

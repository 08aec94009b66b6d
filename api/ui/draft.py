"""A draft of a job's spec: the text in the editor, what it says, what would run, and what is wrong at which line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchsvc.errors import Fault, InvalidInput
from searchsvc.service.documents.documents import load_document
from searchsvc.service.documents.yaml_text import located
from searchsvc.service.planning.plan import Plan
from searchsvc.service.service import Service


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that is wrong."""

    line: int
    """Counted from 1."""
    place: str
    """JSON pointer; nothing: the text itself cannot be read there."""
    message: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A text, looked at."""

    text: str
    document: Mapping[str, Any] | None
    """None where it cannot be read."""
    plan: Plan | None
    """None where anything is wrong."""
    marks: tuple[Mark, ...]
    """By line."""


def looked_at(service: Service, text: str) -> Draft:
    """Everything that can be said of a text without training anything. Takes up to some seconds."""
    document: Mapping[str, Any] | None = None
    try:
        found = load_document(text)
        document = found if isinstance(found, Mapping) else None
        return Draft(text, document, service.jobs.plan(found), ())
    except InvalidInput as error:
        marks = [_mark(text, fault) for fault in error.faults]
        return Draft(text, document, None, tuple(sorted(marks, key=lambda mark: mark.line)))


def _mark(text: str, fault: Fault) -> Mark:
    line, message = located(text, fault)
    return Mark(line, fault.pointer, message)

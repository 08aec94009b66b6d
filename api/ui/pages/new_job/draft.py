"""A draft of a job's spec: the text in the editor, the parsed document, the plan, and the errors by line."""

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
    """An error in the text."""

    line: int
    """Counted from 1."""
    place: str
    """JSON pointer; empty if the text cannot be parsed there."""
    message: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A text and the result of its check."""

    text: str
    document: Mapping[str, Any] | None
    """None if the text cannot be parsed."""
    plan: Plan | None
    """None if there are errors."""
    marks: tuple[Mark, ...]
    """Sorted by line."""


def check_draft(service: Service, text: str) -> Draft:
    """Check a text without training anything, which can take several seconds."""
    document: Mapping[str, Any] | None = None
    try:
        parsed = load_document(text)
        document = parsed if isinstance(parsed, Mapping) else None
        return Draft(text, document, service.jobs.plan(parsed), ())
    except InvalidInput as error:
        marks = [_mark(text, fault) for fault in error.faults]
        return Draft(text, document, None, tuple(sorted(marks, key=lambda mark: mark.line)))


def _mark(text: str, fault: Fault) -> Mark:
    line, message = located(text, fault)
    return Mark(line, fault.pointer, message)

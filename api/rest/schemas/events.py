"""Schemas of events and logs."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import Out, RecordOut
from searchsvc import domain
from searchsvc.service.system.logs import LogPart


class Event(RecordOut, record=domain.Event):
    """A change to a job or trial."""


class Log(Out):
    """A piece of a log."""

    text: str = Field(description="At most one megabyte of text.")
    end: int = Field(description="Offset of the next piece in bytes: send it as `offset`.")

    @classmethod
    def of(cls, part: LogPart) -> Self:
        return cls(text=part.text, end=part.end)

"""Schemas of a job's results as a whole."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import RecordOut
from api.rest.schemas.trials import Measurement
from searchsvc import domain


class JobMeasurement(Measurement):
    """A measurement among all measurements of a job."""

    id: int = Field(description="Grows in the order in which measurements were stored.")
    trial: int = Field(description="Number of the trial.")

    @classmethod
    def of_row(cls, row: tuple[int, int, domain.Measurement]) -> Self:
        measurement_id, trial, measurement = row
        return cls.of(measurement, id=measurement_id, trial=trial)


class Round(RecordOut, record=domain.Round):
    """Report of an algorithm on a round of its search."""

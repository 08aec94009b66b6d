"""Schemas of a report on a job's gains from pre-training, self-training and augmentation."""

from __future__ import annotations

from typing import Self

from pydantic import Field

from api.rest.schemas.base import Out, Values
from searchsvc import domain
from searchsvc.service.results.gains import Cell, GainReport
from searchsvc.service.results.intervals import MeanEstimate


class Estimated(Out):
    """A mean, or a difference of means, with a 95 % interval by Student's t."""

    value: float = Field(description="The mean or difference.")
    low: float | None = Field(description="Lower end of the interval; null if there are too few trials.")
    high: float | None = Field(description="Upper end of the interval; null if there are too few trials.")

    @classmethod
    def of(cls, estimate: MeanEstimate) -> Self:
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


class MeasuredCell(Out):
    """Trials with equal values in all genes of the report."""

    values: Values
    trials: int
    mean: Estimated = Field(description="Mean of the objective.")

    @classmethod
    def of(cls, cell: Cell) -> Self:
        return cls(values=dict(cell.values), trials=cell.trials, mean=Estimated.of(cell.mean))


class MeasuredGain(Out):
    """Gain of other values over the plain values, all else being equal."""

    changed: Values
    plain: MeasuredCell = Field(description="Trials with the plain values of the changed genes.")
    cell: MeasuredCell
    gain: Estimated = Field(description="Improvement of the objective; negative if it is worse.")
    pairs: int = Field(description="Pairs of trials of the same replicate; 0 if the cells were compared as a whole.")


class MeasuredGains(Out):
    """Gains from pre-training, self-training and stronger augmentation, by amount of data."""

    objective: domain.Objective = Field(description="The compared objective.")
    genes: list[str] = Field(description="Genes of the report that the job searches.")
    items: list[MeasuredGain] = Field(description="Initial weights and self-training first, then augmentation.")

    @classmethod
    def of(cls, report: GainReport) -> Self:
        return cls(
            objective=report.objective,
            genes=list(report.genes),
            items=[
                MeasuredGain(
                    changed=dict(gain.changed),
                    plain=MeasuredCell.of(gain.plain),
                    cell=MeasuredCell.of(gain.cell),
                    gain=Estimated.of(gain.gain),
                    pairs=gain.pairs,
                )
                for gain in report.gains
            ],
        )

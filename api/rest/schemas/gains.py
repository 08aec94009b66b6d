"""What the REST interface says of pre-training, self-training and augmentation: what each is worth, in one job."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from api.rest.schemas.jobs import Values
from searchsvc import domain
from searchsvc.service.results.gains import Cell, GainReport
from searchsvc.service.results.intervals import MeanEstimate


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Estimated(_Out):
    """A mean, or a difference of means, with a 95 % interval by Student's t."""

    value: float
    low: float | None = Field(description="Null: too few trials for an interval.")
    high: float | None

    @classmethod
    def of(cls, found: MeanEstimate) -> Self:
        return cls(value=found.value, low=found.low, high=found.high)


class MeasuredCell(_Out):
    """Trials that are alike in all genes of the report."""

    values: Values
    trials: int
    mean: Estimated = Field(description="Of the objective.")

    @classmethod
    def of(cls, cell: Cell) -> Self:
        return cls(values=dict(cell.values), trials=cell.trials, mean=Estimated.of(cell.mean))


class MeasuredGain(_Out):
    """What values other than the plain ones are worth, all else being equal."""

    changed: Values
    plain: MeasuredCell = Field(description="With the plain values of what was changed.")
    cell: MeasuredCell
    gain: Estimated = Field(description="By how much the objective is better; negative: worse.")
    pairs: int = Field(description="Trials set beside one of the same replicate; 0: the cells were compared as wholes.")


class MeasuredGains(_Out):
    """Whether pre-training, self-training or stronger augmentation is worth it, by amount of data."""

    objective: domain.Objective = Field(description="What was measured.")
    genes: list[str] = Field(description="Those that the job searches, of the ones that the report is about.")
    items: list[MeasuredGain] = Field(description="First weights and self-training first, then augmentation.")

    @classmethod
    def of(cls, report: GainReport) -> Self:
        return cls(
            objective=report.objective,
            genes=list(report.genes),
            items=[
                MeasuredGain(
                    changed=dict(one.changed),
                    plain=MeasuredCell.of(one.plain),
                    cell=MeasuredCell.of(one.cell),
                    gain=Estimated.of(one.gain),
                    pairs=one.pairs,
                )
                for one in report.gains
            ],
        )

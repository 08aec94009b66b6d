"""Schemas of label checking: trials measured against other labels, questions to raters, and corrected labels."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Path
from pydantic import Field

from api.rest.schemas.base import In, Out
from searchsvc.labels.comparison import Estimate
from searchsvc.service.labels import reassess, relabel

ImageNumber = Annotated[int, Path(ge=0, lt=2**31, description="Index of the image among the validation images.")]


class Labels(In):
    """The content of a label file."""

    labels: list[list[int | str]] | dict[str, list[int | str]] = Field(
        description="Classes by number or name, as one list per image in the order of the dataset, or by image name.",
        examples=[{"cat/4.png": ["cat"], "dog/2.png": ["cat", "dog"]}],
    )
    k: int = Field(1, ge=1, le=16, description="A prediction is correct if any of its first k classes is a label.")


class Interval(Out):
    """An estimate with a 90 % confidence interval."""

    value: float = Field(description="Value on these images.")
    low: float = Field(description="5 % quantile.")
    high: float = Field(description="95 % quantile.")

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


class ReassessedTrial(Out):
    """Accuracy of a trial against both kinds of labels."""

    trial: int = Field(description="Number of the trial.")
    accuracy: Interval = Field(description="Accuracy by the labels of the dataset.")
    real_accuracy: Interval = Field(
        description="Accuracy by the submitted label sets; images without a label do not count."
    )
    rank: int = Field(description="Rank by accuracy, from 1.")
    real_rank: int = Field(description="Rank by real accuracy, from 1.")


class Reassessment(Out):
    """Finished trials of a job measured against other labels, the best first."""

    images: int = Field(description="Number of validation images.")
    counted: int = Field(description="Validation images with a submitted label.")
    labels: int = Field(description="Number of submitted labels of these images.")
    k: int = Field(description="A prediction is correct if any of its first k classes is a label.")
    correlation: Interval | None = Field(
        description="Spearman's correlation of the two rankings; null for fewer than three trials, or if all are equal."
    )
    items: list[ReassessedTrial] = Field(description="Finished trials with stored predictions.")

    @classmethod
    def of(cls, reassessment: reassess.Reassessment) -> Self:
        return cls(
            images=reassessment.images,
            counted=reassessment.counted,
            labels=reassessment.labels,
            k=reassessment.k,
            correlation=None if reassessment.correlation is None else Interval.of(reassessment.correlation),
            items=[
                ReassessedTrial(
                    trial=result.trial.number,
                    accuracy=Interval.of(result.accuracy),
                    real_accuracy=Interval.of(result.real_accuracy),
                    rank=result.rank,
                    real_rank=result.real_rank,
                )
                for result in reassessment.items
            ],
        )


class Doubt(In):
    """Settings for generating questions about labels."""

    networks: int = Field(
        relabel.NETWORKS,
        ge=1,
        le=relabel.MOST_NETWORKS,
        description="Number of accurate, diverse trials that propose labels.",
    )
    confidence: float = Field(
        relabel.CONFIDENCE,
        gt=0,
        le=1,
        description="Probability from which a prediction becomes a proposed label.",
    )


class Rater(Out):
    """A person who has answered questions."""

    name: str = Field(description="Name of the token.")
    answered: int = Field(description="Number of questions answered by the rater.")
    accuracy: float = Field(description="Estimated probability that an answer of the rater is correct.")


class Relabelling(Out):
    """Progress of the relabelling of a job."""

    trials: list[int] = Field(description="Numbers of the trials that propose labels, the best first.")
    confidence: float = Field(description="Probability from which a prediction becomes a proposed label.")
    images: int = Field(description="Number of validation images.")
    settled: int = Field(description="Images on which all these trials agree with the label.")
    questions: int = Field(description="Labels of the other images to be accepted or rejected.")
    open: int = Field(description="Number of questions without an answer.")
    raters: list[Rater] = Field(description="Raters with answers, by name.")

    @classmethod
    def of(cls, progress: relabel.RelabellingProgress) -> Self:
        return cls(
            trials=list(progress.trials),
            confidence=progress.confidence,
            images=progress.images,
            settled=progress.settled,
            questions=progress.questions,
            open=progress.open,
            raters=[
                Rater(name=rater.name, answered=rater.answered, accuracy=rater.accuracy) for rater in progress.raters
            ],
        )


class Question(Out):
    """A question to a rater: does the image show the class?"""

    image: int = Field(description="Index of the image among the validation images.")
    name: str = Field(description="Name of the image in the dataset.")
    label: int = Field(description="Index of the class.")
    class_name: str = Field(description="Name of the class.")
    is_given: bool = Field(description="Whether the class is the label of the dataset.")


class Questions(Out):
    """Questions that the owner of the token has not answered."""

    items: list[Question] = Field(description="The first questions; questions about one image are adjacent.")
    answered: int = Field(description="Number of questions answered by the owner of the token.")
    total: int = Field(description="Total number of questions.")

    @classmethod
    def of(cls, questions: relabel.Questions, limit: int) -> Self:
        items = [
            Question(
                image=question.image,
                name=question.name,
                label=question.label,
                class_name=question.class_name,
                is_given=question.is_given,
            )
            for question in questions.items[:limit]
        ]
        return cls(items=items, answered=questions.answered, total=questions.total)


class Verdict(In):
    """Answer to a question."""

    image: int = Field(ge=0, lt=2**31, description="Index of the image among the validation images.")
    label: int = Field(ge=0, lt=2**31, description="Index of the class.")
    accepted: bool | None = Field(description="Whether the image shows the class; null withdraws an earlier answer.")


class Relabelled(Out):
    """Corrected labels, as a label file."""

    labels: dict[str, list[int | str]] = Field(description="Class names by image name, for every validation image.")
    threshold: float = Field(description="Probability from which a label is accepted as correct.")
    progress: Relabelling = Field(description="Answers from which the labels were derived.")

    @classmethod
    def of(cls, relabelled: relabel.Relabelled) -> Self:
        return cls(
            labels=dict(relabelled.labels),
            threshold=relabelled.threshold,
            progress=Relabelling.of(relabelled.progress),
        )

"""What the REST interface says about doubtful labels: trials by other labels, questions to raters, what came out."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from searchsvc.labels.comparison import Estimate
from searchsvc.service.labels import reassess, relabel

ImageNumber = Annotated[int, Path(ge=0, lt=2**31, description="Place of the image among the validation images.")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class _Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class Labels(_In):
    """The content of a label file."""

    labels: list[list[int | str]] | dict[str, list[int | str]] = Field(
        description="Classes by number or name: a list per image of the dataset, in its order, or by name of image.",
        examples=[{"cat/4.png": ["cat"], "dog/2.png": ["cat", "dog"]}],
    )
    k: int = Field(1, ge=1, le=16, description="Answers to an image of which one has to be right.")


class Interval(_Out):
    """A number, and where it may lie for other images of the kind: 90 %."""

    value: float = Field(description="As it is on these images.")
    low: float = Field(description="5 % lie below.")
    high: float = Field(description="5 % lie above.")

    @classmethod
    def of(cls, estimate: Estimate) -> Self:
        return cls(value=estimate.value, low=estimate.low, high=estimate.high)


class ReassessedTrial(_Out):
    """A trial by both labels."""

    trial: int = Field(description="Its number.")
    accuracy: Interval = Field(description="By the labels of the dataset.")
    real_accuracy: Interval = Field(
        description="By the label sets that were sent; images without a label do not count."
    )
    rank: int = Field(description="By accuracy, from 1.")
    real_rank: int = Field(description="By real accuracy, from 1.")


class Reassessment(_Out):
    """The finished trials of a job by other labels, the best first."""

    images: int = Field(description="Validation images.")
    counted: int = Field(description="Those of them that have a label in what was sent.")
    labels: int = Field(description="Labels of all of them together.")
    k: int = Field(description="Answers to an image of which one has to be right.")
    correlation: Interval | None = Field(
        description="Spearman's rank correlation of the two rankings; null: of fewer than three trials, or equal ones."
    )
    items: list[ReassessedTrial] = Field(description="Finished trials that have left their predictions.")

    @classmethod
    def of(cls, found: reassess.Reassessment) -> Self:
        return cls(
            images=found.images,
            counted=found.counted,
            labels=found.labels,
            k=found.k,
            correlation=None if found.correlation is None else Interval.of(found.correlation),
            items=[
                ReassessedTrial(
                    trial=one.trial.number,
                    accuracy=Interval.of(one.accuracy),
                    real_accuracy=Interval.of(one.real_accuracy),
                    rank=one.rank,
                    real_rank=one.real_rank,
                )
                for one in found.items
            ],
        )


class Doubt(_In):
    """How questions about labels are made."""

    networks: int = Field(
        relabel.NETWORKS, ge=1, le=relabel.MOST_NETWORKS, description="Trials that propose: good ones that differ."
    )
    confidence: float = Field(
        relabel.CONFIDENCE, gt=0, le=1, description="What one of them gives such a probability is proposed."
    )


class Rater(_Out):
    """Who has answered questions."""

    name: str = Field(description="Name of the token.")
    answered: int = Field(description="Questions that have an answer of theirs.")
    accuracy: float = Field(description="Probability that an answer of theirs is right, by all answers together.")


class Relabelling(_Out):
    """Where the relabelling of a job stands."""

    trials: list[int] = Field(description="Numbers of the trials that propose, the best first.")
    confidence: float = Field(description="What one of them gives such a probability is proposed.")
    images: int = Field(description="Validation images.")
    settled: int = Field(description="Those on which all these trials agree with the label.")
    questions: int = Field(description="Labels of the others that are to be accepted or rejected.")
    open: int = Field(description="Questions that nobody has answered.")
    raters: list[Rater] = Field(description="Who has answered, by name.")

    @classmethod
    def of(cls, found: relabel.RelabellingProgress) -> Self:
        return cls(
            trials=list(found.trials),
            confidence=found.confidence,
            images=found.images,
            settled=found.settled,
            questions=found.questions,
            open=found.open,
            raters=[Rater(name=one.name, answered=one.answered, accuracy=one.accuracy) for one in found.raters],
        )


class Question(_Out):
    """Does this image show that?"""

    image: int = Field(description="Place of the image among the validation images.")
    name: str = Field(description="What the dataset calls it.")
    label: int = Field(description="Index of the class that is asked about.")
    class_name: str = Field(description="Its name.")
    is_given: bool = Field(description="Whether it is the label of the dataset.")


class Questions(_Out):
    """What the owner of the token has not answered yet."""

    items: list[Question] = Field(description="The first of them; those of an image stand together.")
    answered: int = Field(description="Questions that the owner of the token has answered.")
    total: int = Field(description="All questions.")

    @classmethod
    def of(cls, found: relabel.Questions, limit: int) -> Self:
        items = [
            Question(image=one.image, name=one.name, label=one.label, class_name=one.class_name, is_given=one.is_given)
            for one in found.items[:limit]
        ]
        return cls(items=items, answered=found.answered, total=found.total)


class Verdict(_In):
    """What is said to a question."""

    image: int = Field(ge=0, lt=2**31, description="Place of the image among the validation images.")
    label: int = Field(ge=0, lt=2**31, description="Index of the class.")
    accepted: bool | None = Field(description="Whether the image shows it; null: what was said before is taken back.")


class Relabelled(_Out):
    """What came out, as a label file."""

    labels: dict[str, list[int | str]] = Field(description="Names of classes by name of image; every validation image.")
    threshold: float = Field(description="Of the probability that a label is right, from which on it is one.")
    progress: Relabelling = Field(description="What it rests on.")

    @classmethod
    def of(cls, found: relabel.Relabelled) -> Self:
        return cls(
            labels=dict(found.labels),
            threshold=found.threshold,
            progress=Relabelling.of(found.progress),
        )

"""What a teacher can be refused for, whatever the task."""

from __future__ import annotations

from collections.abc import Sequence

from searchsvc.domain.states import FailureKind
from searchsvc.errors import InvalidInput, TrialFailed
from workers.models.trained import ModelCard

_LISTED = 5


def check_classes(card: ModelCard, classes: Sequence[str]) -> None:
    """Raise InvalidInput (pointer into the spec) where a teacher knows other classes, or in another order."""
    if card.classes != tuple(classes):
        own, wanted = (
            ", ".join(one[:_LISTED]) + (", ..." if len(one) > _LISTED else "") for one in (card.classes, classes)
        )
        message = f"its {len(card.classes)} classes ({own}) are not the {len(classes)} of the dataset ({wanted})"
        raise InvalidInput.at("/self_training/teacher", f"{message}: take one that was trained on the same classes")


def nothing_kept(threshold: float, of: str, best: float) -> TrialFailed:
    """The error of a threshold that no answer reaches."""
    message = f"pseudo_threshold {threshold:g} keeps {of}: the teacher's best score is {best:.3f}; lower it"
    return TrialFailed(FailureKind.ERROR, message)

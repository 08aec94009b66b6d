"""Checks, without torch, that a trained model can teach on a dataset: task, classes and shape of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from searchsvc.errors import InvalidInput

_LISTED = 5


def check_teacher(
    path: str | Path, task: str, classes: Sequence[str], shape: tuple[int, int, int] | None = None
) -> None:
    """Raise InvalidInput unless the file is a model of the task with the same classes in the same order.

    `shape`: (channels, height, width) of the images to be labelled; None if the model takes images of any shape.
    """
    card = _card(path)
    if card.get("task") != task:
        raise InvalidInput.at("", f"{path} is not a model of the task {task} that a trial has stored")
    own = tuple(card.get("classes", ()))
    if own != tuple(classes):
        message = f"has {len(own)} classes ({_listed(own)}), the dataset {len(classes)} ({_listed(classes)})"
        raise InvalidInput.at("", f"the teacher {message}: take one that was trained on the same classes")
    if shape is not None and (taken := tuple(card.get("shape", ()))) != shape:
        message = f"takes images of {taken} as (channels, height, width), the dataset has {shape}"
        raise InvalidInput.at("", f"the teacher {message}: take one that was trained on the same size")


def _card(path: str | Path) -> dict[str, Any]:
    try:
        with safe_open(path, "numpy") as file:
            content: Any = json.loads((file.metadata() or {}).get("searchsvc", "{}"))
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidInput.at("", f"{path} cannot be read as a safetensors file: {error}") from error
    return content if isinstance(content, dict) else {}


def _listed(names: Sequence[str]) -> str:
    return ", ".join([*names[:_LISTED], *(["..."] if len(names) > _LISTED else [])])

"""`script`: the module `standalone` in a single file, with the architecture and the recipe of a trial."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from searchsvc.domain.trial_task import REPLICATE, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.spaces import networks, recipe
from workers.data import classification as data
from workers.export import standalone
from workers.export.flatten import Constant, QualifiedName, flatten
from workers.export.networks import WRITINGS
from workers.models.networks import input_shape
from workers.models.trained import Classifier
from workers.training.trial import data_share_of
from workers.trials.files import DROPPED

_TEMPLATE = "workers.export.standalone"
_WIDTH = 110
_SCALAR, _PLAIN = QualifiedName("searchsvc.domain.parameters", "Scalar"), "bool | int | float | str | None"
"""Type of values, which pydantic checks here and nothing checks in a script."""


def write(classifier: Classifier, task: TrialTask, destination: Path) -> None:
    """Write the script that trains the network of `classifier` like the trial, on all images in files.

    Raises InvalidInput if the trial did not start from random weights, or was self-trained.
    """
    card = classifier.card
    if card.values.get(recipe.INIT, recipe.SCRATCH) != recipe.SCRATCH:
        message = "the trial started from the weights of another network, which a script lacks: export its weights"
        raise InvalidInput.at("/format", message)
    values, table = networks.complete(card.values), recipe.CLASSIFICATION
    if values[recipe.SELF_TRAINING]:
        message = "a script learns only from labels, but this trial was self-trained: take its weights, or its spec"
        raise InvalidInput.at("/format", message)
    writing = WRITINGS[networks.find(values).name]
    architecture = writing.describe(values, input_shape(values, card.shape))
    build = QualifiedName(writing.build.__module__, writing.build.__name__)
    settings = {
        "ARCHITECTURE": Constant(_table(architecture, writing.comments)),
        "RECIPE": Constant(_table(_training_recipe(values), table.meanings)),
        "EPOCHS": Constant(_literal(task.fidelity.epochs)),
        "SEED": Constant(_literal(task.seed)),
        "SHAPE": Constant(_literal(card.shape)),
        "CLASSES": Constant(_literal(card.classes)),
        "MEAN": Constant(_literal(card.mean)),
        "STD": Constant(_literal(card.std)),
        "SPLIT": Constant(_table(data.shares(task.dataset))),
        "MEMORY_BYTES": Constant(_literal(task.dataset.get("memory_bytes", standalone.MEMORY_BYTES))),
        "DROPPED": Constant(_literal(_dropped(task))),
        "MEASURED": Constant(_table(card.metrics)),
        "INDEPENDENT": Constant(_literal(recipe.has_independent_classes(values))),
        "NETWORK": Constant(build.name, (build,)),
    }
    constants = {QualifiedName(_TEMPLATE, name): constant for name, constant in settings.items()}
    destination.write_text(flatten(_TEMPLATE, {**constants, _SCALAR: Constant(_PLAIN)}), encoding="utf-8")


def _training_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recipe without choices that take effect before training."""
    before = (recipe.INIT, recipe.DATA_FRACTION, REPLICATE)
    return {name: values[name] for name in recipe.CLASSIFICATION.defaults if name not in before}


def _dropped(task: TrialTask) -> tuple[int, ...]:
    """Return the images that the trial omitted. Raises InvalidInput if it was trained on a part of the images."""
    path = Path(task.directory) / DROPPED
    if not path.is_file():
        return ()
    if data_share_of(task).share < 1:
        raise InvalidInput.at("/format", "a script trains on all images; the labels of a part of them were cleaned")
    return tuple(json.loads(path.read_text())["dropped"])


def _table(entries: Mapping[str, Any], comments: Mapping[str, str] | None = None) -> str:
    """Write a dict, a line per entry, each with its comment."""
    lines = ["{"]
    for name, value in entries.items():
        comment = f"  # {comments[name]}" if comments and name in comments else ""
        if isinstance(value, tuple) and value and isinstance(value[0], tuple):
            lines += [f"    {_literal(name)}: ({comment}", *(f"        {_literal(row)}," for row in value), "    ),"]
        else:
            lines.append(f"    {_literal(name)}: {_literal(value)},{comment}")
    return "\n".join([*lines, "}"])


def _literal(value: Any) -> str:
    """Write a text, a number or a tuple of them as a Python literal; texts cannot end their quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    if not isinstance(value, tuple):
        return repr(value)
    return _tuple([_literal(one) for one in value])


def _tuple(items: Iterable[str]) -> str:
    listed = list(items)
    line = f"({', '.join(listed)}{',' if len(listed) == 1 else ''})"
    if len(line) <= _WIDTH:
        return line
    return "\n".join(["(", *_filled(listed), ")"])


def _filled(items: Iterable[str]) -> Iterable[str]:
    """Yield lines with as many items as fit; a text is never broken."""
    line = "   "
    for item in items:
        if len(line) + len(item) > _WIDTH and line.strip():
            yield line
            line = "   "
        line += f" {item},"
    yield line

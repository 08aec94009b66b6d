"""The initial weights of a trial: random, or loaded from a trained network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from torch import nn

from searchsvc.checksums import sha256_of
from searchsvc.domain.trial_task import TrialTask, WeightsFile
from searchsvc.errors import InvalidInput
from searchsvc.spaces import recipe
from workers.models.detector import Detector
from workers.models.pretrained import Loaded, Shapes, load_weights, read_weights
from workers.trials.files import PRETRAINED, note

SHARE = "pretrained_share"
_LISTED = 5
"""Number of names of each kind that the log lists."""


class InitialWeights:
    """The origin of a trial's initial weights."""

    def __init__(self, loaded: Loaded | None) -> None:
        self.metrics: Mapping[str, float] = {} if loaded is None else {SHARE: loaded.share}
        """Share of the numbers in the network's weights that were loaded; a metric of every step."""
        self.files: Mapping[str, bytes] = {} if loaded is None else {PRETRAINED: _document(loaded)}
        """Contents by name: how each name of the file and of the network was used."""


def load_initial(network: nn.Module, task: TrialTask) -> InitialWeights:
    """Load the weights that the task starts from, and log how they were used.

    Raises InvalidInput if nothing fits, or the file differs from the chosen file.
    """
    if task.values.get(recipe.INIT, recipe.SCRATCH) == recipe.SCRATCH:
        return InitialWeights(None)
    if task.pretrained is None:
        raise InvalidInput.at(f"/{recipe.INIT}", "the trial was given no weights to start from")
    loaded = _loaded(network, task.pretrained)
    note(task, f"started from {task.pretrained.path}: {_summary(loaded)}")
    return InitialWeights(loaded)


def _loaded(network: nn.Module, file: WeightsFile) -> Loaded:
    path = Path(file.path)
    if not path.is_file():
        raise InvalidInput.at("/pretrained", f"the weights are not at {path} any more")
    if sha256_of(path) != file.sha256:
        raise InvalidInput.at("/pretrained", f"{path} is not the file any more that the job was submitted with")
    weights = read_weights(path)
    return network.load(weights) if isinstance(network, Detector) else load_weights(network, weights)


def _summary(loaded: Loaded) -> str:
    names = {
        "missed": loaded.missed,
        "unused": loaded.unused,
        "misshapen": _texts(loaded.misshapen),
        "adapted from other channels": _texts(loaded.adapted),
    }
    others = [f", {len(each)} {kind} ({_first(each)})" for kind, each in names.items() if each]
    return f"{loaded.share:.1%} of its numbers; of the names {len(loaded.matched)} matched{''.join(others)}"


def _texts(tensors: Sequence[Shapes]) -> list[str]:
    return [f"{name} {theirs} -> {ours}" for name, theirs, ours in tensors]


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:_LISTED], *(["..."] if len(names) > _LISTED else [])])


def _document(loaded: Loaded) -> bytes:
    shapes = {"misshapen": _rows(loaded.misshapen), "adapted": _rows(loaded.adapted)}
    return json.dumps({**asdict(loaded), **shapes}, indent=2).encode()


def _rows(tensors: Sequence[Shapes]) -> list[dict[str, object]]:
    return [{"name": name, "file": theirs, "network": ours} for name, theirs, ours in tensors]

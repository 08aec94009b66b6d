"""The first weights of a trial: those that its network was made with, or those of a trained network."""

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
_TOLD = 5
"""Names that the log has of each kind."""


class Start:
    """What a trial started from."""

    def __init__(self, loaded: Loaded | None) -> None:
        self.metrics: Mapping[str, float] = {} if loaded is None else {SHARE: loaded.share}
        """The share of the numbers in the network's weights that another network gave: measured at every step."""
        self.files: Mapping[str, bytes] = {} if loaded is None else {PRETRAINED: _document(loaded)}
        """By name: what became of each name in the file, and of each of the network."""


def started(network: nn.Module, task: TrialTask) -> Start:
    """Load what the task wants its network to start from, and say in the trial's log what became of it.

    Raises InvalidInput where nothing fits, or the file is not the one that was chosen.
    """
    if task.values.get(recipe.INIT, recipe.SCRATCH) == recipe.SCRATCH:
        return Start(None)
    if task.pretrained is None:
        raise InvalidInput.at(f"/{recipe.INIT}", "the trial was given no weights to start from")
    loaded = _loaded(network, task.pretrained)
    note(Path(task.directory), f"started from {task.pretrained.path}: {_summary(loaded)}")
    return Start(loaded)


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
    others = [f", {len(some)} {kind} ({_first(some)})" for kind, some in names.items() if some]
    return f"{loaded.share:.1%} of its numbers; of the names {len(loaded.matched)} matched{''.join(others)}"


def _texts(some: Sequence[Shapes]) -> list[str]:
    return [f"{name} {theirs} -> {ours}" for name, theirs, ours in some]


def _first(names: Sequence[str]) -> str:
    return ", ".join([*names[:_TOLD], *(["..."] if len(names) > _TOLD else [])])


def _document(loaded: Loaded) -> bytes:
    shapes = {"misshapen": _rows(loaded.misshapen), "adapted": _rows(loaded.adapted)}
    return json.dumps({**asdict(loaded), **shapes}, indent=2).encode()


def _rows(some: Sequence[Shapes]) -> list[dict[str, object]]:
    return [{"name": name, "file": theirs, "network": ours} for name, theirs, ours in some]

"""Lines that commands print for pasting, executed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from typer.testing import CliRunner

from api.cli.session import pasted
from api.cli.views.results import snippet
from searchsvc.domain import Measurement
from searchsvc.spaces.networks import complete
from tests.support.classifiers import made as classifier
from tests.support.detection import SIDE, a_task
from workers.data import detection as data
from workers.models.trained import ModelCard, serialise
from workers.training.detection.trainer import untrained

NAME = 'it\'s a "model" {0} \\n [x].safetensors'
SCENES = {"name": "digits-scenes", "size": 96, "train": 50, "validation": 20, "test": 20}


def write_classifier(path: Path, shape: tuple[int, int, int]) -> None:
    model = classifier({}, shape)
    path.write_bytes(serialise(model.network, model.card))


def write_detector(path: Path) -> None:
    values = {"class_loss": "focal", "boxes": "dirac", "backbone": "fbnetv3-small", "resolution": SIDE}
    task, dataset = a_task(SCENES, path.parent, values), data.load(SCENES)
    network = untrained(complete(task.values, "detection"), dataset, 3).eval()
    path.write_bytes(serialise(network, ModelCard.of(task, dataset, Measurement(1, {"ap": 0.5}, 1.0))))


@pytest.mark.parametrize(
    ("task", "shape"), [("classification", (1, 12, 12)), ("classification", (3, 12, 10)), ("detection", None)]
)
def test_the_python_printed_after_a_run_runs(
    task: str, shape: tuple[int, int, int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if shape is None:
        write_detector(tmp_path / NAME)
    else:
        write_classifier(tmp_path / NAME, shape)
    *lines, last = snippet(task, Path(NAME))
    names: dict[str, Any] = {}
    with torch.random.fork_rng():
        exec("\n".join(lines), names)
        assert len(eval(last, names)) == 1


def test_a_task_of_a_plug_in_gets_no_python() -> None:
    assert snippet("of a plug-in", Path(NAME)) == ()


@pytest.mark.parametrize("folder", ["/data/one", "/data/it's [b]two[/b] $HOME;"])
def test_a_pasted_command_repeats_the_options_before_the_command(folder: str) -> None:
    app = typer.Typer()

    @app.callback()
    def root(data_dir: str = "", url: str = "") -> None: ...

    @app.command()
    def inner() -> None:
        typer.echo(pasted("show", "a name"))

    printed = CliRunner().invoke(app, ["--data-dir", folder, "inner"]).stdout
    assert shlex.split(printed) == ["searchctl", "--data-dir", folder, "show", "a name"]
    assert CliRunner().invoke(app, ["inner"]).stdout == "searchctl show 'a name'\n"

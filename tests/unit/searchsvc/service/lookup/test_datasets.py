"""The paths of a dataset section: which options are paths, and which files may be read through a pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchsvc import tasks
from searchsvc.domain.spec import FileDataset, NamedDataset
from searchsvc.errors import InvalidInput
from searchsvc.service.lookup import datasets
from searchsvc.settings import Settings


def located(path: Path, root: Path, *, trusted: bool = False) -> str:
    section = FileDataset.model_validate({"format": "shards", "path": str(path)})
    settings = Settings(data_dir=root, data_roots=(root,))
    return str(datasets.located(None, section, trusted=trusted, settings=settings).model_dump()["path"])


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    for number in (0, 1):
        (root / f"shard-{number}.tar").touch()
    return root


@pytest.mark.parametrize(
    ("task", "section", "paths"),
    [
        ("classification", {"format": "npz", "path": "x"}, ("path", "reassessed")),
        ("classification", {"format": "images", "path": "x"}, ("path",)),
        ("classification", {"name": "digits"}, ("reassessed",)),
        ("detection", {"format": "coco", "path": "x"}, ("path",)),
        ("detection", {"name": "digits-scenes"}, ()),
    ],
)
def test_a_format_declares_its_paths(task: str, section: dict[str, str], paths: tuple[str, ...]) -> None:
    model = FileDataset if "format" in section else NamedDataset
    assert datasets.path_options(tasks.find(task), model.model_validate(section)) == paths


@pytest.mark.parametrize("trusted", [False, True])
def test_a_pattern_stays_one_in_a_located_folder(shards: Path, trusted: bool) -> None:
    (shards.parent / "link").symlink_to(shards)
    path = located(shards.parent / "link" / "shard-*.tar", shards, trusted=trusted)
    assert path == str(shards.resolve() / "shard-*.tar")


def test_a_pattern_that_fits_no_file_is_refused(shards: Path) -> None:
    with pytest.raises(InvalidInput, match="/path: there is no file or folder"):
        located(shards / "part-*.tar", shards)


def test_a_pattern_must_not_lead_out_of_the_data_roots(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (shards / "shard-2.tar").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="/path: must lie under one of the data roots"):
        located(shards / "shard-*.tar", shards)
    with pytest.raises(InvalidInput, match="/path: must lie under one of the data roots"):
        located(tmp_path / "secr*", shards)

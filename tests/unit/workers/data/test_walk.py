"""The files below a folder: what is found, passed over, followed and refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from searchsvc.errors import InvalidInput
from workers.data.walk import contents_of, files_below, is_passed_over


def planted(root: Path, *names: str) -> Path:
    """Create empty files below a folder."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def below(root: Path, within: list[str] | None = None) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_below(root, within)]


def test_images_are_sorted_by_the_parts_of_their_paths(tmp_path: Path) -> None:
    planted(tmp_path, "b/2.PNG", "a.b/1.jpg", "a/c/3.tiff", "a/b.webp", "z.gif")
    assert below(tmp_path) == ["a/b.webp", "a/c/3.tiff", "a.b/1.jpg", "b/2.PNG", "z.gif"]
    assert list(files_below(tmp_path)) == sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_hidden_and_system_entries_are_passed_over_and_named(tmp_path: Path) -> None:
    hidden = [
        "cat/.ipynb_checkpoints/0-checkpoint.png",
        ".DS_Store",
        "cat/._0.png",
        "cat/Thumbs.db",
        "__MACOSX/cat/0.png",
    ]
    planted(tmp_path, "cat/0.png", *hidden, "@eaDir/0.png", "$RECYCLE.BIN/0.png", "cat/desktop.ini")
    contents = contents_of(tmp_path)
    assert contents.names(contents.images) == ["cat/0.png"]
    assert contents.others == []
    assert len(contents.hidden) == 8
    (sentence,) = contents.notes
    assert sentence.startswith("8 hidden or system entries are passed over: $RECYCLE.BIN, .DS_Store, @eaDir,")


def test_what_is_not_an_image_is_named(tmp_path: Path) -> None:
    planted(tmp_path, "cat/0.png", "cat/notes.txt", "labels.csv", "cat/1.heic")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dead.png").symlink_to(tmp_path / "absent")
    (tmp_path / "self.png").symlink_to("self.png")
    assert contents_of(tmp_path).notes == (
        "1 image is of a format that is not read (save it as PNG): cat/1.heic",
        "2 files are not images and are not read: cat/notes.txt, labels.csv",
        "3 entries are dead links or no plain files: dead.png, pipe.png, self.png",
    )


def test_links_to_folders_and_files_are_followed(tmp_path: Path) -> None:
    planted(tmp_path / "pool", "x/0.png", "x/deep/1.png", "2.png")
    root = tmp_path / "data"
    root.mkdir()
    (root / "cat").symlink_to(tmp_path / "pool/x")
    (root / "dog").symlink_to("cat")
    (root / "2.png").symlink_to("../pool/2.png")
    assert below(root) == ["2.png", "cat/0.png", "cat/deep/1.png", "dog/0.png", "dog/deep/1.png"]


def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path: Path) -> None:
    planted(tmp_path, "cat/0.png")
    (tmp_path / "cat/up").symlink_to("..")
    (tmp_path / "cat/here").symlink_to(".")
    contents = contents_of(tmp_path)
    assert contents.names(contents.images) == ["cat/0.png"]
    assert contents.names(contents.loops) == ["cat/here", "cat/up"]


def test_a_maze_of_links_is_refused(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / "pool" / str(level)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "pool" / str(level) / name).symlink_to(f"../{level + 1}")
    with pytest.raises(InvalidInput, match="round and round"):
        contents_of(tmp_path / "pool" / "0")


def test_folders_are_not_left_by_links_beyond_the_roots(tmp_path: Path) -> None:
    planted(tmp_path / "private", "0.png")
    planted(tmp_path / "other", "1.png")
    root = planted(tmp_path / "data", "cat/0.png")
    roots = [str(root), str(tmp_path / "other")]
    (root / "dog").symlink_to(tmp_path / "other")
    assert below(root, roots) == ["cat/0.png", "dog/1.png"]
    (root / "out").symlink_to(tmp_path / "private")
    with pytest.raises(InvalidInput, match=r"data/out is not read: it leads out of .* and .*"):
        contents_of(root, roots)
    assert below(root) == ["cat/0.png", "dog/1.png", "out/0.png"]


def test_names_of_people_are_not_those_of_systems() -> None:
    assert not any(map(is_passed_over, ("train", "cat", "thumbs", "desktop", "0.png", "_cat", "~cat")))
    assert all(map(is_passed_over, (".x", "THUMBS.DB", "Lost+Found")))

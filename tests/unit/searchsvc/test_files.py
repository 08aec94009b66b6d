"""Files are opened only if they are plain and lie where they should."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from searchsvc.files import EntryKind, UnsafeFile, content_of, is_confined, list_confined, open_below, open_confined

SECRET = b"secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    folder = tmp_path / "root" / "job" / "trial"
    folder.mkdir(parents=True)
    (folder / "trial.log").write_bytes(b"epoch 1")
    return tmp_path / "root"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "link": lambda path, secret: path.symlink_to(secret),
    "relative link": lambda path, _: path.symlink_to("../../../secret"),
    "link to a file inside": lambda path, _: path.symlink_to("trial.log"),
    "link to the process": lambda path, _: path.symlink_to("/proc/self/environ"),
    "hard link": lambda path, secret: path.hardlink_to(secret),
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "socket": lambda path, _: _socket(path),
    "link to a device": lambda path, _: path.symlink_to("/dev/zero"),
}
"""Makes something at a path that is no plain file of its own."""


def test_a_plain_file_below_a_folder_is_opened(root: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").symlink_to(root)
    for folder in (root, tmp_path / "disk"):
        with open_below(folder, "job/trial/trial.log") as file:
            assert (file.read(), file.name) == (b"epoch 1", str(folder / "job/trial/trial.log"))


@pytest.mark.parametrize("kind", PLANTED)
def test_something_else_in_its_place_is_never_opened(
    root: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "job" / "trial")  # the path of a socket is limited to 107 bytes
    PLANTED[kind](Path("planted"), tmp_path / "secret")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UnsafeFile) as refused:
        open_below(root, "job/trial/planted")
    assert refused.value.strerror.startswith("it ")
    assert len(os.listdir("/proc/self/fd")) == before, "nothing stays open"


def test_a_device_is_refused() -> None:
    with pytest.raises(UnsafeFile, match="it is a device"):
        open_below(Path("/dev"), "null")


@pytest.mark.parametrize("folder", ["job", "job/trial"])
def test_a_link_among_the_folders_is_not_followed(root: Path, tmp_path: Path, folder: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (root / folder).rename(tmp_path / "elsewhere" / "moved")
    (root / folder).symlink_to(tmp_path / "elsewhere" / "moved")
    with pytest.raises(UnsafeFile, match="on its path is no folder, or a symbolic link"):
        open_below(root, "job/trial/trial.log")


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "job/../../secret", "", ".", "job/\0"])
def test_a_path_cannot_leave_the_folder_by_its_spelling(root: Path, path: str) -> None:
    with pytest.raises(UnsafeFile, match="not the path of a file below its folder"):
        open_below(root, path)


def test_a_missing_file_is_told_apart(root: Path) -> None:
    for path in ("job/trial/absent", "job/absent/trial.log"):
        with pytest.raises(FileNotFoundError):
            open_below(root, path)


def test_links_may_lead_to_any_of_the_roots_and_to_no_other_place(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "image.png").write_bytes(b"image")
    (root / "within").symlink_to("job/trial/trial.log")
    (root / "chain").symlink_to("within")
    (root / "over").symlink_to(other / "image.png")
    (root / "hard").hardlink_to(other / "image.png")  # common in datasets
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to("..")
    roots = (root, other)
    for name, content in (("chain", b"epoch 1"), ("over", b"image"), ("hard", b"image")):
        with open_confined(root / name, roots) as file:
            assert file.read() == content
        assert is_confined(root / name, roots)
    for path in ("out", "up/secret", "up/absent", "over/../../secret"):
        with pytest.raises(UnsafeFile, match=f"it leads out of {root} and {other}"):
            open_confined(root / path, roots)
        assert not is_confined(root / path, roots)
    with open_confined(root / "out", None) as file:
        assert file.read() == SECRET, "a trusted user's link may lead anywhere"


def test_a_root_whose_name_only_begins_like_it_is_another(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data-private").mkdir()
    (tmp_path / "data-private" / "x").touch()
    with pytest.raises(UnsafeFile):
        open_confined(tmp_path / "data-private" / "x", (tmp_path / "data",))


@pytest.mark.parametrize("roots", [None, "root"])
def test_a_pipe_is_refused_without_waiting_for_a_writer(root: Path, roots: str | None) -> None:
    os.mkfifo(root / "pipe")
    with pytest.raises(UnsafeFile, match="it is a pipe"):
        open_confined(root / "pipe", None if roots is None else (root,))


@pytest.mark.parametrize("confined", [False, True])
def test_a_folder_is_listed_with_the_kinds_that_links_lead_to(root: Path, tmp_path: Path, *, confined: bool) -> None:
    folder = root / "listed"
    folder.mkdir()
    (folder / "b").mkdir()
    (folder / "a").touch()
    (folder / "file").symlink_to("a")
    (folder / "folder").symlink_to("b")
    (folder / "dead").symlink_to("absent")
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")
    roots = (root,) if confined else None
    kinds = {entry.name: entry.kind.value for entry in list_confined(folder, roots)}
    assert list(kinds) == sorted(kinds)
    assert {name for name, kind in kinds.items() if kind == EntryKind.FILE.value} == {"a", "file"}
    assert {name for name, kind in kinds.items() if kind == EntryKind.FOLDER.value} == {"b", "folder"}
    assert {name for name, kind in kinds.items() if kind == EntryKind.OTHER.value} == {"dead", "loop", "pipe"}
    assert list_confined(root, roots), "the root itself"
    (root / "out").symlink_to(tmp_path)
    if confined:
        with pytest.raises(UnsafeFile, match="put a copy of the folder there"):
            list_confined(root / "out", roots)


def test_the_content_of_a_file_is_limited(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        assert content_of(file, 3) == b"abc"
    with path.open("rb") as file:
        assert content_of(file, 2) is None

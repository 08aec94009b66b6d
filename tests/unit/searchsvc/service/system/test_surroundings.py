"""Checks of the machine around a service."""

from __future__ import annotations

import resource
import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from searchsvc.service.system import surroundings
from searchsvc.settings import Settings, sqlite_url

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw,vers=4.2
31 30 8:2 / /home/me/local\040disk rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt rw - fuse.sshfs me@host: rw
33 22 0:42 / /twice rw - nfs server:/a rw
34 33 0:43 / /twice rw - btrfs /dev/sdc rw
35 22 0:44 / /memory rw - tmpfs tmpfs rw
"""
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS.lstrip())
    return path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/me/local disk/data", "xfs"),
        ("/homes", "ext4"),
        ("/mnt/data", "fuse.sshfs"),
        ("/twice/data", "btrfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_the_nearest_mount(mounts: Path, path: str, kind: str) -> None:
    assert surroundings.file_system_of(Path(path), mounts) == kind


def test_without_a_list_of_mounts_the_file_system_is_unknown(tmp_path: Path) -> None:
    assert surroundings.file_system_of(tmp_path, tmp_path / "none") is None


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        *(
            (kind, "warning")
            for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "fuse.s3fs", "lustre", "ceph")
        ),
        *((kind, "warning") for kind in ("tmpfs", "ramfs", "virtiofs", "vboxsf")),
        *((kind, "ok") for kind in ("ext4", "xfs", "btrfs", "zfs", "overlay", "apfs", "fuse.fuse-overlayfs")),
    ],
)
def test_a_database_of_sqlite_belongs_on_a_local_disk(
    settings: Settings, kind: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "file_system_of", lambda _: kind)
    check = surroundings.check_file_system(settings)
    assert (check.state, kind in check.found) == (state, True)


def test_what_counts_is_the_folder_of_the_database(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "local"
    elsewhere.mkdir()
    monkeypatch.setattr(surroundings, "file_system_of", lambda path: "ext4" if path == elsewhere else "nfs")
    assert surroundings.check_file_system(settings).state == "warning"
    local = replace(settings, database_url=sqlite_url(elsewhere / "a%41.db"))
    assert surroundings.check_file_system(local).state == "ok"
    postgres = replace(settings, database_url="postgresql://db/x")
    assert surroundings.check_file_system(postgres).state == "ok"


@pytest.mark.parametrize(
    ("free", "address", "state"), [(49, None, "warning"), (50, None, "ok"), (49, "head:6379", "ok")]
)
def test_a_disk_that_ray_refuses_is_named(
    settings: Settings, free: int, address: str | None, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1000, 1000 - free, free))
    check = surroundings.check_ray_disk(replace(settings, ray_address=address))
    assert check.state == state


@pytest.mark.parametrize(("limit", "state"), [(256, "warning"), (1024, "ok"), (resource.RLIM_INFINITY, "ok")])
def test_few_open_files_are_named(settings: Settings, limit: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    assert surroundings.check_open_files(settings).state == state


def test_the_shared_memory_of_a_container_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(64 * 2**20, 0, 64 * 2**20))
    assert "shm-size" in str(surroundings.check_shared_memory(settings))


def test_limits_below_those_of_the_host_are_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings.machine, "host_memory_bytes", lambda: 64 * 2**30)
    monkeypatch.setattr(surroundings.machine, "memory_bytes", lambda: 2**30)
    monkeypatch.setattr(surroundings.machine, "cpus", lambda: 1)
    monkeypatch.setattr(surroundings.os, "cpu_count", lambda: 16)
    check = surroundings.check_resources(settings)
    assert check.found == "1 CPUs, 1.0 GiB of memory, limited: the host has 16 CPUs and 64.0 GiB"
    assert check.state == "warning"


def test_the_use_of_proxies_is_told_without_passwords(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert surroundings.check_proxy(settings).found == "none"
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret@proxy:3128")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.setenv("SEARCHSVC_TOKEN", "")
    found = surroundings.check_proxy(replace(settings, url="http://192.0.2.1:8700")).found
    assert found == (
        "searchctl reaches http:// through http://proxy:3128; searchctl reaches https:// through no proxy; "
        "this machine and Ray go without a proxy, as do example.org (NO_PROXY); "
        "http://192.0.2.1:8700 takes http://proxy:3128"
    )


def test_what_is_wrong_is_told_at_the_start_in_a_sentence_each(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "file_system_of", lambda _: "nfs4")
    monkeypatch.setattr(surroundings, "CHECKS", (surroundings.check_file_system, surroundings.check_proxy))
    [warning] = surroundings.warnings(settings)
    assert warning.startswith("file system: ")
    assert "SEARCHSVC_DATABASE_URL" in warning

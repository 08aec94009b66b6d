"""The local Ray head: a single head per data folder, on the loopback interface, without secrets or traces."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from searchsvc.errors import RuntimeUnavailable
from searchsvc.settings import Settings
from tests.support.system import wait_for
from workers import cluster


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    settings = Settings(data_dir=tmp_path / "data").prepare()
    yield settings
    cluster.stop(settings)


def test_two_drivers_that_start_together_share_one_head(settings: Settings) -> None:
    with ThreadPoolExecutor(2) as pool:
        addresses = list(pool.map(lambda _: cluster.ensure(settings, cpus=1), range(2)))
    assert addresses[0] == addresses[1]
    assert addresses[0].startswith("127.0.0.1:")


def test_the_head_listens_on_the_loopback_interface_only_and_asks_for_a_token(settings: Settings) -> None:
    cluster.ensure(settings, cpus=1)
    processes = cluster.processes(settings)
    listening = [
        one.laddr.ip for process in processes for one in process.net_connections("tcp") if one.status == "LISTEN"
    ]
    assert {address.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    token = settings.data_dir / "ray" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    servers = [one for one in processes if one.name() in ("gcs_server", "raylet")]
    assert [one.environ()["RAY_AUTH_MODE"] for one in servers] == ["token", "token"]


def test_no_process_of_the_head_knows_the_database(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHSVC_DATABASE_URL", "postgresql://someone:secret@db/searchsvc")
    monkeypatch.setenv("PGPASSWORD", "secret")
    cluster.ensure(settings, cpus=1)
    for process in cluster.processes(settings):
        assert not {"SEARCHSVC_DATABASE_URL", "PGPASSWORD"} & process.environ().keys()


def test_stop_ends_every_process_of_the_head_and_leaves_no_files(settings: Settings) -> None:
    cluster.ensure(settings, cpus=1)
    pids = [process.pid for process in cluster.processes(settings)]
    assert len(pids) >= 3
    assert cluster.stop(settings)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert cluster.running(settings) is None
    assert not cluster.stop(settings)


def test_stop_ends_only_processes_that_the_head_started(settings: Settings, tmp_path: Path) -> None:
    """Not those of others that mention its files, nor those that have the pid of a head of the past."""
    cluster.ensure(settings, cpus=1)
    folder = (settings.data_dir / "ray" / "temporary").read_text()
    log = Path(folder, "r", "start.log")
    others = [
        subprocess.Popen(["bash", "-c", f"tail -f {log} & wait"], start_new_session=True),
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", f"--temp-dir={folder}/r"]),
        subprocess.Popen(["sleep", "600"], env={**os.environ, "RAY_HEAD_OF_OURS": str(tmp_path / "another folder")}),
    ]
    watching = [psutil.Process(other.pid) for other in others]
    wait_for(lambda: watching[0].children(), seconds=60, message="the tail does not start")
    watching += watching[0].children()
    try:
        assert cluster.stop(settings)
        assert all(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in watching)
        assert not Path(folder).exists()
        head = settings.data_dir / "ray" / "head.json"
        head.write_text(f'{{"address": "127.0.0.1:1", "pid": {others[2].pid}, "started": 1.0}}')
        assert not cluster.stop(settings)
        assert watching[2].is_running()
    finally:
        for process in reversed(watching):
            process.kill()
        for other in others:
            other.wait()


def test_workers_whose_head_has_died_are_ended(settings: Settings) -> None:
    cluster.ensure(settings, cpus=1)
    head = cluster.running(settings)
    assert head is not None
    processes = cluster.processes(settings)
    (settings.data_dir / "ray" / "head.json").unlink()  # nothing but their environment shows that they are ours
    psutil.Process(head.pid).kill()
    cluster.stop(settings)
    gone, alive = psutil.wait_procs(processes, timeout=60)
    assert alive == []
    assert len(gone) == len(processes)


def test_a_folder_of_files_that_cannot_be_made_is_said(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.mkdtemp", Mock(side_effect=PermissionError(13, "Permission denied")))
    with pytest.raises(RuntimeUnavailable, match=r"needs a folder in .*: Permission denied"):
        cluster.ensure(settings, cpus=1)


@pytest.mark.parametrize("planted", ["a link", "a folder of another name"])
def test_only_folders_that_the_head_made_are_removed(settings: Settings, tmp_path: Path, planted: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    link = tmp_path / "searchsvc-link"
    link.symlink_to(precious)
    note = settings.data_dir / "ray" / "temporary"
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(str(link if planted == "a link" else precious))
    cluster.stop(settings)
    assert precious.is_dir()
    assert not note.exists()


def test_a_head_that_was_killed_is_replaced(settings: Settings) -> None:
    cluster.ensure(settings, cpus=1)
    first = cluster.running(settings)
    processes = cluster.processes(settings)
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
    assert cluster.running(settings) is None
    address = cluster.ensure(settings, cpus=1)
    second = cluster.running(settings)
    assert first is not None
    assert second is not None
    assert second.address == address
    assert second.pid != first.pid


def test_a_configured_address_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.7:6379")
    settings = Settings(data_dir=tmp_path)
    assert cluster.ensure(settings) == "10.0.0.7:6379"
    assert cluster.client_environment(settings) == {}


def test_a_head_that_does_not_start_says_why(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "OBJECT_STORE_BYTES", 1)
    with pytest.raises(RuntimeUnavailable, match="object store"):
        cluster.ensure(settings, cpus=1)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_stop_ends_a_head_whose_driver_was_killed_while_it_started(settings: Settings, count: int) -> None:
    """The head has `count` processes by then."""
    starting = subprocess.Popen([sys.executable, "-m", "workers.cluster", "start"], env=settings.environment())
    begun = lambda: len(cluster.processes(settings)) >= count or starting.poll() is not None  # noqa: E731
    wait_for(begun, seconds=120, message="the head does not start")
    starting.kill()
    starting.wait()
    cluster.stop(settings)
    wait_for(lambda: not cluster.processes(settings), seconds=60, message="processes of the head are left")
    assert cluster.running(settings) is None

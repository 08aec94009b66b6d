"""The local Ray head: a single head per data folder, on the loopback interface, without secrets or traces."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

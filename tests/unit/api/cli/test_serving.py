"""searchctl serve as its own process, and searchctl as its client."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from api.cli.server import Server
from searchsvc.controller.controller import Controller
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.unit.api.cli.conftest import Searchctl

SEARCHCTL = str(Path(sys.executable).with_name("searchctl"))


@pytest.fixture
def service(home: Path) -> Iterator[str]:
    """The address of a service on the data folder, without a controller."""
    process = subprocess.Popen(
        [SEARCHCTL, "serve", "--no-controller", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield _address_of(process, home)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
        assert not (home / "address").exists()
    finally:
        process.kill()
        process.communicate()


def _address_of(process: subprocess.Popen[str], home: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if (home / "address").exists():
            address = (home / "address").read_text().strip()
            try:
                httpx.get(f"{address}/healthz").raise_for_status()
            except httpx.TransportError:
                pass
            else:
                return address
        time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=5)[0])


def test_searchctl_finds_the_service_and_its_token(service: str, searchctl: Searchctl, home: Path, spec: str) -> None:
    answer = searchctl("submit", spec)
    assert answer.code == 0
    assert answer.err == ""  # a service runs, so nothing is said of starting one
    token = (home / "token").read_text().strip()
    assert (home / "token").stat().st_mode & 0o777 == 0o600
    listed = httpx.get(f"{service}/api/v1/jobs", headers={"Authorization": f"Bearer {token}"}).json()
    assert [job["name"] for job in listed["items"]] == ["tiny"]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_only_a_terminal_shows_a_sign_in_link(home: Path, is_terminal: bool) -> None:
    reading, writing = os.openpty() if is_terminal else os.pipe()
    with open(reading, encoding="utf-8") as printed:
        process = subprocess.Popen([SEARCHCTL, "serve", "--no-controller", "--port", "0"], stdout=writing)
        os.close(writing)
        try:
            lines = []
            while not lines or "Ctrl-C ends it" not in lines[-1]:
                lines.append(printed.readline())
        finally:
            process.kill()
            process.wait()
    [page] = [line for line in lines if "web page" in line]
    assert ("/ui/open/" in "".join(lines)) is is_terminal
    assert is_terminal or f"sign in with the token in {home / 'token'}" in page
    assert is_terminal or "searchctl token create" in page


def test_a_token_that_is_not_known_is_code_5(
    service: str, searchctl: Searchctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHSVC_TOKEN", "ssvc_wrong")
    answer = searchctl("list")
    assert answer.code == 5
    assert "token" in answer.err


def test_a_token_of_scope_read_may_not_submit(
    service: str, searchctl: Searchctl, spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHSVC_TOKEN", searchctl("token", "create", "reader", "--json").document["secret"])
    assert searchctl("list").code == 0
    assert searchctl("submit", spec).code == 5


def test_events_are_pushed_to_a_watcher(service: str, searchctl: Searchctl, spec: str, store: Store) -> None:
    job_id = searchctl("submit", spec, "--json").document["id"]
    watcher = subprocess.Popen([SEARCHCTL, "watch", job_id], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    try:
        assert job_id in watcher.stdout.readline()
        store.pause_job(job_id)
        assert "job paused" in watcher.stdout.readline()
        store.cancel_job(job_id)
        assert "job cancelled" in watcher.stdout.readline()
        assert watcher.wait(timeout=60) == 1
    finally:
        watcher.kill()
        watcher.communicate()


def test_interrupting_a_watcher_leaves_the_job_alone(
    service: str, searchctl: Searchctl, spec: str, store: Store
) -> None:
    job_id = searchctl("submit", spec, "--json").document["id"]
    watcher = subprocess.Popen([SEARCHCTL, "watch", job_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, errors = watcher.communicate(timeout=60)
    assert watcher.returncode == 130
    assert "Traceback" not in errors
    assert store.job(job_id).state == "QUEUED"


def test_nothing_at_the_address_is_code_6(searchctl: Searchctl) -> None:
    answer = searchctl("--url", "http://127.0.0.1:9", "list")
    assert answer.code == 6
    assert "127.0.0.1:9" in answer.err


def test_a_stale_address_falls_back_to_the_store(searchctl: Searchctl, home: Path) -> None:
    (home / "address").write_text("http://127.0.0.1:9\n")
    assert searchctl("list", "--json").document == []


def test_a_second_service_of_the_folder_is_refused_and_the_first_stays_found(
    service: str, searchctl: Searchctl, home: Path
) -> None:
    second = subprocess.run([SEARCHCTL, "serve", "--port", "0"], capture_output=True, text=True, timeout=60)
    assert second.returncode == 4
    assert service in second.stderr
    assert (home / "address").read_text() == f"{service}\n"
    assert searchctl("list", "--json").document == []


@pytest.mark.usefixtures("home")
def test_a_taken_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        command = [SEARCHCTL, "serve", "--no-controller", "--port", str(other.getsockname()[1])]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 6
    assert "--port 0" in answer.stderr


def test_a_service_whose_controller_dies_ends_with_an_error(home: Path) -> None:
    """So that a supervisor starts it again."""
    code = """
import sys
from searchsvc.controller.controller import Controller
def die(self, job_id=None):
    raise SystemExit("an error that no controller survives")
Controller.turn = die
from api.cli.main import main
sys.argv = ["searchctl", "serve", "--port", "0"]
sys.exit(main())
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 6, ended.stderr
    assert "the controller died" in ended.stderr
    assert not (home / "address").exists()


@pytest.mark.parametrize(("number", "leaves_drivers"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_drivers_outlive_a_restart_and_end_with_ctrl_c(home: Path, number: int, leaves_drivers: bool) -> None:
    settings = Settings(data_dir=home, database_url=f"sqlite:///{home / 'other.db'}").prepare()
    store = Store.create(settings.database_url)
    controller = Controller(Service(store, settings))
    server = Server(uvicorn.Config(lambda *_: None), controller)
    server.handle_exit(number, None)
    assert server.should_exit
    assert controller.leave_drivers is leaves_drivers
    store.close()

"""searchctl run, with a real driver, a local Ray and real training."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.cli.commands import run
from api.cli.server import page
from api.cli.unfinished import job_for
from searchsvc.domain import JobSpec, TrialState
from searchsvc.errors import RuntimeUnavailable
from searchsvc.service.documents.documents import load_document
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.unit.api.cli.conftest import SPEC

SEARCHCTL = str(Path(sys.executable).with_name("searchctl"))


@pytest.fixture
def ray_ended(home: Path) -> Iterator[None]:
    yield
    subprocess.run([sys.executable, "-m", "workers.cluster", "stop"], check=True, capture_output=True, timeout=60)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_ended")
def test_a_run_ends_with_a_model_and_the_next_one_starts_anew(
    spec: str, home: Path, service: Service, document: dict[str, Any]
) -> None:
    first = subprocess.run([SEARCHCTL, "run", spec, "--json"], capture_output=True, text=True, timeout=240)
    assert first.returncode == 0, first.stderr
    result = json.loads(first.stdout)
    assert result["job"]["trials"]["SUCCEEDED"] == 2
    assert result["winner"]["test_metrics"]
    assert Path(result["model"]) == home.parent / "tiny.safetensors"
    assert Path(result["model"]).stat().st_size > 1000
    assert service.jobs.get(result["job"]["id"]).spec == JobSpec.parse(document)
    assert job_for(service, document, new=False)[0].id != result["job"]["id"]


@pytest.mark.slow
@pytest.mark.usefixtures("ray_ended")
def test_a_run_that_is_interrupted_drains_and_goes_on_with_the_same_command(spec: str, store: Store) -> None:
    command = [SEARCHCTL, "run", spec, "--set", "budget.trials=4", "--set", "resources.concurrency=1", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for_a_result(store, process)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, errors
    drained = json.loads(out)["job"]
    assert drained["state"] == "SUCCEEDED"
    assert not drained["trials"].get("RUNNING")
    again = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert again.returncode == 0, again.stderr
    finished = json.loads(again.stdout)["job"]
    assert finished["id"] == drained["id"]
    assert finished["trials"]["SUCCEEDED"] == 4


def _wait_for_a_result(store: Store, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        jobs = store.jobs(state=None, name=None, after=None, limit=1)
        if jobs and store.trial_counts(jobs[0].id).get(TrialState.SUCCEEDED):
            return
        time.sleep(0.1)
    raise AssertionError("no result came")


# ---- which job a run goes on with ----------------------------------------------------------------------------------


def test_a_page_is_served_while_a_command_runs_and_no_longer(service: Service) -> None:
    with page(service, "/ui/jobs/one", any_port=True, signs_in=True) as link:
        answer = httpx.get(link, timeout=60)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/jobs/one")
    with pytest.raises(httpx.ConnectError):
        httpx.get(link)


def test_a_page_takes_a_free_port_unless_one_is_asked_for(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service.settings = replace(service.settings, port=taken.getsockname()[1])
        occupied = page(service, "/ui/", any_port=False, signs_in=True)
        with pytest.raises(RuntimeUnavailable, match="cannot listen"), occupied:
            pass


@pytest.mark.parametrize("is_terminal", [False, True])
def test_a_sign_in_link_is_made_for_a_terminal_only(
    service: Service,
    document: dict[str, Any],
    is_terminal: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @contextmanager
    def served(_service: Service, onward: str, *, any_port: bool, signs_in: bool) -> Iterator[str]:
        yield f"http://here{onward} signs in: {signs_in}"

    monkeypatch.setattr("api.cli.server.page", served)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal)
    with run._page(service, service.jobs.submit(document)[0], any_port=True):
        printed = capsys.readouterr().out
    assert f"signs in: {is_terminal}" in printed
    assert (f"sign in with the token in {service.settings.token_path}" in printed) is not is_terminal


@pytest.fixture
def service(store: Store, home: Path) -> Service:
    return Service(store, Settings(data_dir=home))


@pytest.fixture
def document() -> dict[str, Any]:
    spec: dict[str, Any] = load_document(SPEC)
    return spec


def test_an_unfinished_job_with_the_same_spec_is_taken_up(service: Service, document: dict[str, Any]) -> None:
    first, said = job_for(service, document, new=False)
    assert said is None
    again, said = job_for(service, document, new=False)
    assert again.id == first.id
    assert said
    assert first.id in said


@pytest.mark.parametrize("verb", ["pause", "stop", "cancel"])
def test_a_job_that_was_ended_by_hand_goes_on(service: Service, document: dict[str, Any], verb: str) -> None:
    first, _ = job_for(service, document, new=False)
    getattr(service.jobs, verb)(first.id)
    again, _ = job_for(service, document, new=False)
    assert (again.id, again.state) == (first.id, "QUEUED")


def test_another_spec_or_new_starts_another_job(service: Service, document: dict[str, Any]) -> None:
    first, _ = job_for(service, document, new=False)
    other, _ = job_for(service, {**document, "seed": 1}, new=False)
    anew, _ = job_for(service, document, new=True)
    assert len({first.id, other.id, anew.id}) == 3

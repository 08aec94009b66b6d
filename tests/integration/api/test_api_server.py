"""The app behind a real server: events pushed over sockets, with a controller in the same process."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.rest.app import create_app
from searchsvc.controller.controller import PATIENCE_SECONDS, Controller
from searchsvc.controller.health import ControllerHealth
from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope


class Serving:
    """A server in a thread."""

    def __init__(self, app: FastAPI) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()
        wait_for(lambda: self._server.started)
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def end(self) -> bool:
        """Return whether the server ended in time."""
        self._server.should_exit = True
        self._thread.join(20)
        self._listener.close()
        return not self._thread.is_alive()


@pytest.fixture
def server(app: FastAPI) -> Iterator[Serving]:
    serving = Serving(app)
    yield serving
    assert serving.end()


@pytest.fixture
def address(server: Serving) -> str:
    return server.address


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.01)


def test_an_event_is_pushed_to_a_listener_and_a_listener_that_leaves_is_forgotten(
    app: FastAPI, address: str, service: Service, job: Job
) -> None:
    secret = service.access.create("listener", scope=Scope.READ)[1]
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
    with (
        httpx.Client(base_url=address, headers=headers, timeout=60) as http,
        http.stream("GET", f"/api/v1/jobs/{job.id}/events", params={"after": "latest"}) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines).startswith("retry: ")
        wait_for(lambda: len(app.state.feed.subscribers) == 1)
        service.jobs.pause(job.id)
        data = next(line for line in lines if line.startswith("data: "))
        assert "job.paused" in data  # without another request
    service.jobs.resume(job.id)
    wait_for(lambda: not app.state.feed.subscribers)


def test_the_server_ends_although_somebody_listens(server: Serving, service: Service, job: Job) -> None:
    secret = service.access.create("listener", scope=Scope.READ)[1]
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/event-stream"}
    with (
        httpx.Client(base_url=server.address, headers=headers, timeout=60) as http,
        http.stream("GET", f"/api/v1/jobs/{job.id}/events") as answer,
    ):
        assert answer.status_code == 200
        assert server.end()


def test_a_body_that_breaks_off_is_no_failure(
    server: Serving, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    secret = service.access.create("s", scope=Scope.SUBMIT)[1]
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode())
        wait_for(lambda: server.connections == 1)
    wait_for(lambda: server.connections == 0)
    assert server.end()
    assert not caplog.records
    assert service.jobs.page().items == ()


def test_a_large_body_without_a_length_is_cut_off_by_the_server(address: str, service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.access.create('s', scope=Scope.SUBMIT)[1]}"}

    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b" " * 65_536

    with httpx.Client(base_url=address, headers=headers, timeout=60) as http:
        try:
            answer = http.post("/api/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
            assert answer.status_code == 413
        except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
            pass  # the server hung up while we were still sending
    assert service.jobs.page().items == ()


def test_a_controller_runs_as_long_as_the_app_does(service: Service) -> None:
    controller = Controller(service, "test")
    running = threading.Event()
    ended = threading.Event()
    run = controller.run

    def noted(stop: threading.Event) -> None:
        running.set()
        run(stop)
        ended.set()

    controller.run = noted  # type: ignore[method-assign,assignment] # to see it start and end
    app = create_app(service, settings=service.settings, controller=controller)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert running.wait(5)
        assert client.get("/healthz").status_code == 200
        assert not ended.is_set()
    assert ended.is_set()


def test_the_service_is_not_ready_if_its_controller_has_died_or_makes_no_progress(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    controller = Controller(service, "test")
    monkeypatch.setattr(controller, "run", lambda stop: stop.wait(60))
    app = create_app(service, settings=service.settings, controller=controller)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").status_code == 200
        limit = service.settings.database_wait_seconds + PATIENCE_SECONDS
        monkeypatch.setattr(ControllerHealth, "seconds_since_turn", limit + 1.0)
        stuck = client.get("/readyz")
        assert (stuck.status_code, "has not completed a turn" in stuck.json()["detail"]) == (503, True)
        monkeypatch.undo()
        controller.has_died = True
        dead = client.get("/readyz")
        assert (dead.status_code, dead.json()["detail"]) == (503, "the controller has died")
        assert client.get("/healthz").status_code == 200


def test_metrics_and_the_cluster_show_the_controllers(service: Service) -> None:
    controller = Controller(service, "test")
    controller.attempt_turn()
    controller.health.errors = 3
    controller._report()
    app = create_app(service, settings=service.settings, controller=controller)
    headers = {"Authorization": f"Bearer {service.access.create('r', scope=Scope.READ)[1]}"}
    client = TestClient(app, base_url="http://127.0.0.1", headers=headers)
    text = client.get("/metrics").text
    assert "searchsvc_controllers 1.0" in text
    assert "searchsvc_controller_errors 3.0" in text
    assert "searchsvc_controller_turns 1.0" in text
    assert "searchsvc_controller_seconds_since_turn " in text
    [shown] = client.get("/api/v1/cluster").json()["controllers"]
    assert (shown["holder"], shown["errors"], shown["turns"], shown["is_alive"]) == ("test", 3, 1, True)
    controller._launcher.close()

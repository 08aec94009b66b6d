"""The memory of the service before and after requests that need torch, Optuna or ONNX.

The work is done in child processes, which end after a while without a call. The reference is the memory that the
same requests take in a service which does the work itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml
from fastapi.testclient import TestClient

from api.cli.client import Client, path_of
from api.cli.session import connect
from api.rest.app import create_app
from benchmarks.report import Row
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.system import SEARCHCTL, System, wait_for

JOB = {"budget": {"trials": 2}, "fidelity": {"epochs": 1}, "stopping": {"name": "none"}}
PLANNED = {"algorithm": {"name": "fbnetv3"}, "space": {"name": "fbnetv3-small"}, "constraints": []}
MOST_GROWTH = 60.0
MB = 1e6


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder, "data")
        _train(home)
        alone = _alone(home)
        system = System(home, f"sqlite:///{home}/searchsvc.db")
        try:
            system.start_api()
            with connect(system.settings) as client:
                return _measured(system, client, alone)
        finally:
            system.stop()


def _requests(get: Callable[..., object], plan: Callable[[], object]) -> dict[str, Callable[[], object]]:
    return {
        "export?format=script": lambda: get("script"),
        "export?format=onnx": lambda: get("onnx"),
        "validate_only of fbnetv3": plan,
    }


def _measured(system: System, client: Client, alone: dict[str, float]) -> list[Row]:
    """Send the requests one after the other, and measure the service after each and after the end of its children."""
    process = psutil.Process(system.pid("api"))
    target = system.settings.data_dir / "exported"
    requests = _requests(
        lambda name: client.download(path_of("digits", "export"), target, format=name),
        lambda: client.post("/jobs", _spec() | PLANNED, validate_only="true"),
    )
    client.get("/jobs")
    before = process.memory_info().rss / MB
    rows = [Row("at the start", f"{before:.0f} MB", f"{alone['at the start']:.0f} MB")]
    for name, request in requests.items():
        request()
        now = process.memory_info().rss / MB
        reference, bound = f"{alone[name]:.0f} MB  without children", f"<= +{MOST_GROWTH:.0f} MB"
        holds = now <= before + MOST_GROWTH
        rows.append(Row(f"after {name}", f"{now:.0f} MB", reference, now / alone[name], bound, holds))
    most = sum(child.memory_info().rss for child in process.children()) / MB
    wait_for(lambda: not process.children() or None, seconds=120, message="the children do not end")
    now = process.memory_info().rss / MB
    rows.append(Row("when the children have ended", f"{now:.0f} MB", f"{now + most:.0f} MB  with its children before"))
    return rows


def _alone(home: Path) -> dict[str, float]:
    """Return the memory of a process that serves the same requests itself, in MB."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.service_memory", str(home)], check=True, capture_output=True, text=True
    )
    memory: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return memory


def _serve_alone(home: Path) -> None:
    settings = Settings(data_dir=home, database_url=f"sqlite:///{home}/searchsvc.db")
    service = Service(Store.open(settings.database_url), settings)
    with TestClient(create_app(service, settings=settings), base_url="http://127.0.0.1") as client:
        client.headers["Authorization"] = f"Bearer {service.access.local_token()}"
        requests = _requests(
            lambda name: client.get("/api/v1/jobs/digits/export", params={"format": name}).raise_for_status(),
            lambda: client.post("/api/v1/jobs?validate_only=true", json=_spec() | PLANNED).raise_for_status(),
        )
        memory = {"at the start": psutil.Process().memory_info().rss / MB}
        for name, request in requests.items():
            request()
            memory[name] = psutil.Process().memory_info().rss / MB
    print(json.dumps(memory))


def _train(home: Path) -> None:
    """Train two trials, so that there are networks to export."""
    spec = home.parent / "spec.yaml"
    spec.write_text(yaml.safe_dump(_spec() | JOB), encoding="utf-8")
    model = str(home.parent / "model.safetensors")
    command = [SEARCHCTL, "--data-dir", str(home), "run", str(spec), "--json", "-o", model]
    subprocess.run(command, check=True, capture_output=True)


def _spec() -> dict[str, object]:
    path = Path(__file__).parents[1] / "examples" / "digits.yaml"
    document: dict[str, object] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    _serve_alone(Path(sys.argv[1]))

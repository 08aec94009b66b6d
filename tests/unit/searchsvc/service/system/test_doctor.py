"""The doctor finds missing parts and gives advice on how to fix them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from searchsvc.domain import ControllerReport
from searchsvc.service.service import Service
from searchsvc.service.system.doctor import examine
from searchsvc.service.system.health import HealthCheck
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import Clock


def _checks(settings: Settings) -> dict[str, HealthCheck]:
    return {check.name: check for check in examine(settings).checks}


def test_a_sound_installation_is_ok(service: Service) -> None:
    service.access.local_token()
    health = service.system.doctor()
    assert health.ok
    assert all((check.mend is None) == (check.state == "ok") for check in health.checks)
    assert {check.name: check.found for check in health.checks}["tasks"] == "classification, detection"


def test_a_database_without_schema_is_mended_by_an_upgrade(settings: Settings, tmp_path: Path) -> None:
    check = _checks(replace(settings, database_url=f"sqlite:///{tmp_path}/empty.db"))["database"]
    assert (check.state, check.mend) == ("failed", "run `searchctl db upgrade`")


def test_a_database_that_is_not_there_is_found_in_seconds(settings: Settings) -> None:
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    check = _checks(replace(settings, database_url=url))["database"]
    assert check.state == "failed"
    assert "secret" not in check.found


def test_a_controller_that_is_silent_or_fails_is_found(service: Service) -> None:
    assert _checks(service.settings)["controllers"].state == "ok"
    report = ControllerReport("a:1", "node-1", 7, 5.0, 0.0, turns=3, errors=0, last_error=None, drivers=2)
    service.store.report_controller(report)
    assert _checks(service.settings)["controllers"].found == "1 alive"
    service.store.report_controller(replace(report, errors=2, last_error="the claims failed: SQLSTATE 25006"))
    failing = _checks(service.settings)["controllers"]
    assert (failing.state, "2 errors, the last: the claims failed: SQLSTATE 25006" in failing.found) == (
        "warning",
        True,
    )
    earlier = Store.open(service.settings.database_url, clock=Clock(service.store.now() - 600.0))
    earlier.report_controller(report)
    earlier.close()
    silent = _checks(service.settings)["controllers"]
    assert (silent.state, silent.found) == ("warning", "no report for a minute: node-1, process 7")
    assert "searchctl serve" in (silent.mend or "")


def test_a_clock_that_differs_from_the_database_s_is_found(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "now", lambda _: time.time() + 60.0)
    check = _checks(service.settings)["database"]
    assert (check.state, check.found) == ("warning", "the clock of this machine is 60 s behind the database's")


def test_a_cluster_that_does_not_answer_is_found(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        answering = _checks(replace(settings, ray_address=address))["ray"]
    silent = _checks(replace(settings, ray_address=address))["ray"]
    assert (answering.state, silent.state) == ("ok", "failed")
    assert "ray start" in (silent.mend or "")


def test_a_token_that_others_can_read_is_found(service: Service) -> None:
    service.access.local_token()
    service.settings.token_path.chmod(0o644)
    check = _checks(service.settings)["token"]
    assert (check.state, check.mend) == ("failed", f"chmod 600 {service.settings.token_path}")


def test_a_taken_port_is_found(settings: Settings) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        taken = replace(settings, port=server.getsockname()[1])
        assert _checks(taken)["port"].state == "warning"


def test_a_data_folder_that_is_not_there_is_found(settings: Settings, tmp_path: Path) -> None:
    assert _checks(replace(settings, data_dir=tmp_path / "none"))["data folder"].state == "failed"


def test_the_service_loads_neither_torch_nor_ray_nor_a_web_framework(tmp_path: Path) -> None:
    code = (
        "import sys, searchsvc.controller.controller, searchsvc.service.service, searchsvc.service.planning.resolve;"
        "import searchsvc.service.documents.documents, searchsvc.service.system.doctor;"
        "import searchsvc.service.exports.export;"
        "print([name for name in ('ray', 'torch', 'fastapi', 'workers') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"

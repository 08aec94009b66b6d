"""Secrets of a running installation appear in no log, message, command line or environment that need not hold them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest
from sqlalchemy.engine import make_url

from searchsvc.service.system.tokens import Scope, create
from tests.support.driving import a_spec
from tests.support.system import System, wait_for
from workers import cluster

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.timeout(240)]
PASSWORD, CLIENT_TOKEN = "marked-password-of-the-database", "ssvc_marked-token-of-a-client"


@pytest.fixture
def system(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    """An installation whose environment holds secrets; its server accepts any password."""
    monkeypatch.setenv("SEARCHSVC_TOKEN", CLIENT_TOKEN)
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    url = make_url(postgres_url).set(drivername="postgresql", password=PASSWORD)
    system = System(tmp_path / "data", url.render_as_string(hide_password=False))
    system.environment["SEARCHSVC_TOKEN"] = CLIENT_TOKEN
    system.settings = replace(system.settings, token=None)
    monkeypatch.syspath_prepend(str(tmp_path / "data" / "packages"))
    yield system
    system.stop()


def _family(system: System) -> list[psutil.Process]:
    """Return the processes of the installation: those started here, their descendants, and those of Ray."""
    own = [process for process in psutil.Process().children(recursive=True) if "postgres" not in process.name()]
    return [*own, *system.drivers(), *cluster.processes(system.settings)]


def test_no_secret_is_written_anywhere(system: System) -> None:
    created, secret = create(system.store, "marked", Scope.SUBMIT, None, now=0.0)
    local = system.settings.token_path
    system.start_api()
    system.start_controller()
    job = system.submit(a_spec(trials=3, epochs=2, seconds=0.3, fate="error"))
    wait_for(lambda: system.store.all_trials(job.id), seconds=90, message="no trial was proposed")
    environments: dict[int, tuple[str, dict[str, str]]] = {}
    address, headers = f"http://127.0.0.1:{system.port}", {"Authorization": f"Bearer {secret}"}

    def is_over() -> bool:
        for process in _family(system):
            with suppress(psutil.Error):
                environments[process.pid] = (" ".join(process.cmdline()), process.environ())
        return system.store.job(job.id).state.is_final

    wait_for(is_over, seconds=120, message="the job does not end")
    secrets = (PASSWORD, CLIENT_TOKEN, secret, local.read_text().strip())
    # What a client can make the service say, with a right and with a wrong token.
    answers = [
        httpx.get(f"{address}/api/v1/{path}", headers=tokens)
        for tokens in (headers, {"Authorization": f"Bearer {secret}x"}, {})
        for path in ("jobs", f"jobs/{job.id}", f"jobs/{job.id}/events", f"jobs/{job.id}/logs", "tokens", "nothing")
    ]
    answers.append(httpx.post(f"{address}/api/v1/jobs?token={secret}", headers=headers, content=secret))
    answers.append(httpx.get(f"{address}/ui/open/{secret}"))
    texts = {f"answer to {answer.request.method} {answer.request.url.path}": answer.text for answer in answers}
    texts |= {f"event {event.kind}": str(event) for event in system.events(job.id)}
    texts |= {f"command line {line[:200]}": line for line, _ in environments.values()}
    files = [*system.settings.data_dir.rglob("*"), *_ray_folder(system).rglob("*")]
    texts |= {str(path): path.read_text(errors="replace") for path in files if path.is_file() and path != local}
    assert len(texts) > 20
    found = [(name, value) for name, text in texts.items() for value in secrets if value in text]
    assert found == []
    assert created.id in httpx.get(f"{address}/api/v1/tokens", headers=_bearer(local)).text
    _check_environments(system, environments)


def _ray_folder(system: System) -> Path:
    head = next(one for one in cluster.processes(system.settings) if "gcs_server" in one.name())
    session = next(word for word in head.cmdline() if "session_" in word)
    return Path(session.partition("=")[2].partition("/session_")[0])


def _bearer(path: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {path.read_text().strip()}"}


def _check_environments(system: System, environments: dict[int, tuple[str, dict[str, str]]]) -> None:
    """Only the service and its drivers know the database, and no process that they start knows a client's token."""
    workers = {process.pid for process in cluster.processes(system.settings)}
    started = {system.pid("api"), system.pid("controller")}
    drivers = [pid for pid, (line, _) in environments.items() if "workers.driver" in line]
    assert workers & environments.keys()
    assert drivers
    for pid, (line, environment) in environments.items():
        text = str(environment)
        assert PASSWORD not in text or pid not in workers, line
        assert CLIENT_TOKEN not in text or pid in started, line

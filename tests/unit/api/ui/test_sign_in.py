"""Visitors who are not signed in cost no memory: NiceGUI makes no page for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_CODE = """
import json, sys
from fastapi.testclient import TestClient
from nicegui import Client
from api.rest.app import create_app
from api.ui.mount import mount
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store

settings = Settings(data_dir=sys.argv[1]).prepare()
service = Service(Store.create(settings.database_url), settings)
app = create_app(service, settings=settings)
mount(app, service)
with TestClient(app, base_url="http://127.0.0.1:8700", follow_redirects=False) as client:
    seen = {}
    for path in ("/ui/sign-in", "/ui/sign-in?why=refused&next=/ui/jobs", "/ui/", "/ui/jobs/new", "/ui/nothing"):
        for cookies in ({}, {"searchsvc_8700": "ssvc_unknown"}):
            client.cookies = cookies
            answers = [client.get(path) for _ in range(50)]
            kinds = {(answer.status_code, answer.headers.get("location")) for answer in answers}
            seen[f"{path} {len(cookies)}"] = sorted(kinds)
    before = len(Client.instances)
    client.cookies = {"searchsvc_8700": service.access.local_token()}
    signed_in = client.get("/ui/spaces").status_code
    print(json.dumps([seen, before, signed_in, len(Client.instances)]))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """Answers to 50 requests of each kind, and the number of clients of NiceGUI afterwards.

    In a process of its own, since NiceGUI has one app per process.
    """
    folder: Path = tmp_path_factory.mktemp("pages")
    command = [sys.executable, "-c", _CODE, str(folder)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    document: list[object] = json.loads(output.splitlines()[-1])
    return document


def test_nobody_gets_a_page_of_nicegui_before_signing_in(seen: list[object]) -> None:
    answers, clients, signed_in, clients_later = seen
    assert answers == {
        f"{path} {cookies}": [answer]
        for path, answer in {
            "/ui/sign-in": [200, None],
            "/ui/sign-in?why=refused&next=/ui/jobs": [200, None],
            "/ui/": [303, "/ui/sign-in?next=%2Fui%2F"],
            "/ui/jobs/new": [303, "/ui/sign-in?why=needed&next=%2Fui%2Fjobs%2Fnew"],
            "/ui/nothing": [303, "/ui/sign-in?why=needed&next=%2Fui%2Fnothing"],
        }.items()
        for cookies in (0, 1)
    }
    assert clients == 0
    assert (signed_in, clients_later) == (200, 1), "the count is real"

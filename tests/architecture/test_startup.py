"""searchctl starts quickly."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from api.cli.main import COMMANDS

SEARCHCTL = Path(sys.executable).with_name("searchctl")
MOST_MODULES = 250
HEAVY = ("torch", "ray", "fastapi", "nicegui", "sqlalchemy", "optuna", "numpy", "pydantic", "httpx", "rich", "pyarrow")


def test_help_is_printed_by_few_modules() -> None:
    """The number of modules determines the start-up time, which `make bench ARGS=startup` measures."""
    command = [sys.executable, "-X", "importtime", SEARCHCTL, "--help"]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    modules = [line for line in result.stderr.splitlines() if line.startswith("import time:")]
    assert "Usage" in result.stdout
    assert 0 < len(modules) < MOST_MODULES


def test_help_loads_nothing_heavy() -> None:
    code = f"import sys, api.cli.main; print(*sorted({set(HEAVY)!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout.split() == []


def test_the_rest_interface_alone_loads_no_pages() -> None:
    code = "import sys, api.rest.app, api.ui; print('nicegui' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "False"


class _NoJobs(BaseHTTPRequestHandler):
    """A service without jobs."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"items": [], "next_page_token": null}')

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _NoJobs)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_client_of_a_running_service_loads_none_of_it(tmp_path: Path) -> None:
    forbidden = {*HEAVY, "scipy", "starlette", "asyncio", "yaml", "pydantic_settings"}
    forbidden |= {f"searchsvc.{name}" for name in ("domain", "service", "spaces", "store")}
    allowed = {"pydantic", "rich"}
    code = (
        "import sys; from api.cli.main import app; app(['list'], standalone_mode=False); "
        f"print(*sorted({forbidden - allowed!r} & set(sys.modules)))"
    )
    with service() as address:
        environment = {**os.environ, "SEARCHSVC_URL": address, "SEARCHSVC_DATA_DIR": str(tmp_path)}
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=environment
        )
    assert "No jobs" in result.stderr
    assert result.stdout.split() == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_says_what_each_command_says(name: str) -> None:
    entry = COMMANDS[name]
    assert entry.load(name).get_short_help_str(200) == entry.help


@pytest.mark.parametrize(("line", "completion"), [("searchctl li", "list"), ("searchctl token c", "create")])
def test_the_shell_completes_commands(line: str, completion: str) -> None:
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    environment = {**os.environ, "_SEARCHCTL_COMPLETE": "complete_bash", **words}
    result = subprocess.run([SEARCHCTL], capture_output=True, text=True, check=True, timeout=30, env=environment)
    assert result.stdout.split() == [completion]

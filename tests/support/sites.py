"""The service with its pages: `searchctl serve` in a process of its own, and its store."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import Store

SEARCHCTL = str(Path(sys.executable).with_name("searchctl"))


@dataclass(frozen=True, slots=True)
class Site:
    """A service with pages."""

    address: str
    link: str
    """The single-use sign-in link."""
    service: Service
    """A service on the same store, in this process."""
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def secret(self, scope: Scope) -> str:
        return self.service.access.create(f"the {scope.value}", scope=scope)[1]


@contextmanager
def serving(settings: Settings, *, port: int = 0, with_controller: bool = False) -> Iterator[Site]:
    """Run a site while the block lasts; `port` 0 selects a free port."""
    settings.prepare()
    command = [SEARCHCTL, "serve", "--port", str(port), "--controller" if with_controller else "--no-controller"]
    environment = {**settings.environment(), "PYTHONUNBUFFERED": "1"}
    terminal, stdout = os.openpty()  # on which it prints its sign-in link
    with (
        subprocess.Popen(command, env=environment, stdout=stdout) as process,
        open(terminal, encoding="utf-8", newline="\r\n") as printed,
    ):
        os.close(stdout)
        try:
            output = "".join(iter(printed.readline, "Ctrl-C ends it; jobs go on when it is started again.\r\n"))
            link = re.search(r"(http://[^/]+)(/ui/open/\S+)", output)
            assert link, output
            _wait_for(link[1])
            store = Store.open(settings.database_url)
            try:
                yield Site(link[1], link[1] + link[2], Service(store, settings), process)
            finally:
                store.close()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


def _wait_for(address: str) -> None:
    """Wait until the service answers: it prints its address a moment before."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            httpx.get(f"{address}/healthz").raise_for_status()
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")


class NoChromium(Exception):
    """Chromium is not installed."""


def chromium_path() -> str:
    """Return the path of Chromium. Raises NoChromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise NoChromium("there is no Chromium: apt-get install chromium")
    return path


CHROMIUM_ARGUMENTS = ("--no-sandbox", "--disable-gpu")

"""The pages as readers see them: searchctl serve in a process of its own, Chromium before it, its store beside it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from searchsvc.service import Scope, Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.pages import Running, a_search, record_rounds

SEARCHCTL = str(Path(sys.executable).with_name("searchctl"))
PATIENCE_MILLISECONDS = 60_000
"""Nothing takes so long, unless the machine does much else."""


@dataclass(frozen=True, slots=True)
class Site:
    """A service with pages."""

    address: str
    link: str
    """The link that signs in once."""
    service: Service
    """On the same store, in this process."""

    def secret(self, scope: Scope) -> str:
        return self.service.create_token(f"the {scope.value}", scope=scope)[1]


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        message = "there is no Chromium: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = Settings(data_dir=folder, ray_address=None).prepare()
    shutil.copy(sqlite_template, folder / "searchsvc.db")
    command = [SEARCHCTL, "serve", "--no-controller", "--port", "0"]
    environment = {**os.environ, "SEARCHSVC_DATA_DIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        store = Store.open(settings.database_url)
        try:
            assert process.stdout is not None
            said = "".join(iter(process.stdout.readline, "Ctrl-C ends it; jobs go on when it is started again.\n"))
            link = re.search(r"(http://[^/]+)(/ui/open/\S+)", said)
            assert link, said
            _wait_for(link[1])
            yield Site(link[1], link[1] + link[2], Service(store, settings))
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            store.close()
            process.kill()


def _wait_for(address: str) -> None:
    """Until the service answers there: it tells its address a moment earlier."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(httpx.TransportError):
            httpx.get(f"{address}/healthz").raise_for_status()
            return
        time.sleep(0.1)
    raise AssertionError(f"nothing answers at {address}")


@pytest.fixture(scope="session")
def search(site: Site) -> Running:
    """A running job with results of every kind and rounds."""
    made = a_search(site.service, 12)
    record_rounds(made, 3)
    return made


Enter = Callable[[Scope], BrowserContext]


@pytest.fixture(scope="session")
def contexts(site: Site, browser: Browser) -> Iterator[Enter]:
    """A signed-in browser for each scope; kept, so that scripts are loaded once."""
    made: dict[Scope, BrowserContext] = {}

    def enter(scope: Scope) -> BrowserContext:
        if scope not in made:
            made[scope] = browser.new_context(locale="en-GB", timezone_id="Asia/Kolkata")
            made[scope].set_default_timeout(PATIENCE_MILLISECONDS)
            page = made[scope].new_page()
            sign_in(page, site, site.secret(scope))
            page.close()
        return made[scope]

    yield enter
    for one in made.values():
        one.close()


def sign_in(page: Page, site: Site, secret: str) -> None:
    """By the form."""
    page.goto(f"{site.address}/ui/sign-in")
    page.fill("#token", secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.address}/ui/")


Open = Callable[..., Page]


@pytest.fixture
def open_page(site: Site, contexts: Enter) -> Iterator[Open]:
    """Opens a path as the owner of a token; at the end no page may have complained in its console."""
    complaints: list[str] = []
    pages: list[Page] = []

    def opened(path: str, scope: Scope = Scope.ADMIN) -> Page:
        page = contexts(scope).new_page()
        page.set_viewport_size({"width": 1280, "height": 900})
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(site.address + path)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert complaints == []

"""The pages as readers see them: searchctl serve in a process of its own, Chromium before it, its store beside it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from searchsvc.service import Scope
from searchsvc.settings import Settings
from tests.support.pages import Running, a_search, record_rounds
from tests.support.sites import CHROMIUM_ARGUMENTS, NoChromium, Site, chromium_path, serving

PATIENCE_MILLISECONDS = 60_000
"""Nothing takes so long, unless the machine does much else."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    try:
        path = chromium_path()
    except NoChromium as missing:
        pytest.fail(str(missing)) if os.environ.get("CI") == "true" else pytest.skip(str(missing))
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(sqlite_template, folder / "searchsvc.db")
    with serving(Settings(data_dir=folder, ray_address=None)) as served:
        yield served


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

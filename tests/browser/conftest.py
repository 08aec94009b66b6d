"""Browser tests: `searchctl serve` in a process of its own, Chromium, and the store of the service."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from tests.support.pages import Running, a_search, record_rounds
from tests.support.sites import CHROMIUM_ARGUMENTS, NoChromium, Site, chromium_path, serving

PATIENCE_MILLISECONDS = 60_000
"""Timeout of every wait, far longer than any page takes on an idle machine."""
expect.set_options(timeout=PATIENCE_MILLISECONDS)


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
    running = a_search(site.service, 12)
    record_rounds(running, 3)
    return running


class Console:
    """Errors on the consoles of browsers. A test that expects an error forgives it."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self._forgiven: tuple[str, ...] = ()

    def watch(self, context: BrowserContext) -> BrowserContext:
        context.on("console", lambda message: self._add(message.text) if message.type == "error" else None)
        context.on("weberror", lambda failure: self._add(str(failure.error)))
        return context

    def forgive(self, *parts: str) -> None:
        """Ignore errors that contain a part, until the test ends."""
        self._forgiven = parts

    def begin(self) -> None:
        self.errors.clear()
        self._forgiven = ()

    def _add(self, text: str) -> None:
        if not any(part in text for part in self._forgiven):
            self.errors.append(text)


@pytest.fixture(scope="session")
def all_consoles() -> Console:
    return Console()


@pytest.fixture(autouse=True)
def console(all_consoles: Console) -> Iterator[Console]:
    """Check after each test that no page has reported an error."""
    all_consoles.begin()
    yield all_consoles
    assert all_consoles.errors == []


NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def new_context(browser: Browser, all_consoles: Console) -> NewContext:
    """Return a function that opens a browser context with its own cookies; the caller closes it."""

    def opened(**options: Any) -> BrowserContext:
        context = all_consoles.watch(browser.new_context(**options))
        context.set_default_timeout(PATIENCE_MILLISECONDS)
        return context

    return opened


Enter = Callable[[Scope], BrowserContext]


@pytest.fixture(scope="session")
def contexts(site: Site, new_context: NewContext) -> Iterator[Enter]:
    """Return a function that opens a signed-in browser context per scope and keeps it, so that scripts load once."""
    opened: dict[Scope, BrowserContext] = {}

    def enter(scope: Scope) -> BrowserContext:
        if scope not in opened:
            opened[scope] = new_context(locale="en-GB", timezone_id="Asia/Kolkata")
            page = opened[scope].new_page()
            sign_in(page, site, site.secret(scope))
            page.close()
        return opened[scope]

    yield enter
    for context in opened.values():
        context.close()


def sign_in(page: Page, site: Site, secret: str) -> None:
    """Sign in by the form."""
    page.goto(f"{site.address}/ui/sign-in")
    page.fill("#token", secret)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.address}/ui/")


Open = Callable[..., Page]


@pytest.fixture
def open_page(site: Site, contexts: Enter) -> Iterator[Open]:
    """Return a function that opens a path as the owner of a token."""
    pages: list[Page] = []

    def opened(path: str, scope: Scope = Scope.ADMIN) -> Page:
        page = contexts(scope).new_page()
        pages.append(page)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(site.address + path)
        return page

    yield opened
    for page in pages:
        page.close()


_IS_STILL = """() => {
    const inView = (element) => {
        const { top, bottom } = element.getBoundingClientRect();
        return element.checkVisibility() && bottom > 0 && top < innerHeight;
    };
    const isRead = (element) => element.textContent !== "Loading …" || !inView(element);
    const isEndless = (animation) => animation.effect?.getComputedTiming().endTime === Infinity;
    return (!window.socket || window.did_handshake)
        && document.fonts.status === "loaded"
        && [...document.querySelectorAll(".panel-message")].every(isRead)
        && ![...document.querySelectorAll(".ag-overlay-loading-center")].some(inView)
        && document.getAnimations().every((animation) => animation.playState !== "running" || isEndless(animation));
}"""
_TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def wait_until_still(page: Page) -> None:
    """Wait until the page is connected, its visible content is read and drawn, and nothing moves."""
    for _ in range(2):  # a frame may begin another animation
        page.evaluate(_TWO_FRAMES)
        page.wait_for_function(_IS_STILL)


def wait_until_drawn(page: Page, name: str, test: str) -> None:
    """Wait until a chart with this name has options for which the JavaScript `test` is true."""
    page.wait_for_function(
        f"""name => [...document.querySelectorAll('[role=img]')].some(element => {{
            const options = getElement(Number(element.id.slice(1)))?.chart?.getOption();
            return element.ariaLabel?.includes(name) && options && {test};
        }})""",
        arg=name,
    )

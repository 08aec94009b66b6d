"""Properties of every page: readable in all widths, in light and dark mode, by keyboard and by screen reader."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from searchsvc.service.system.tokens import Scope
from tests.browser.conftest import Open, wait_until_still
from tests.support.pages import Running
from tests.support.ui_pages import PAGES, STEER

AXE = Axe()
SERIOUS = ("serious", "critical")
ACTIONS = ("Pause", "Resume", "Stop", "Cancel", "Retry failed", "Extend", "New job", "Clone", "Submit", "Train")
"""Buttons and links that need a token of scope submit."""


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, open_page: Open, search: Running) -> Page:
    """Open each page with a token that allows everything."""
    return _open(open_page, request.param, search)


def _open(open_page: Open, name: str, search: Running, scope: Scope = Scope.ADMIN) -> Page:
    page = open_page(PAGES[name].format(job=search.id, trial=2, other=4), scope)
    expect(page.locator("h1").first).to_be_visible()
    wait_until_still(page)
    return page


def test_a_page_is_for_all_eyes_widths_and_hands(page: Page) -> None:
    """Axe-core has no serious finding, in light and in dark; the keyboard reaches everything; nothing is too wide."""
    assert _findings(page) == []
    _walk(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    wait_until_still(page)
    assert _findings(page) == []
    page.get_by_role("button", name="Switch between light and dark").click()
    for width in (360, 1920):
        page.set_viewport_size({"width": width, "height": 800})
        wait_until_still(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def _findings(page: Page) -> list[Any]:
    """Return the serious findings of axe-core: the rule, the failure and the element."""
    report = AXE.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}).response
    return [
        (one["id"], node["failureSummary"].partition("\n")[2].strip(), node["html"][:160])
        for one in report["violations"]
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def _walk(page: Page) -> None:
    """Move by Tab over every control; each has a visible frame while it has the focus."""
    page.evaluate("document.activeElement?.blur()")
    reachable = page.evaluate(_REACHABLE)
    seen: set[str] = set()
    for _ in range(2 * len(reachable) + 20):
        page.keyboard.press("Tab")
        if focused := page.evaluate(_FOCUSED):
            assert focused["shown"], focused
            seen.add(focused["mark"])
        if seen >= set(reachable):
            break
    assert [one for one in reachable if one not in seen] == []


_REACHABLE = """() => [...document.querySelectorAll("a[href], button:not(:disabled), input, select, textarea, summary")]
  .filter(e => e.checkVisibility() && e.type !== "hidden" && !e.closest(".ag-root-wrapper, .cm-editor, [inert]"))
  .map((e, i) => (e.dataset.mark = `${i} ${e.tagName} ${e.textContent.trim().slice(0, 30)}`))"""
_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e);
  const drawn = style.outlineStyle !== "none" || style.boxShadow !== "none";
  const shown = drawn || !!e.closest(".ag-root-wrapper, .q-field, .cm-editor");
  return { mark: e.dataset.mark ?? "", shown, html: e.outerHTML.slice(0, 120) };
}"""


@pytest.mark.parametrize("name", [name for name in PAGES if name not in (*STEER, "sign-in")])
def test_a_reader_sees_no_button_that_would_fail(open_page: Open, search: Running, name: str) -> None:
    page = _open(open_page, name, search, Scope.READ)
    for words in ACTIONS:
        for role in ("button", "link"):
            expect(page.get_by_role(role, name=words, exact=True)).to_have_count(0)


def test_the_first_step_of_the_keyboard_leads_to_the_content(open_page: Open) -> None:
    page = open_page("/ui/spaces")
    expect(page.get_by_role("heading", name="Spaces")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_a_dialog_keeps_the_focus_and_gives_it_back(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    button = page.get_by_role("button", name="Extend")
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    wait_until_still(page)
    assert _findings(page) == []
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('#app')") is None
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(button).to_be_focused()

"""Elements do not move while a reader looks at them: neither while a page fills, nor while its search runs."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import PATIENCE_MILLISECONDS, Open, Site, wait_until_still
from tests.support.pages import a_search, record_rounds

expect.set_options(timeout=PATIENCE_MILLISECONDS)
WATCH = """() => {
    window.moved = [];
    const note = (shifts) => {
        for (const { sources } of shifts)
            for (const { node, previousRect, currentRect } of sources) {
                const element = node?.closest ? node : node?.parentElement;
                if (element && !element.closest(".events") && Math.abs(previousRect.y - currentRect.y) > 2)
                    moved.push(`${element.className}: ${element.textContent.slice(0, 60)}`);
            }
    };
    const observer = new PerformanceObserver((list) => note(list.getEntries()));
    observer.observe({ type: "layout-shift" });
    window.takeMoved = () => {
        note(observer.takeRecords());
        return moved.splice(0);
    };
}"""
"""Collects elements that move up or down, except in the log of events, in which new events push others down."""


def moved(page: Page) -> list[str]:
    wait_until_still(page)
    elements: list[str] = page.evaluate("takeMoved()")
    return elements


def test_what_is_looked_at_stays_where_it_is(open_page: Open, site: Site) -> None:
    search = a_search(site.service, 24, name="looked-at-while-live")
    record_rounds(search, 3)
    page = open_page(f"/ui/jobs/{search.id}")
    expect(page.locator("canvas").first).to_be_visible()
    expect(page.locator(".trials-grid .ag-row").first).to_be_attached()
    page.evaluate(WATCH)
    for title in ("Learning curves", "Parameters", "Timeline"):
        panel = page.get_by_role("region", name=title, exact=True)
        panel.scroll_into_view_if_needed()
        expect(panel.get_by_text("Loading …")).to_be_hidden()
        assert moved(page) == []
    for place in (0, 0.3, 0.6, 1):
        page.evaluate(f"scrollTo(0, {place} * document.body.scrollHeight)")
        moved(page)
        number = search.propose()
        search.start(number)
        search.measure(number, 1, 0.9)
        search.end(number)
        search.flush()
        expect(page.locator(".events")).to_contain_text(f"trial {number} succeeded")
        assert moved(page) == []

"""Failures are reported plainly, recovered from without help, and never execute content."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from searchsvc.domain import Candidate, Proposal, new_id
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from tests.browser.conftest import Console, Enter, NewContext, Open, Site, sign_in, wait_until_still
from tests.support.pages import SPEC, Running
from tests.support.postgres import PostgresServer
from tests.support.sites import serving

EVIL = "<img src=x onerror=document.title='gotcha'>"
CANNOT_CONNECT = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "WebSocket connection", "ERR_EMPTY_RESPONSE")


def test_what_is_not_there_is_said_plainly(contexts: Enter, site: Site, search: Running, console: Console) -> None:
    console.forgive("404")
    page = contexts(Scope.ADMIN).new_page()
    for path in ("/ui/jobs/nowhere", f"/ui/jobs/{search.id}/trials/999", f"/ui/jobs/{search.id}/trials/x"):
        answer = page.goto(site.address + path)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    page.close()


def test_a_job_that_is_deleted_while_it_is_looked_at_says_so(open_page: Open, site: Site) -> None:
    job = site.service.jobs.submit({**SPEC, "name": "short-lived"})[0]
    site.service.jobs.cancel(job.id)
    page = open_page(f"/ui/jobs/{job.id}")
    expect(page.get_by_text("cancelled").first).to_be_visible()
    site.service.jobs.delete(job.id)
    expect(page.get_by_text("This job has been deleted.")).to_be_visible()


def test_html_in_what_a_trial_holds_is_shown_and_not_executed(open_page: Open, site: Site) -> None:
    job = Running(site.service, name="evil")
    job.trials.append(new_id())
    proposal = Proposal(Candidate({"optimizer": EVIL, EVIL: 1}), asks=1, told=0, costs={"flops": 1e5, EVIL: 1.0})
    job.writer.add_trials([(job.trials[0], 0, proposal)])
    job.writer.start_attempt(job.trials[0], 1, EVIL, 1, time.time())
    job.measure(0, 1, 0.5)
    job.end(0)
    job.flush()
    for path in (f"/ui/jobs/{job.id}", f"/ui/jobs/{job.id}/trials/0"):
        page = open_page(path)
        expect(page.get_by_text(EVIL).first).to_be_visible()
        wait_until_still(page)
        assert "gotcha" not in page.title()
        assert page.locator("img[src=x]").count() == 0


def test_two_readers_see_what_one_of_them_does(contexts: Enter, site: Site) -> None:
    job = Running(site.service, name="looked-at")
    pages = [contexts(scope).new_page() for scope in (Scope.ADMIN, Scope.READ)]
    for page in pages:
        page.goto(f"{site.address}/ui/jobs/{job.id}")
    pages[0].get_by_role("button", name="Pause").click()
    for page in pages:
        expect(page.get_by_text("pause requested")).to_be_visible()
        page.close()


def test_a_page_behind_other_tabs_is_brought_up_to_date_when_it_is_looked_at(contexts: Enter, site: Site) -> None:
    job = Running(site.service, name="behind")
    pages = [contexts(Scope.ADMIN).new_page() for _ in range(2)]
    for page in pages:
        page.goto(f"{site.address}/ui/jobs/{job.id}")
        expect(page.get_by_text("0 of 48")).to_be_visible()
    behind, before = pages
    _hide(behind, True)
    for finished in (1, 2, 3):  # the first may already be on their way when the page is hidden
        _one_more(job)
        expect(before.get_by_text(f"{finished} of 48")).to_be_visible()
    behind.get_by_role("button", name="Extend").click()  # the service answers on the same connection, in order
    expect(behind.get_by_role("dialog")).to_be_visible()
    assert behind.get_by_text("3 of 48").count() == 0
    behind.keyboard.press("Escape")
    _hide(behind, False)
    expect(behind.get_by_text("3 of 48")).to_be_visible()
    for page in pages:
        page.close()


def _hide(page: Page, hidden: bool) -> None:
    """Hide or show a page, as a browser does when its reader switches tabs."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_page_is_right_again_after_a_restart_of_the_service(
    tmp_path: Path, sqlite_template: Path, new_context: NewContext, console: Console
) -> None:
    console.forgive(*CANNOT_CONNECT)
    shutil.copy(sqlite_template, tmp_path / "searchsvc.db")
    settings, context = Settings(data_dir=tmp_path, ray_address=None), new_context()
    with serving(settings) as site:
        job, page = _looked_at(site, context.new_page())
    job.service.store.close()
    with serving(settings, port=site.port) as again:
        job.writer = again.service.store.writer(job.lease)
        _one_more(job)
        expect(page.get_by_text("1 of 48")).to_be_visible()
        _one_more(job)
        expect(page.get_by_text("2 of 48")).to_be_visible()
        context.close()


@pytest.mark.postgres
def test_a_database_that_is_away_is_said_and_waited_for(
    tmp_path: Path, postgres_server: PostgresServer, postgres_url: str, new_context: NewContext, console: Console
) -> None:
    console.forgive("503")
    context = new_context()
    with serving(Settings(data_dir=tmp_path, database_url=postgres_url, ray_address=None)) as site:
        job, page = _looked_at(site, context.new_page())
        postgres_server.stop()
        try:
            expect(page.get_by_role("alert")).to_contain_text("The database is slow to answer")
            late = context.new_page()
            late.goto(f"{site.address}/ui/")
            expect(late.get_by_role("heading", name="The database does not answer")).to_be_visible()
        finally:
            postgres_server.start()
        expect(page.get_by_role("alert")).to_be_hidden()
        _one_more(job)
        expect(page.get_by_text("1 of 48")).to_be_visible()
        late.get_by_role("link", name="Try again").click()
        expect(late.get_by_role("heading", name="Jobs", exact=True)).to_be_visible()
        context.close()


def _looked_at(site: Site, page: Page) -> tuple[Running, Page]:
    """Create a running job and open its page."""
    job = Running(site.service, name="long-lived")
    sign_in(page, site, site.secret(Scope.READ))
    page.goto(f"{site.address}/ui/jobs/{job.id}")
    expect(page.get_by_text("0 of 48")).to_be_visible()
    return job, page


def _one_more(job: Running) -> None:
    """End another trial of the job."""
    number = job.propose()
    job.start(number)
    job.measure(number, 1, 0.5)
    job.end(number)
    job.flush()

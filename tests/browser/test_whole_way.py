"""The complete path of a user: a job is written, watched while real workers train its trials, steered and used."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from tests.browser.conftest import NewContext, sign_in
from tests.browser.test_new_job import write
from tests.support.sites import serving

TRIALS = 12
SPEC = f"""\
name: whole-way
task: classification
dataset: {{name: digits}}
space: {{name: mbconv-small}}
objectives: [{{metric: accuracy, goal: maximize}}]
constraints: [{{metric: flops, max: 3e5}}]
algorithm: {{name: random}}
fidelity: {{epochs: 1}}
budget: {{trials: {TRIALS}}}
resources: {{cpu: 1}}
"""
JOB_MILLISECONDS = 300_000
"""Timeout for drivers and workers to start twice and to train on a busy machine."""


def test_a_job_is_followed_from_the_editor_to_its_end_and_beyond(
    tmp_path: Path, sqlite_template: Path, new_context: NewContext
) -> None:
    shutil.copy(sqlite_template, tmp_path / "searchsvc.db")
    with serving(Settings(data_dir=tmp_path, ray_address=None), with_controller=True) as site:
        context = new_context()
        page = context.new_page()
        sign_in(page, site, site.secret(Scope.SUBMIT))
        _submit(page)
        page.evaluate("window.untouched = true")
        _pause_and_resume(page)
        expect(_state(page)).to_have_text("succeeded", timeout=JOB_MILLISECONDS)
        expect(page.get_by_text(f"{TRIALS} of {TRIALS}")).to_be_visible()
        _recommend(page)
        _export(page)
        assert page.evaluate("window.untouched")  # nothing has loaded the page again
        _compare(page)
        context.close()


def _submit(page: Page) -> None:
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_text("No problems found.")).to_be_visible()
    write(page, SPEC)
    expect(page.get_by_text("flops <= 300 k")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="whole-way")).to_be_visible()


def _state(page: Page) -> Locator:
    """Return the state of the job on its page."""
    return page.locator("h1 + .state")


def _pause_and_resume(page: Page) -> None:
    """Pause and resume the job after its first trial and before its last."""
    expect(page.get_by_text(re.compile(rf"^[1-9]\d* of {TRIALS}$"))).to_be_visible(timeout=JOB_MILLISECONDS)
    page.get_by_role("button", name="Pause").click()
    expect(_state(page)).to_have_text("paused", timeout=JOB_MILLISECONDS)
    page.get_by_role("button", name="Resume").click()
    expect(_state(page)).to_have_text("running", timeout=JOB_MILLISECONDS)


def _recommend(page: Page) -> None:
    panel = page.get_by_role("region", name="Recommend")
    panel.get_by_label("At most").fill("2e5")
    panel.get_by_label("At most").press("Enter")
    expect(panel).to_contain_text(f"Within flops <= 200 k, best first. Learned from {TRIALS} trials")
    expect(panel.locator(".plain-table")).to_contain_text("±")


def _export(page: Page) -> None:
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="csv").click()
    assert saved.value.path().read_text().count("SUCCEEDED") == TRIALS


def _compare(page: Page) -> None:
    for place in (0, 1):
        page.locator(".ag-selection-checkbox input").nth(place).check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare trials")).to_be_visible()
    expect(page.get_by_role("region", name="Results")).to_contain_text("★")
    architecture = page.get_by_role("region", name="Architecture", exact=True)
    architecture.scroll_into_view_if_needed()
    expect(architecture.locator("tbody tr").first).to_contain_text("≠")

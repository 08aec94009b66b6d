"""Writing a job in the browser: by hand and by the form, checked while it is written, and submitted."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from searchsvc.service.system.tokens import Scope
from tests.browser.conftest import PATIENCE_MILLISECONDS, Console, Enter, Open, Site
from tests.support.pages import Running

expect.set_options(timeout=PATIENCE_MILLISECONDS)


def write(page: Page, text: str) -> None:
    """Replace the content of the editor."""
    page.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def test_a_job_is_written_checked_and_submitted(open_page: Open, site: Site) -> None:
    page = open_page("/ui/")
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_text("No problems found.")).to_be_visible()
    expect(page.locator(".plain-table tbody tr")).to_have_count(5)
    write(page, EXAMPLE.replace("trials: 4", "trials: none") + "sed: 1\n")
    expect(page.locator(".wrong-line")).to_have_count(2)
    expect(page.locator(".faults li")).to_contain_text(["Line 11budget.trials", "Line 12sedunknown key"])
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    write(page, EXAMPLE.replace("metric: accuracy", "metric: acuracy"))
    expect(page.locator(".faults li")).to_have_count(1)
    expect(page.locator(".faults li")).to_contain_text("did you mean accuracy")
    write(page, EXAMPLE)
    expect(page.get_by_text("No problems found.")).to_be_visible()
    expect(page.locator(".wrong-line")).to_have_count(0)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("heading", name="written")).to_be_visible()
    assert site.service.jobs.get("written").spec.budget.trials == 4
    assert site.service.jobs.get("written").owner == "the admin"


def test_the_form_writes_into_the_text_and_reads_from_it(open_page: Open) -> None:
    page = open_page("/ui/jobs/new")
    expect(page.get_by_text("No problems found.")).to_be_visible()
    write(page, EXAMPLE)
    expect(page.get_by_label("Maximum trials")).to_have_value("4")
    page.get_by_label("Maximum trials").fill("7")
    page.get_by_label("Algorithm").select_option("random")
    page.get_by_role("button", name="Add a limit").click()
    page.get_by_label("At most", exact=True).nth(1).fill("2e4")
    page.get_by_label("At most", exact=True).nth(1).press("Enter")
    page.get_by_label("Metric").nth(1).select_option("params")
    editor = page.locator(".cm-content")
    expect(editor).to_contain_text("trials: 7")
    expect(editor).to_contain_text("algorithm: {name: random}")
    expect(editor).to_contain_text("{metric: params, max: 20000}")
    expect(editor).to_contain_text("# stays")
    expect(page.get_by_text("params <= 20 k")).to_be_visible()


def test_options_stay_where_the_text_says_what_the_form_does_not_offer(open_page: Open) -> None:
    page = open_page("/ui/jobs/new")
    expect(page.get_by_text("No problems found.")).to_be_visible()
    own = EXAMPLE.replace("{name: mbconv-small}", "{parameters: [{name: lr, type: float, low: 0.01, high: 0.1}]}")
    write(page, own)
    space = page.get_by_label("Space")
    expect(space).to_have_value("custom parameters")
    space.locator("option").first.evaluate("option => { option.dataset.kept = 'yes'; }")
    write(page, own.replace("trials: 4", "trials: 5"))
    expect(page.get_by_label("Maximum trials")).to_have_value("5")
    expect(space.locator("option").first).to_have_attribute("data-kept", "yes")


def test_a_text_that_is_no_yaml_is_wrong_at_its_line(open_page: Open) -> None:
    page = open_page("/ui/jobs/new")
    expect(page.get_by_text("No problems found.")).to_be_visible()
    write(page, "name: one\nname: <img src=x onerror=alert(1)>\n")
    expect(page.locator(".faults li")).to_contain_text("Line 2")
    expect(page.locator(".faults li")).to_contain_text("occurs twice")


def test_a_clone_begins_with_the_spec_of_its_job(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    page.get_by_role("link", name="Clone").click()
    expect(page.get_by_label("Maximum seconds")).to_have_value("900")
    expect(page.locator(".cm-content")).to_contain_text("stopping: {name: asha")
    expect(page.get_by_text("No problems found.")).to_be_visible()


def test_who_may_not_submit_gets_no_editor(
    open_page: Open, contexts: Enter, site: Site, search: Running, console: Console
) -> None:
    console.forgive("403")
    page = open_page(f"/ui/jobs/{search.id}", Scope.READ)
    expect(page.get_by_text("Export")).to_be_visible()
    expect(page.get_by_role("link", name="Clone")).to_have_count(0)
    page.close()
    other = contexts(Scope.READ).new_page()
    answer = other.goto(f"{site.address}/ui/jobs/new")
    assert answer is not None
    assert answer.status == 403
    expect(other.get_by_role("heading", name="Your token does not allow this")).to_be_visible()
    other.close()


EXAMPLE = """\
name: written
task: classification   # stays
dataset: {name: digits}
space: {name: mbconv-small}
objectives:
- {metric: accuracy}
constraints:
- {metric: flops, max: 5e5}
algorithm: {name: tpe}
fidelity: {epochs: 2}
budget: {trials: 4}
"""

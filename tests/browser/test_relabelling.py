"""The page for reviewing labels: with the keyboard, with undo, by several raters, to a label file."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from searchsvc.domain import Job
from searchsvc.service.system.tokens import Scope
from tests.browser.conftest import PATIENCE_MILLISECONDS, Console, Enter, Open, Site
from tests.support.labels import a_labelled_job
from tests.support.pages import SPEC

expect.set_options(timeout=PATIENCE_MILLISECONDS)


@pytest.fixture(scope="module")
def job(site: Site) -> Job:
    """Create a job with two trials; the second predicts another class for the first two validation images."""
    from workers.tasks.classification import TASK

    labels = TASK.validation({"name": "digits"}).labels
    other = labels.copy()
    other[:2] = (other[:2] + 1) % 10
    return a_labelled_job(site.service, {**SPEC, "name": "doubted"}, [labels, other])


def expect_question(page: Page, class_name: object) -> None:
    expect(page.get_by_role("heading", name=f"Does this image show: {class_name}?")).to_be_visible()


def test_labels_are_accepted_and_rejected_with_one_key_each(open_page: Open, site: Site, job: Job) -> None:
    page = open_page(f"/ui/jobs/{job.id}")
    page.get_by_role("link", name="Review the labels").click()
    page.get_by_role("button", name="Create questions").click()
    expect(page.get_by_text("0 of 4")).to_be_visible()
    [rater] = [token.id for token in site.service.store.tokens() if token.name == "the admin"]
    items = site.service.labels.questions(job.id, rater).items
    picture = page.locator("img:visible[src*=validation]")
    for place, key in enumerate(("y", "ArrowLeft", "n")):
        expect_question(page, items[place].class_name)
        expect(picture).to_have_attribute("src", f"/ui/files/{job.id}/validation/{items[place].image}")
        page.wait_for_function("[...document.images].every(one => one.complete && (one.naturalWidth || !one.src))")
        page.keyboard.press(key)
    expect_question(page, items[3].class_name)
    expect(page.get_by_text("3 of 4")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("2 of 4")).to_be_visible()
    expect_question(page, items[2].class_name)
    assert len(site.service.store.verdicts(job.id)) == 2
    page.keyboard.press("y")
    expect_question(page, items[3].class_name)
    page.get_by_role("button", name="No (N)").click()
    expect(page.get_by_role("heading", name="All questions answered")).to_be_visible()
    accepted = {(one.image, one.label): one.accepted for one in site.service.store.verdicts(job.id, rater=rater)}
    answers = (True, False, True, False)
    assert accepted == {(one.image, one.label): answer for one, answer in zip(items, answers, strict=True)}
    page.reload()
    expect(page.get_by_role("heading", name="All questions answered")).to_be_visible()


def test_another_rater_is_asked_anew_and_both_count(open_page: Open, site: Site, job: Job) -> None:
    if site.service.store.relabelling(job.id) is None:
        site.service.labels.relabel(job.id)
    page = open_page(f"/ui/jobs/{job.id}/relabel", Scope.SUBMIT)
    expect(page.get_by_text("0 of 4")).to_be_visible()
    for answered in range(1, 5):
        page.keyboard.press("ArrowRight")
        expect(page.get_by_text(f"{answered} of 4")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    expect(page.get_by_role("heading", name="All questions answered")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    relabelled = site.service.labels.relabelled(job.id)
    assert "the submit" in {one.name for one in relabelled.progress.raters}
    assert relabelled.progress.open == 0
    assert np.sum([len(one) for one in relabelled.labels.values()]) >= 287


def test_a_reader_may_not_answer(contexts: Enter, site: Site, job: Job, console: Console) -> None:
    console.forgive("403")
    page = contexts(Scope.READ).new_page()
    page.goto(f"{site.address}/ui/jobs/{job.id}/relabel")
    expect(page.get_by_role("heading", name="Your token does not allow this")).to_be_visible()
    page.close()

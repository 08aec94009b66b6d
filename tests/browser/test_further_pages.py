"""Comparing trials, exporting a job, recommendations, spaces and the cluster."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from searchsvc.domain import Node
from searchsvc.service.system.tokens import Scope
from searchsvc.spaces.catalogue import find
from searchsvc.spaces.costs.stages import aligned
from tests.browser.conftest import PATIENCE_MILLISECONDS, Console, Enter, Open, Site, wait_until_drawn
from tests.support.pages import Running

expect.set_options(timeout=PATIENCE_MILLISECONDS)


def test_trials_that_are_chosen_are_compared(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    compare, boxes = page.get_by_role("button", name="Compare"), page.locator(".ag-selection-checkbox input")
    expect(compare).to_be_disabled()
    boxes.nth(1).click()
    expect(boxes.nth(1)).to_be_checked()
    expect(compare).to_be_disabled()
    boxes.nth(2).click()
    compare.click()
    expect(page.get_by_role("heading", name="Compare trials")).to_be_visible()
    named = "options.legend?.[0]?.show && options.series.map(one => one.name).sort().join() === '#11,#12'"
    wait_until_drawn(page, "Learning curves of the trials", named)
    rows = page.get_by_role("region", name="Architecture", exact=True).locator("tbody tr")
    expect(rows.first).to_contain_text("≠")
    expect(rows.first.locator("strong.differs").first).to_be_visible()
    compared = search.service.trials.compare([f"{search.id}/12", f"{search.id}/11"])
    alike = page.get_by_text(next(name for name in compared.parameters if name not in compared.differing), exact=True)
    expect(alike).to_have_count(0)
    page.get_by_role("button", name="Show identical rows").click()
    expect(alike).to_be_visible()
    stages = aligned([search.service.trials.architecture(search.trials[one]).stages for one in (12, 11)])
    expect(rows).to_have_count(len(stages))
    expect(page.get_by_text("absent", exact=True)).to_have_count(sum(None in row for row in stages))
    page.get_by_label("Another trial").fill("2")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".chip")).to_have_count(3)
    page.get_by_role("link", name="Remove #2").click()
    expect(page.locator(".chip")).to_have_count(2)


@pytest.mark.parametrize(
    ("trials", "status", "message"),
    [
        ("{}/0,{}/99", 404, "no trial number 99"),
        ("", 422, "name one to 6 trials"),
        ("<b>x", 404, "no trial '<b>x'"),
    ],
)
def test_what_cannot_be_compared_is_said(
    contexts: Enter, site: Site, search: Running, console: Console, trials: str, status: int, message: str
) -> None:
    console.forgive(str(status))
    page = contexts(Scope.READ).new_page()
    answer = page.goto(f"{site.address}/ui/compare?trials={trials.format(search.id, search.id)}")
    assert answer is not None
    assert answer.status == status
    expect(page.get_by_text(message)).to_be_visible()
    page.close()


def test_a_job_is_taken_away_and_what_cannot_be_is_told(open_page: Open, search: Running, contexts: Enter) -> None:
    page = open_page(f"/ui/jobs/{search.id}", Scope.READ)
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as saved:
        page.get_by_role("link", name="csv").click()
    assert saved.value.suggested_filename == "digits-small.csv"
    assert len(saved.value.path().read_text().splitlines()) == len(search.trials) + 1


def test_a_limit_is_moved_and_the_best_within_it_predicted(open_page: Open, site: Site) -> None:
    page = open_page(f"/ui/jobs/{_with_real_candidates(site).id}")
    panel = page.get_by_role("region", name="Recommend")
    panel.get_by_label("At most").fill("2e5")
    panel.get_by_label("At most").press("Enter")
    expect(panel).to_contain_text("Within flops <= 200 k, best first. Learned from 12 trials")
    expect(panel.locator(".plain-table")).to_contain_text("±")
    panel.get_by_role("button", name="Train these").click()
    expect(page.get_by_role("heading", name="real-recommended")).to_be_visible()


def _with_real_candidates(site: Site) -> Running:
    """Create a job with results from which a predictor can learn."""
    running, space = Running(site.service, name="real", objectives=[{"metric": "accuracy"}]), find("mbconv-small").space
    candidates = space.from_matrix(space.sample(12, np.random.default_rng(0)))
    for number, candidate in enumerate(candidates):
        running.propose(candidate, flops=1e5 * (1 + number))
        running.start(number)
        running.measure(number, 1, 0.5 + 0.03 * number)
        running.end(number)
    running.flush()
    return running


def test_a_candidate_is_drawn_by_a_seed(open_page: Open) -> None:
    page = open_page("/ui/spaces", Scope.READ)
    card = page.get_by_role("region", name="mbconv-small")
    card.get_by_role("button", name="Sample a candidate").click()
    expect(card).to_contain_text("Costs are for digits")
    first = card.locator(".plain-table").nth(1).text_content() or ""
    card.get_by_role("button", name="Sample the next").click()
    expect(card.get_by_label("Seed")).to_have_value("1")
    card.get_by_label("Seed").fill("0")
    card.get_by_label("Seed").press("Enter")
    expect(card.get_by_label("Seed")).to_have_value("0")
    expect(card.locator(".plain-table").nth(1)).to_have_text(first)


def test_the_cluster_is_shown_as_drivers_report_it(open_page: Open, search: Running) -> None:
    page = open_page("/ui/cluster", Scope.READ)
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    nodes = [Node("a3f1", "10.0.0.7", 8.0, 1.0, 2.0**35, False), Node("b7c2", "10.0.0.8", 4.0, 0.0, 2.0**34, True)]
    search.service.store.report_nodes(search.lease, nodes)
    Running(search.service, name="another").finish()
    card = page.get_by_role("region", name="Nodes")
    expect(card).to_contain_text("of 8")
    expect(card).to_contain_text("avoided")
    expect(page.get_by_role("region", name="Running")).to_contain_text(f"{search.job.name} #12")
    expect(page.get_by_role("region", name="Queue")).to_contain_text(f"{search.job.name} #13")

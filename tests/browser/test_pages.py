"""The pages for readers: live, in every width, in light and dark mode, with names that look like HTML."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from searchsvc.domain import FailureKind, JobRequest, Outcome, TrialState
from searchsvc.service.system.tokens import Scope
from tests.browser.conftest import Open, Site
from tests.support.pages import Running

EVIL = "<img src=x onerror=document.title='gotcha'><script>document.title='gotcha'</script>"


def job_path(search: Running) -> str:
    return f"/ui/jobs/{search.id}"


def test_a_job_that_is_submitted_appears_and_moves_without_reload(open_page: Open, site: Site, search: Running) -> None:
    page = open_page("/ui/")
    expect(page.get_by_role("link", name=search.job.name)).to_be_visible()
    late = Running(site.service, name="late", budget={"trials": 4})
    row = page.locator(".ag-row", has_text="late")
    expect(row).to_contain_text("running")
    expect(row).to_contain_text("0/4")
    late.propose()
    late.start(0)
    late.measure(0, 8, 0.91)
    late.end(0)
    late.flush()
    expect(row).to_contain_text("1/4")
    expect(row).to_contain_text("0.91")
    late.finish()
    expect(row).to_contain_text("succeeded")
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name="late")).to_be_visible()


def test_the_job_page_follows_its_job_and_its_trials(open_page: Open, search: Running) -> None:
    page = open_page(job_path(search))
    done = sum(1 for one in search.service.trials.page(search.id).items if one.state.is_final)
    expect(page.get_by_text(f"{done} of 48")).to_be_visible()
    predicted = ("Predictor quality", "Predicted and measured")
    for title in ("Pareto front", "Best so far", "Learning curves", "Funnel", *predicted):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_role("heading", name="Option probabilities")).to_be_hidden()
    expect(page.locator(".events")).to_contain_text("asha: below the best third")
    number = search.propose()
    search.start(number)
    search.end(number, Outcome(TrialState.FAILED, FailureKind.ERROR, EVIL))
    search.flush()
    expect(page.get_by_text(f"{done + 1} of 48")).to_be_visible()
    expect(page.locator(".events")).to_contain_text(EVIL)
    assert "gotcha" not in page.title()


def test_the_csv_of_the_trials_holds_what_the_filters_match(open_page: Open, search: Running) -> None:
    page = open_page(job_path(search))
    rows = page.locator(".trials-grid .ag-center-cols-container .ag-row")
    expect(rows.first).to_be_visible()
    every = search.service.trials.page(search.id).items
    page.get_by_label("Filter the trials").fill("diverged")
    expect(rows).to_have_count(1)
    assert _numbers(page) == ["5"]
    page.get_by_label("Filter the trials").fill("stopped EARLY below")
    stopped = [str(one.number) for one in every if one.state is TrialState.STOPPED]
    expect(rows).to_have_count(len(stopped))
    assert _numbers(page) == stopped
    cheap = {"type": "lessThan", "filterType": "number", "filter": 9.5e5}
    page.locator(".trials-grid").evaluate(
        "(element, model) => getElement(Number(element.id.slice(1))).api.setFilterModel(model)", {"m.flops": cheap}
    )
    cheap_ones = [
        str(one.number) for one in every if str(one.number) in stopped and one.proposal.costs["flops"] < 9.5e5
    ]
    assert 0 < len(cheap_ones) < len(stopped)
    expect(rows).to_have_count(len(cheap_ones))
    assert _numbers(page) == cheap_ones


def _numbers(page: Page) -> list[str]:
    """Return the numbers of the trials in the CSV."""
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    return [line.partition(",")[0] for line in saved.value.path().read_text().splitlines()[1:]]


def test_a_button_steers_the_job(open_page: Open, site: Site) -> None:
    steered = Running(site.service, name="steered")
    page = open_page(f"/ui/jobs/{steered.id}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("pause requested")).to_be_visible()
    assert steered.job.request is JobRequest.PAUSE
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("pause requested")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Go back").click()
    assert steered.job.request is None
    page.get_by_role("button", name="Extend").click()
    page.get_by_role("dialog").get_by_label("trials").fill("60")
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    expect(page.get_by_text("0 of 60")).to_be_visible()


def test_a_reader_sees_no_buttons_that_would_fail(open_page: Open, search: Running) -> None:
    page = open_page(job_path(search), Scope.READ)
    expect(page.get_by_role("heading", name="Funnel")).to_be_visible()
    for name in ("Pause", "Stop", "Cancel", "Retry failed", "Extend"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)


def test_a_trial_is_shown_with_its_halves_attempts_and_log(open_page: Open, search: Running) -> None:
    folder = search.service.settings.trial_dir(search.id, search.trials[2])
    folder.mkdir(parents=True)
    (folder / "trial.log").write_text(f"epoch 1\n{EVIL}\n")
    (folder / "model.safetensors").write_bytes(b"weights")
    page = open_page(f"{job_path(search)}/trials/2")
    for words in ("Architecture", "Recipe", "8 of 8", "10.0.0.7", EVIL):
        expect(page.get_by_text(words).first).to_be_visible()
    assert "gotcha" not in page.title()
    with page.expect_download() as saved:
        page.get_by_role("link", name="model.safetensors").click()
    assert saved.value.path().read_bytes() == b"weights"


def test_dark_and_light_are_a_choice_that_lasts(open_page: Open) -> None:
    page = open_page("/ui/spaces")
    before = _ground(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_function("before => getComputedStyle(document.body).backgroundColor !== before", arg=before)
    after = _ground(page)
    page.reload()
    expect(page.get_by_role("heading", name="Spaces")).to_be_visible()
    assert _ground(page) == after


def _ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_times_are_in_the_readers_zone(open_page: Open, search: Running) -> None:
    page = open_page(job_path(search))
    moment = page.locator(".figure time")
    expect(moment).not_to_be_empty()
    assert moment.get_attribute("title") in ("Asia/Kolkata", "Asia/Calcutta")

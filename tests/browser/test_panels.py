"""Panels of the job page and the trial page, as readers use them."""

from __future__ import annotations

import base64

from playwright.sync_api import Page, expect

from searchsvc.domain import FileMade, Outcome, TrialState
from tests.browser.conftest import PATIENCE_MILLISECONDS, Open, Site, wait_until_drawn
from tests.support.pages import Running
from tests.support.supernets import a_job_with_a_supernet

expect.set_options(timeout=PATIENCE_MILLISECONDS)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A picture of one pixel."""


SLOW_CLICK = """async (element) => {
    const chart = getElement(Number(element.id.slice(1))).chart, { series } = chart.getOption();
    const [epoch, value] = series.find((one) => one.id !== "highlight" && one.data.length > 2).data[1];
    const [x, y] = chart.convertToPixel({ gridIndex: 0 }, [epoch, value]);
    const canvas = element.querySelector("canvas"), box = canvas.getBoundingClientRect();
    const send = (kind) => canvas.dispatchEvent(
        new MouseEvent(kind, { bubbles: true, clientX: box.left + x, clientY: box.top + y }));
    const drawn = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    send("mousedown");
    send("mousemove");
    await drawn();
    send("mouseup");
    send("click");
    await drawn();
    send("mouseout");
}"""


def panel(page: Page, title: str) -> None:
    page.get_by_role("region", name=title, exact=True).scroll_into_view_if_needed()


def test_parameters_are_drawn_in_five_ways_of_what_the_reader_picks(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    panel(page, "Parameters")
    expect(page.get_by_text("The 10 most important of 18 parameters.")).to_be_visible()
    for kind in ("Importance", "Slice", "Contour", "Rank"):
        page.get_by_role("button", name=kind, exact=True).click()
        expect(page.get_by_role("img", name=f"{kind}.").locator("canvas").first).to_be_visible()
    parameters = page.get_by_role("region", name="Parameters", exact=True)
    parameters.get_by_label("across").select_option("optimizer")
    parameters.get_by_label("metric").select_option("params")
    wait_until_drawn(page, "Rank.", "options.xAxis?.[0]?.name === 'optimizer'")


def test_the_timeline_is_read_when_it_is_looked_at(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.get_by_text("Reading …")).to_be_attached()
    timeline.scroll_into_view_if_needed()
    expect(timeline.get_by_text("Reading …")).to_be_hidden()
    expect(timeline.locator("canvas").first).to_be_visible()


def test_the_curve_under_the_pointer_says_whose_it_is_and_leads_there(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    curves = page.get_by_role("region", name="Learning curves")
    curves.scroll_into_view_if_needed()
    canvas = curves.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    whose = curves.get_by_role("link", name="trial #")
    for share in (0.5, 0.6, 0.4, 0.3, 0.7):
        canvas.click(position={"x": box["width"] * 0.5, "y": box["height"] * share})
        if whose.is_visible():
            break
    whose.click()
    expect(page.get_by_role("heading", name="Trial #")).to_be_visible()


def test_a_click_counts_although_the_curve_is_drawn_anew_meanwhile(open_page: Open, search: Running) -> None:
    """As under a slow hand, or while a search goes on: another line is under the pointer when it is let go."""
    page = open_page(f"/ui/jobs/{search.id}")
    panel(page, "Learning curves")
    wait_until_drawn(page, "Learning curves", "options.series.some(one => one.id === 'highlight')")
    whose = page.get_by_role("region", name="Learning curves").get_by_role("link", name="trial #")
    page.get_by_role("img", name="Learning curves").evaluate(SLOW_CLICK)
    expect(whose).to_be_visible()
    page.mouse.move(1, 1)
    expect(whose).to_be_visible()


def test_what_a_supernet_learned_is_drawn_over_its_steps(open_page: Open, site: Site) -> None:
    job = a_job_with_a_supernet(site.service.store, name="shared-panels")
    page = open_page(f"/ui/jobs/{job.id}")
    panel(page, "What the supernet learned")
    page.get_by_role("region", name="What the supernet learned").get_by_label("parameter").select_option("optimizer")
    wait_until_drawn(page, "probabilities by step", "options.yAxis?.[0]?.data.join() === 'sgd,adamw'")
    for name in ("entropy", "reward"):
        expect(page.get_by_role("img", name=f"{name} by step").locator("canvas").first).to_be_visible()


def test_a_trial_shows_its_network_its_log_as_it_is_written_and_its_pictures(open_page: Open, search: Running) -> None:
    number = search.propose()
    search.start(number)
    search.flush()
    folder = search.service.settings.trial_dir(search.id, search.trials[number])
    folder.mkdir(parents=True)
    page = open_page(f"/ui/jobs/{search.id}/trials/{number}")
    network = page.get_by_role("region", name="Architecture")
    for words in ("inverted residual", "classifier", "For images of 1 x 8 x 8 px"):
        expect(network.get_by_text(words).first).to_be_visible()
    expect(page.get_by_text("No log yet")).to_be_visible()
    with (folder / "trial.log").open("a") as log:
        for words in ("the first line", "the second line"):
            log.write(f"{words}\n")
            log.flush()
            expect(page.get_by_role("log").get_by_text(words)).to_be_visible()
    (folder / "boxes-3.png").write_bytes(PIXEL)
    files = (FileMade("boxes-3.png", len(PIXEL), "0f" * 32), FileMade("model.safetensors", 7, "0f" * 32))
    search.measure(number, 1, 0.5)
    search.end(number, Outcome(TrialState.SUCCEEDED, files=files))
    search.flush()
    expect(page.get_by_role("link", name="Download the model")).to_be_visible()
    picture = page.get_by_role("img", name="boxes-3.png")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("image => image.naturalWidth === 1", arg=picture.element_handle())

"""Panels of the job page and the trial page, as readers use them."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, Position, expect

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
    parameters.get_by_label("x axis").select_option("optimizer")
    parameters.get_by_label("Metric").select_option("params")
    wait_until_drawn(page, "Rank.", "options.xAxis?.[0]?.name === 'optimizer'")


def test_the_timeline_is_read_when_it_is_looked_at(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.get_by_text("Loading …")).to_be_attached()
    timeline.scroll_into_view_if_needed()
    expect(timeline.get_by_text("Loading …")).to_be_hidden()
    expect(timeline.locator("canvas").first).to_be_visible()


def test_the_curve_under_the_pointer_says_whose_it_is_and_leads_there(open_page: Open, search: Running) -> None:
    page = open_page(f"/ui/jobs/{search.id}")
    curves = _curves(page)
    _canvas(page).click(position=_middle(page, trial=2))
    curves.get_by_role("link", name="trial #2:").click()
    expect(page.get_by_role("heading", name="Trial #2", exact=True)).to_be_visible()


@pytest.mark.parametrize("width", [400, 1280, 1920])
def test_a_curve_reacts_between_its_data_points_and_nothing_far_from_all(
    open_page: Open, two_curves: Running, width: int
) -> None:
    """Curves of two data points each: their middles are far from every data point."""
    page = open_page(f"/ui/jobs/{two_curves.id}")
    page.set_viewport_size({"width": width, "height": 900})
    whose = _curves(page).get_by_role("link", name="trial #")
    for trial, value in ((0, "0.3"), (1, "0.6")):
        place = _middle(page, trial)
        assert min(math.dist(point, (place["x"], place["y"])) for point in _data_points(page)) > CURVE_REACH
        _canvas(page).hover(position=place)
        expect(whose).to_have_text(f"trial #{trial}: {value} after epoch 8")
        expect(_chart(page)).to_contain_text(f"trial #{trial}")
        _wait_until_highlighted(page, trial)
    _canvas(page).hover(position=_far_from_all(page))
    expect(whose).to_have_count(0)
    _wait_until_highlighted(page, None)
    _canvas(page).click(position=_middle(page, 1))
    _canvas(page).hover(position=_far_from_all(page))
    expect(whose).to_have_text("trial #1: 0.6 after epoch 8")
    _wait_until_highlighted(page, 1)
    _canvas(page).click(position=_far_from_all(page))
    expect(whose).to_have_count(0)


def test_a_pinned_curve_stays_highlighted_when_the_chart_is_drawn_anew(open_page: Open, site: Site) -> None:
    job = _with_curves(site, "pinned", {1: 0.3, 8: 0.8})
    page = open_page(f"/ui/jobs/{job.id}")
    _curves(page)
    _canvas(page).click(position=_middle(page, 0))
    page.mouse.move(1, 1)
    _wait_until_highlighted(page, 0)
    _add_curve(job, {1: 0.1, 8: 0.2})
    wait_until_drawn(page, "Learning curves", "options.series.some(one => one.data.some(point => point?.[2] === 1))")
    _wait_until_highlighted(page, 0)


@pytest.fixture(scope="module")
def two_curves(site: Site) -> Running:
    return _with_curves(site, "two-curves", {1: 0.1, 8: 0.3}, {1: 0.9, 8: 0.6})


def _with_curves(site: Site, name: str, *curves: Mapping[int, float]) -> Running:
    """Create a job with a trial per curve, each a mapping from epochs to accuracy."""
    job = Running(site.service, name=name)
    for curve in curves:
        _add_curve(job, curve)
    return job


def _add_curve(job: Running, curve: Mapping[int, float]) -> None:
    number = job.propose()
    job.start(number)
    for epoch, accuracy in curve.items():
        job.measure(number, epoch, accuracy)
    job.end(number)
    job.flush()


CURVE_REACH = 30
"""Maximal distance in pixels between the pointer and a curve that reacts, as in page.js."""
POINTS = """(element) => {
    const { chart } = getElement(Number(element.id.slice(1)));
    return chart.getOption().series
        .flatMap(({ id, data }) => (id === "highlight" ? [] : data))
        .filter((point) => point && point[0] !== null)
        .map(([epoch, value, trial]) => [...chart.convertToPixel({ gridIndex: 0 }, [epoch, value]), trial]);
}"""
"""Every data point of the curves: its pixels and its trial, in the order of epochs within a trial."""
IS_READY = (
    "getElement(Number(element.id.slice(1))).chart.readCurves"
    " && getElement(Number(element.id.slice(1))).chart.getWidth() === element.clientWidth"
    " && getElement(Number(element.id.slice(1))).chart.getHeight() === element.clientHeight"
)
"""The chart fills its element and reacts to the pointer."""


def _curves(page: Page) -> Locator:
    """Return the panel of the learning curves once its chart fills its element and reacts."""
    panel(page, "Learning curves")
    wait_until_drawn(page, "Learning curves", IS_READY)
    return page.get_by_role("region", name="Learning curves")


def _chart(page: Page) -> Locator:
    return page.get_by_role("img", name="Learning curves")


def _canvas(page: Page) -> Locator:
    return _chart(page).locator("canvas")


def _data_points(page: Page, trial: int | None = None) -> list[tuple[float, float]]:
    """Return the pixels of the data points of a trial, or of all trials, by the chart's own coordinates."""
    return [(x, y) for x, y, number in _chart(page).evaluate(POINTS) if trial in (None, number)]


def _middle(page: Page, trial: int) -> Position:
    """Return the middle of the longest segment of a trial's curve."""
    points = _data_points(page, trial)
    start, end = max(pairwise(points), key=lambda ends: math.dist(*ends))
    return {"x": (start[0] + end[0]) / 2, "y": (start[1] + end[1]) / 2}


def _far_from_all(page: Page) -> Position:
    """Return the position in the chart that is farthest from every curve."""
    trials = {number for _, _, number in _chart(page).evaluate(POINTS)}
    segments = [ends for trial in trials for ends in pairwise(_data_points(page, trial))]
    on_curves = np.concatenate([np.linspace(start, end, 200) for start, end in segments])
    box = _canvas(page).bounding_box()
    assert box is not None
    width, height = np.arange(2, box["width"] - 2, 4), np.arange(2, box["height"] - 2, 4)
    places = np.stack(np.meshgrid(width, height), -1).reshape(-1, 2)
    gaps = np.linalg.norm(places[:, None] - on_curves, axis=-1).min(axis=1)
    assert gaps.max() > CURVE_REACH + 5
    x, y = places[gaps.argmax()].tolist()
    return {"x": x, "y": y}


def _wait_until_highlighted(page: Page, trial: int | None) -> None:
    """Wait until the curve of the trial is highlighted, or no curve if None."""
    highlighted = "options.series.find(one => one.id === 'highlight').data.map(point => point[2])"
    expected = "length === 0" if trial is None else f"join() === '{trial},{trial}'"
    wait_until_drawn(page, "Learning curves", f"{highlighted}.{expected}")


def test_a_click_counts_although_the_curve_is_drawn_anew_meanwhile(open_page: Open, search: Running) -> None:
    """A slow click, or a running search, can put another line under the pointer before the button is released."""
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
    panel(page, "Supernet training")
    page.get_by_role("region", name="Supernet training").get_by_label("Parameter").select_option("optimizer")
    wait_until_drawn(page, "Option probabilities by step", "options.yAxis?.[0]?.data.join() === 'sgd,adamw'")
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

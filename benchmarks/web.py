"""The page of a job of 10,000 and of 100,000 trials in Chromium, and the API with 50 open pages.

The reference of a large job's page is the page of a job of 24 trials; the reference of the API is itself without open
pages.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import httpx
import numpy as np
import psutil
from playwright.sync_api import Browser, sync_playwright

from benchmarks.report import Row
from benchmarks.stores import fill
from searchsvc.domain import Proposal
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import schema
from tests.support.pages import Running
from tests.support.sites import CHROMIUM_ARGUMENTS, NoChromium, Site, chromium_path, serving

COUNTS = (10_000, 100_000)
SMALL = 24
READERS = 50
OPENINGS = 3
FIRST_PAINT_SECONDS, USABLE_SECONDS, API_SECONDS = 1.0, 2.0, 0.2
LOAD_SECONDS = 20.0
STEPS = 5
CANDIDATES = 1000
"""Number of different candidates."""
_MEGABYTE = 1 << 20
_WATCH = """
(() => {
  const look = () => {
    const numbers = document.querySelector(".funnel .number")?.textContent;
    const rows = document.querySelector(".ag-center-cols-container .ag-row");
    const best = document.querySelector("section[aria-label='Best so far'] canvas");
    if (numbers && rows && best?.offsetParent)
      setTimeout(() => { window.usableAt = performance.now(); });
    else requestAnimationFrame(look);
  };
  look();
})();
"""
"""The page is usable: figures, table rows and the best trials are there, and the browser can answer the reader."""


@dataclass(frozen=True, slots=True)
class Look:
    """The times of opening a page in a browser that has the scripts already."""

    first_paint_seconds: float
    usable_seconds: float
    heap_bytes: float
    nodes: float


def run() -> list[Row]:
    try:
        chromium = chromium_path()
    except NoChromium as missing:
        return [Row("pages", "not measured", str(missing))]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = Settings(data_dir=Path(folder), ray_address=None).prepare()
        schema.upgrade(settings.database_url)
        with playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS) as browser:
            rows: list[Row] = []
            with serving(settings) as site:
                small = _job(site, settings, SMALL)
                beside = _median(browser, site, small)
                for count in COUNTS:
                    rows += _of_size(browser, site, settings, count, beside)
            with serving(settings) as site:  # a new process, whose memory serves only the readers
                rows += _many_readers(site, _job(site, settings, COUNTS[0]))
        return rows


def _job(site: Site, settings: Settings, count: int) -> Running:
    running = Running(site.service, name=f"of-{count}", budget={"trials": 1_000_000})
    candidates = running.space.from_matrix(running.space.sample(min(count, CANDIDATES), np.random.default_rng(0)))

    def propose(number: int) -> Proposal:
        costs = {"flops": 1e4 + number * 104_729 % 600_000, "params": 1e3 + number % 977}
        return Proposal(candidates[number % len(candidates)], asks=number + 1, told=number, costs=costs)

    running.trials += fill(settings.database_url, running.id, count, propose=propose, steps=STEPS)
    return running


def _of_size(browser: Browser, site: Site, settings: Settings, count: int, beside: Look) -> Iterator[Row]:
    job = _job(site, settings, count)
    first, again = _look(browser, site, job), _median(browser, site, job)
    for what, mine, theirs, limit in (
        ("first paint", again.first_paint_seconds, beside.first_paint_seconds, FIRST_PAINT_SECONDS),
        ("usable, after others", again.usable_seconds, beside.usable_seconds, USABLE_SECONDS),
        ("usable, for the first reader", first.usable_seconds, beside.usable_seconds, USABLE_SECONDS),
    ):
        reference = f"{theirs:.2f} s  {SMALL} trials"
        yield Row(
            f"{count:,} trials: {what}", f"{mine:.2f} s", reference, mine / theirs, f"<= {limit} s", mine <= limit
        )
    yield Row(
        f"{count:,} trials: memory of the page",
        f"{again.heap_bytes / _MEGABYTE:.0f} MB, {again.nodes:,.0f} nodes",
        f"{beside.heap_bytes / _MEGABYTE:.0f} MB  {SMALL} trials",
        again.heap_bytes / beside.heap_bytes,
    )
    yield Row(f"{count:,} trials: memory of the server", _memory(site), "")


def _memory(site: Site) -> str:
    return f"{psutil.Process(site.process.pid).memory_info().rss / _MEGABYTE:.0f} MB"


def _median(browser: Browser, site: Site, job: Running) -> Look:
    looks = [_look(browser, site, job) for _ in range(OPENINGS)]
    return sorted(looks, key=lambda one: one.usable_seconds)[OPENINGS // 2]


def _look(browser: Browser, site: Site, job: Running) -> Look:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    try:
        page = context.new_page()
        page.goto(f"{site.address}/ui/sign-in")
        page.fill("#token", site.secret(Scope.READ))
        page.keyboard.press("Enter")
        page.wait_for_url(f"{site.address}/ui/")
        page.goto(f"{site.address}/ui/spaces")
        page.add_init_script(_WATCH)
        page.goto(f"{site.address}/ui/jobs/{job.id}")
        usable = page.wait_for_function("window.usableAt", timeout=120_000).json_value()
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        tools = context.new_cdp_session(page)
        tools.send("Performance.enable")
        tools.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in tools.send("Performance.getMetrics")["metrics"]}
        return Look(paint / 1000, usable / 1000, metrics["JSHeapUsedSize"], metrics["Nodes"])
    finally:
        context.close()


def _many_readers(site: Site, job: Running) -> Iterator[Row]:
    with _at_work(job):
        alone = _api(site, job)
        before = _memory(site)
        path, secret = f"/ui/jobs/{job.id}", site.secret(Scope.READ)
        command = [sys.executable, "-m", "benchmarks.web_readers", site.address, secret, path, str(READERS)]
        with subprocess.Popen([*command, str(2.5 * LOAD_SECONDS)], stdout=subprocess.PIPE, text=True) as readers:
            try:
                time.sleep(LOAD_SECONDS)  # until all pages are open
                beside = _api(site, job)
                after = _memory(site)
                said = json.loads(readers.communicate()[0])
            finally:
                readers.kill()
    for name in alone:
        mine, theirs = _p95(beside[name]), _p95(alone[name])
        yield Row(
            f"GET {name} beside {READERS} open pages, p95",
            f"{1000 * mine:.0f} ms",
            f"{1000 * theirs:.0f} ms  no open page",
            mine / theirs,
            f"<= {1000 * API_SECONDS:.0f} ms",
            mine <= API_SECONDS,
        )
    each = said["letters"] / READERS / _MEGABYTE
    yield Row("sent to each open page", f"{each:.1f} MB in {2.5 * LOAD_SECONDS:.0f} s", "")
    yield Row(f"connections lost of {READERS}", str(said["lost"]), "", None, "0", said["lost"] == 0)
    yield Row(f"memory of the server, {READERS} open pages", after, f"{before}  none")


@contextmanager
def _at_work(job: Running) -> Iterator[None]:
    """Run a driver that starts and ends two trials and stores some twenty measurements a second."""
    over = Event()

    def work() -> None:
        while not over.wait(0.5):
            number = job.propose()
            job.start(number)
            for step in range(1, 11):
                job.measure(number, step, 0.5 + step / 40)
            job.end(number)
            job.flush()

    thread = Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _api(site: Site, job: Running) -> dict[str, list[float]]:
    """Return the seconds of consecutive requests during a period, by path."""
    paths = {"/jobs": "/jobs", "/jobs/JOB": f"/jobs/{job.id}", "/jobs/JOB/trials": f"/jobs/{job.id}/trials"}
    took: dict[str, list[float]] = {name: [] for name in paths}
    headers = {"Authorization": f"Bearer {site.secret(Scope.READ)}"}
    with httpx.Client(base_url=f"{site.address}/api/v1", headers=headers, timeout=60) as client:
        end = time.monotonic() + LOAD_SECONDS
        while time.monotonic() < end:
            for name, path in paths.items():
                started = time.perf_counter()
                client.get(path).raise_for_status()
                took[name].append(time.perf_counter() - started)
                time.sleep(0.05)
    return took


def _p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]

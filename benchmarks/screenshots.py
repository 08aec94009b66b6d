"""`python -m benchmarks.screenshots`: runs real jobs, and takes pictures of all their pages for the documentation.

Each page of `tests.support.ui_pages` is taken in light and in dark, wide and narrow, into docs/screenshots, and
docs/screenshots.md is written again.
"""

from __future__ import annotations

import io
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

from searchsvc.domain import Job
from searchsvc.service.service import Service
from searchsvc.service.system.tokens import Scope
from searchsvc.settings import Settings
from searchsvc.store import schema
from tests.support.sites import CHROMIUM_ARGUMENTS, Site, chromium_path, serving
from tests.support.ui_pages import PAGES

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "screenshots"
JOBS: Mapping[str, Mapping[str, Any]] = {
    "fbnetv3": {
        "algorithm": {"name": "fbnetv3", "batch": 8, "top": 2},
        "fidelity": {"epochs": 4},
        "budget": {"trials": 24, "seconds": 600},
    },
    "digits": {"fidelity": {"epochs": 4}, "budget": {"trials": 12, "seconds": 120}},
}
"""Examples to run, with changes to their specs; the pictures show the first."""
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = {"wide": 1400, "narrow": 390}
_TALLEST = 2200
_JOB_SECONDS = 900.0
_SETTLE_MILLISECONDS = 1500


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # on SIGTERM, child processes are ended as well
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        settings = Settings(data_dir=Path(folder), ray_address=None).prepare()
        schema.upgrade(settings.database_url)
        with (
            serving(settings, with_controller=True) as site,
            playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS) as browser,
        ):
            jobs = [_run(site.service, name, changes) for name, changes in JOBS.items()]
            site.service.labels.relabel(jobs[0].id)
            best = site.service.results.best(jobs[0].id, 2)
            places = {"job": jobs[0].id, "trial": best[0].number, "other": best[-1].number}
            FOLDER.mkdir(exist_ok=True)
            for theme in THEMES:
                context = browser.new_context(color_scheme=theme, locale="en-GB", timezone_id="UTC")
                _sign_in(context, site)
                for (name, path), size in product(PAGES.items(), WIDTHS):
                    picture = _picture(context.new_page(), site.address + path.format(**places), WIDTHS[size])
                    picture.save(FOLDER / f"{name}-{theme}-{size}.webp", quality=70, method=6)
                context.close()
    page = "\n".join(_page_of_pictures())
    (ROOT / "docs" / "screenshots.md").write_text(page, encoding="utf-8")


def _run(service: Service, name: str, changes: Mapping[str, Any]) -> Job:
    """Run an example to its end."""
    document = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text(encoding="utf-8"))
    job, _ = service.jobs.submit({**document, **changes}, owner=service.access.create("you", scope=Scope.SUBMIT)[0])
    end = time.monotonic() + _JOB_SECONDS
    while not (current := service.jobs.get(job.id)).state.is_final:
        if time.monotonic() > end:
            raise TimeoutError(f"{name} is {current.state.value.lower()} after {_JOB_SECONDS:.0f} s")
        time.sleep(1)
    return current


def _sign_in(context: BrowserContext, site: Site) -> None:
    page = context.new_page()
    page.goto(f"{site.address}/ui/sign-in")
    page.fill("#token", site.secret(Scope.ADMIN))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/ui/")
    page.close()


def _picture(page: Page, address: str, width: int) -> Image.Image:
    """Take the whole page from its top, up to the height `_TALLEST`."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)
    page.wait_for_timeout(_SETTLE_MILLISECONDS)
    height = min(_TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": height})
    page.wait_for_timeout(_SETTLE_MILLISECONDS // 3)
    taken = page.screenshot(animations="disabled")
    page.close()
    return Image.open(io.BytesIO(taken)).convert("RGB")


def _page_of_pictures() -> Iterator[str]:
    yield "# Screenshots\n"
    yield "Every [page](web.md) after real runs, taken by `make screenshots`.\n"
    for name, path in PAGES.items():
        yield f"## {name.replace('-', ' ').capitalize()}\n"
        yield f"`{path.format(job='JOB', trial='NUMBER', other='OTHER')}`\n"
        for theme, size in product(THEMES, WIDTHS):
            width = "{ width=30% }" if size == "narrow" else ""
            yield f"![{name}, {theme}, {size}](screenshots/{name}-{theme}-{size}.webp){width}\n"


if __name__ == "__main__":
    main()

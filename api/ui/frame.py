"""The frame of every page: sign-in, navigation, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from nicegui import background_tasks, ui

from api.problems import KINDS
from api.ui.context import PageContext, page_context_of
from api.ui.live.topics import Topic, Watcher
from api.ui.parts import theme
from api.ui.parts.visibility import visible
from api.ui.parts.widgets import Text, box, link, notice
from api.ui.session import PATH, Visitor, sign_in_path
from searchsvc.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    SearchsvcError,
    StoreUnavailable,
    Unauthenticated,
)

T = TypeVar("T")
Build = Callable[[PageContext, Visitor], Awaitable[None]]

NAVIGATION = (("Jobs", f"{PATH}/"), ("Spaces", f"{PATH}/spaces"), ("Cluster", f"{PATH}/cluster"))
_CHECK_SECONDS = 5.0
"""Interval at which an open page checks that its visitor is still signed in."""
_ANSWER_SECONDS = 6.0
"""Time after which a page reports that the database does not answer."""


async def framed(request: Request, title: str, here: str, build: Build) -> Response | None:
    """Show a page to a visitor who is signed in; redirect others to the sign-in page."""
    context = page_context_of(request)
    set_up(request, title)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            visitor = await context.visitor(request)
    except TimeoutError:
        with _main():
            _show_error(StoreUnavailable("your token cannot be checked"))
        return None
    except Unauthenticated:
        onward = f"{PATH}{request.url.path.removeprefix(PATH)}"
        return RedirectResponse(sign_in_path("" if onward == f"{PATH}/" else "needed", onward), 303)
    except SearchsvcError as error:
        with _main():
            _show_error(error)
        return None
    _top(here, visitor)
    with _main() as main:
        try:
            await build(context, visitor)
        except SearchsvcError as error:
            main.clear()
            _show_error(error)
            return None
    background_tasks.create(_watch_sign_in(context, visitor, ui.context.client), name="sign-in of a page")
    return None


def set_up(request: Request, title: str) -> None:
    """Set the title, the style sheet, the script and the light or dark mode."""
    ui.page_title(f"{title} - searchsvc")
    ui.add_head_html(f"<style>{theme.css()}</style><script>{theme.script()}</script>")
    ui.dark_mode({"dark": True, "light": False}.get(request.cookies.get("searchsvc_theme", "")))


def _main() -> Any:
    main = box("content")
    main.props["id"], main.props["tabindex"] = "main", "-1"  # the target of the link that skips the header
    return main


def _top(here: str, visitor: Visitor) -> None:
    link("Skip to content", "#main", "skip")
    with box("top", "header"):
        with link("", f"{PATH}/", "brand"):
            icon = box("", "img")
            icon.props["src"], icon.props["alt"] = f"{PATH}/favicon.ico", ""
            Text("span", "searchsvc")
        with box("", "nav") as navigation:
            navigation.props["aria-label"] = "Pages"
            for name, target in NAVIGATION:
                entry = link(name, target)
                if name == here:
                    entry.props["aria-current"] = "page"
        with box("who"):
            Text("span", f"{visitor.token.name} ({visitor.token.scope})", "name")
            theme_button()
            with box("", "form") as form:
                form.props["method"], form.props["action"] = "post", f"{PATH}/sign-out"
                Text("button", "Sign out", "plain").props["type"] = "submit"


def theme_button() -> None:
    """A button that switches between light and dark mode in the browser."""
    button = Text("button", "◐", "plain")
    button.props["type"], button.props["aria-label"] = "button", "Switch between light and dark"
    button.on("click", js_handler="() => switchTheme()")


def error_text(error: SearchsvcError) -> str:
    """The message of an error for a visitor, without the database's address."""
    kind = next((KINDS[one] for one in type(error).__mro__ if one in KINDS), None)
    if isinstance(error, InvalidInput):
        return "; ".join(f"{fault.pointer or 'the document'}: {fault.message}" for fault in error.faults)
    return f"{kind.title}: {kind.detail}" if kind and kind.detail else str(error)


_TITLES: tuple[tuple[type[SearchsvcError], str, int], ...] = (
    (NotFound, "Not found", 404),
    (Conflict, "This page cannot be shown", 409),
    (InvalidInput, "This page cannot be shown", 422),
    (Forbidden, "Your token does not allow this", 403),
    (StoreUnavailable, "The database does not answer", 503),
)


def _show_error(error: SearchsvcError) -> None:
    """Show an error in place of the page."""
    title, status = next(
        ((title, status) for kind, title, status in _TITLES if isinstance(error, kind)), ("Something went wrong", 500)
    )
    ui.context.client.status_code = status
    with box("card empty"):
        Text("h1", title)
        Text("p", error_text(error), "wrap")
        with box("row"):
            link("Try again", "")
            link("All jobs", f"{PATH}/")


async def _watch_sign_in(context: PageContext, visitor: Visitor, client: Any) -> None:
    """Leave the page when the token is revoked or has expired."""
    with suppress(TimeoutError):
        await client.connected(timeout=60)
    while not client.is_deleted:
        try:
            await context.call(context.service.access.authenticate, visitor.secret)
        except Unauthenticated:
            client.open(sign_in_path("expired").removeprefix(PATH))
            return
        except StoreUnavailable:
            pass
        await asyncio.sleep(_CHECK_SECONDS)


def follow(topic: Topic[T], show: Callable[[T], None], *, reports_errors: bool = True) -> None:
    """Show every new view of a topic until the page is closed, and a notice while the topic cannot be read.

    Reading starts at once, while the browser still loads the page. A page in a background tab shows nothing new until
    it is visible again.

    `reports_errors`: False if another topic on the page reports errors.
    """
    client = ui.context.client
    problem = notice("", bad=True).classes("hidden")

    async def run() -> None:
        with topic.watched() as watcher:
            with suppress(TimeoutError):
                await client.connected(timeout=60)
            while not client.is_deleted:
                await watcher.next()
                await visible(client).wait()
                if client.is_deleted:
                    return
                with client:
                    if reports_errors:
                        _report(problem, watcher)
                    if watcher.view is not None:
                        show(watcher.view)

    task = background_tasks.create(run(), name="what a page shows")
    client.on_delete(lambda: task.cancel())


def _report(problem: Text, watcher: Watcher[Any]) -> None:
    error = watcher.problem
    if isinstance(error, NotFound):
        problem.set_text("This job has been deleted. The page shows its last known state.")
    elif error is not None:
        problem.set_text(f"{error_text(error)}. The page shows older data and will update automatically.")
    problem.classes(remove="hidden") if error else problem.classes(add="hidden")


async def attempt(
    context: PageContext, visitor: Visitor, scope: Any, call: Callable[[], object], done: str = ""
) -> bool:
    """Run the action of a button if the visitor's token allows it, and notify the visitor of errors and of `done`."""
    try:
        await context.admit(visitor, scope)
        await context.call(call)
    except Unauthenticated:
        ui.navigate.to(sign_in_path("expired").removeprefix(PATH))
        return False
    except SearchsvcError as error:
        ui.notify(error_text(error), type="negative", timeout=8000, close_button="Close")
        return False
    if done:
        ui.notify(done, type="positive")
    return True

"""Mount the pages on the app of the REST interface, once per process, because NiceGUI has one app per process."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import RedirectResponse
from nicegui import core, ui
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.rest.sse import Feed
from api.ui import files, pages, session
from api.ui.context import PageContext, page_context_of
from api.ui.pages import sign_in
from api.ui.session import PATH, Links, sign_in_path
from searchsvc.errors import SearchsvcError, Unauthenticated
from searchsvc.service.service import Service

_ANSWER_SECONDS = 6.0
"""Time for which the check of a visitor's token waits for the database."""
ICON = Path(__file__).parent / "assets" / "icon.svg"
_RECONNECT_SECONDS = 20.0
"""Time for which a disconnected page is kept. Pings must be answered within 0.4 of it, which leaves time for a busy
browser or machine.
"""
QUASAR = {"brand": {"primary": "var(--accent)"}, "loadingBar": {"skipHijack": True}}
"""Options of Quasar: buttons use the accent colour; background requests show no loading bar."""
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'self'",
            "script-src 'self' 'unsafe-inline' 'unsafe-eval'",  # NiceGUI's page is a script, Vue compiles templates
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "same-origin",  # stricter policies hide the Origin of our own forms
}
"""Headers of pages, in place of those of the REST interface: nothing is loaded from other hosts."""


def mount(app: FastAPI, service: Service, links: Links | None = None) -> Links:
    """Mount the pages below /ui of the app. Return the sign-in links, which are `links` if passed."""
    feed: Feed = app.state.feed
    app.state.links = links = links or Links()
    app.include_router(session.router)
    app.include_router(files.router)
    app.include_router(sign_in.router)
    app.add_api_route("/", _home, include_in_schema=False)
    app.add_api_route(PATH, _home, include_in_schema=False)
    app.state.page_context = core.app.state.page_context = PageContext(service, feed)
    core.app.add_middleware(SignInCheck)
    core.app.add_middleware(PageHeaders)
    core.sio.eio.cors_allowed_origins = None  # sockets are for pages of our own origin
    core.app.config.quasar_config.update(QUASAR)
    pages.register()
    ui.run_with(
        app,
        title="searchsvc",
        favicon=ICON,
        dark=None,
        mount_path=PATH,
        tailwind=False,
        reconnect_timeout=_RECONNECT_SECONDS,
        gzip_middleware_factory=lambda inner: GZipMiddleware(inner, minimum_size=1000, compresslevel=1),
        show_welcome_message=False,
    )
    return links


def _home(request: Request) -> RedirectResponse:  # noqa: ARG001 - FastAPI passes it
    return RedirectResponse(f"{PATH}/", 303)


class SignInCheck:
    """Middleware that sends visitors without a valid token to the sign-in page.

    It does so before NiceGUI makes a page for them, which stays in memory for a minute.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_asset(scope["path"]):
            request = Request(scope)
            with suppress(TimeoutError, SearchsvcError):  # the page shows any other error
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        await page_context_of(request).visitor(request)
                except Unauthenticated:
                    path = f"{PATH}{scope['path'].removeprefix(PATH)}"
                    answer = RedirectResponse(sign_in_path("" if path == f"{PATH}/" else "needed", path), 303)
                    await answer(scope, receive, send)
                    return
        await self.app(scope, receive, send)


def _is_asset(path: str) -> bool:
    """Return whether a path belongs to NiceGUI's scripts and sockets, or is the icon."""
    return path.removeprefix(PATH).startswith(("/_nicegui/", "/_nicegui_ws/", "/favicon.ico"))


class PageHeaders:
    """Middleware that sets the headers of the pages."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, with_headers)

"""The HTTP server of the REST interface and the web page: only here does the command line import the page."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.cli.addresses import address_of, listener
from api.rest.app import create_app
from api.ui.session import Links
from searchsvc.controller.controller import Controller
from searchsvc.errors import RuntimeUnavailable
from searchsvc.service.service import Service
from searchsvc.settings import Settings

GRACE_SECONDS = 3  # open event streams never end by themselves
_END_SECONDS = 5.0
"""A command waits no longer for the page to end: open pages are cut off."""


class Server(uvicorn.Server):
    """A server with a controller. It ends if the controller dies, and leaves its drivers running in a restart."""

    def __init__(self, config: uvicorn.Config, controller: Controller | None = None) -> None:
        super().__init__(config)
        self._controller = controller

    async def on_tick(self, counter: int) -> bool:
        """Return whether the server must end: called ten times a second."""
        return await super().on_tick(counter) or (self._controller is not None and self._controller.has_died)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the server, and note whether the drivers keep running."""
        if self._controller is not None:
            self._controller.leave_drivers = is_restart(sig)
        super().handle_exit(sig, frame)


def is_restart(number: int) -> bool:
    """Return whether drivers keep running after a signal.

    SIGTERM comes from a supervisor that starts the service again; Ctrl-C does not.
    """
    return number == signal.SIGTERM


def web_app(
    service: Service, *, controller: Controller | None = None, links: Links | None = None
) -> tuple[FastAPI, Links]:
    """Return the REST interface with the web page mounted on it, and the links that sign in to the page."""
    from api.ui.mount import mount  # NiceGUI takes a second to load: `searchctl run` does that in a thread

    app = create_app(service, settings=service.settings, controller=controller)
    return app, mount(app, service, links)


@contextmanager
def page(service: Service, onward: str, *, any_port: bool, signs_in: bool) -> Iterator[str]:
    """Serve the web page in a thread for the duration of the block; yield its link to `onward`.

    `signs_in`: the link also signs in, once. `any_port`: use a free port if the port of the settings is taken. Raises
    RuntimeUnavailable if the server cannot listen.
    """
    with _listener(service.settings, any_port) as bound:
        bound.listen()  # a browser that opens the link before the page is ready waits for it
        links = Links()
        serving = _PageThread(service, bound, links)
        serving.start()
        try:
            address, token = address_of(service.settings, bound), service.access.local_token()
            yield f"{address}{links.make(token, onward)}" if signs_in else f"{address}{onward}"
        finally:
            serving.end()


def _listener(settings: Settings, any_port: bool) -> socket.socket:
    try:
        return listener(settings)
    except RuntimeUnavailable:
        if not any_port:
            raise
    return listener(replace(settings, port=0))


class _PageThread(threading.Thread):
    """Loads the page and serves it while the command continues."""

    def __init__(self, service: Service, bound: socket.socket, links: Links) -> None:
        super().__init__(name="web page", daemon=True)
        self._service, self._bound, self._links = service, bound, links
        self._is_over = threading.Event()
        self._server: uvicorn.Server | None = None

    def run(self) -> None:
        app, _ = web_app(self._service, links=self._links)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # its messages would break the progress bars
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
        self._server = uvicorn.Server(config)
        if not self._is_over.is_set():
            self._server.run(sockets=[self._bound])

    def end(self) -> None:
        """Stop serving."""
        self._is_over.set()
        if self._server is not None:
            self._server.should_exit = True
        self.join(_END_SECONDS)

"""The web page beside a command that runs something else: in a thread, for as long as the command lasts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

    from api.ui.session import Links
    from searchsvc.service.service import Service
    from searchsvc.settings import Settings

_END_SECONDS = 5.0
"""Nothing waits longer for it: open pages are cut off."""


@contextmanager
def page(service: Service, onward: str, *, any_port: bool) -> Iterator[str]:
    """The page over `service`, on the port of its settings; a link to it that signs in once, and leads to `onward`.

    `any_port`: a free one where that one is taken. Raises RuntimeUnavailable where nothing can listen.
    """
    from api.cli.commands.serving import address_of
    from api.ui.session import Links

    with _listener(service.settings, any_port) as bound:
        bound.listen()  # who opens the link before the page is ready waits for it
        links = Links()
        serving = _Serving(service, bound, links)
        serving.start()
        try:
            link = links.make(service.access.local_token())
            yield f"{address_of(service.settings, bound)}{link}?next={onward}"
        finally:
            serving.end()


def _listener(settings: Settings, any_port: bool) -> socket.socket:
    from api.cli.commands.serving import listener
    from searchsvc.errors import RuntimeUnavailable

    try:
        return listener(settings)
    except RuntimeUnavailable:
        if not any_port:
            raise
    return listener(settings.model_copy(update={"port": 0}))


class _Serving(threading.Thread):
    """Loads the page and serves it; the command has long begun by then."""

    def __init__(self, service: Service, bound: socket.socket, links: Links) -> None:
        super().__init__(name="web page", daemon=True)
        self._service, self._bound, self._links = service, bound, links
        self._over = threading.Event()
        self._server: Any = None

    def run(self) -> None:
        import uvicorn

        from api.cli.commands.serving import GRACE_SECONDS
        from api.rest.app import create_app
        from api.ui.mount import mount

        app = create_app(self._service, settings=self._service.settings)
        mount(app, self._service, self._links)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what it says would tear the progress bars
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
        self._server = uvicorn.Server(config)
        if not self._over.is_set():
            self._server.run(sockets=[self._bound])

    def end(self) -> None:
        self._over.set()
        if self._server is not None:
            self._server.should_exit = True
        self.join(_END_SECONDS)

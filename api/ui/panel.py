"""Panels: cards whose content is read in threads, and only while they are in view."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from nicegui import background_tasks, ui

from api.ui.context import PageContext
from api.ui.frame import error_text
from api.ui.parts.widgets import Text, box, card
from searchsvc.errors import SearchsvcError

T = TypeVar("T")

_SHORTEST_SECONDS = 2.0
_LONGEST_SECONDS = 30.0
_SHARE = 0.05
"""Maximal share of the time that is spent on reading a panel."""
_log = logging.getLogger(__name__)


class Panel(Generic[T]):
    """A card whose `content` is drawn when it first comes into view, and again after changes."""

    def __init__(
        self, context: PageContext, title: str, note: str, read: Callable[[], T], draw: Callable[[T], None]
    ) -> None:
        """Create a panel. `read` runs in a thread; a SearchsvcError from it is shown. `draw` shows its result."""
        self._context, self._read, self._draw, self._client = context, read, draw, ui.context.client
        self._in_view = self._is_observed = self._is_busy = False
        self._is_stale, self._wake = True, asyncio.Event()
        with card(title, note) as self.card:
            self.tools = box("row small panel-tools")
            with box("panel-area"):
                self._message = Text("p", "Loading …", "panel-message muted small")
                self.content = box("panel")
        self.card.on("seen", lambda: self._seen(True))
        self.card.on("unseen", lambda: self._seen(False))

    def changed(self) -> None:
        """Mark the content as stale, to be read again when due. Requires that the page is connected."""
        self._is_stale = True
        if not self._is_observed:
            self._is_observed = True
            ui.run_javascript(f"observeVisibility({self.card.id})")
        self._start()

    def refresh(self) -> None:
        """Read the content again at once, because the visitor has made another choice."""
        self._is_stale = True
        self._wake.set()
        self._start()

    def _seen(self, in_view: bool) -> None:
        self._in_view = in_view
        self._start()

    def _start(self) -> None:
        if self._in_view and self._is_stale and not self._is_busy:
            self._is_busy = True
            background_tasks.create(self._run(), name="a panel of a page")

    async def _run(self) -> None:
        try:
            while self._in_view and self._is_stale and not self._client.is_deleted:
                self._is_stale = False
                self._wake.clear()
                begun = time.monotonic()
                await self._show()
                pause = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, (time.monotonic() - begun) / _SHARE))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
        finally:
            self._is_busy = False

    async def _show(self) -> None:
        message = ""
        try:
            content = await self._context.call(self._read)
            if self._wake.is_set():  # the result of an earlier choice; the current one is read next
                return
            with self._client:
                self._draw(content)
        except SearchsvcError as error:
            message = error_text(error)
        except Exception as error:  # noqa: BLE001 - a panel that stays empty without a message would be worse
            _log.exception("a panel cannot be drawn")
            message = f"This panel cannot be drawn ({type(error).__name__}). See the service's log."
            self._is_stale = True
        self._message.set_text(message)
        self._message.set_visibility(bool(message))

"""Checks of the text in the editor while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from api.ui.context import PageContext
from api.ui.pages.new_job.draft import Draft, check_draft

PAUSE_SECONDS = 0.4
"""Pause in typing after which the text is checked."""


class DraftChecks:
    """Checks of the newest text, in a thread, after a pause in typing; never of two texts at the same time."""

    def __init__(self, context: PageContext, show: Callable[[Draft], None]) -> None:
        self._context, self._show = context, show
        self._text = ""
        self._requested = asyncio.Event()

    def request(self, text: str) -> None:
        self._text = text
        self._requested.set()

    async def run(self, client: Any) -> None:
        with suppress(TimeoutError):
            await client.connected(timeout=60)
        while not client.is_deleted:
            await self._requested.wait()
            while self._requested.is_set():
                self._requested.clear()
                await asyncio.sleep(PAUSE_SECONDS)
            draft = await self._context.call_slow(check_draft, self._context.service, self._text)
            if not self._requested.is_set() and not client.is_deleted:
                with client:
                    self._show(draft)

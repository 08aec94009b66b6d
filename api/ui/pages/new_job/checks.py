"""Checks of the text in the editor, while it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from api.ui.context import PageContext
from api.ui.pages.new_job.draft import Draft, check_draft

PAUSE_SECONDS = 0.4
"""The text is looked at when nothing was typed for so long."""


class DraftChecks:
    """Looks at the newest text, in a thread, once nothing has been typed for a moment; never at two texts at once."""

    def __init__(self, context: PageContext, show: Callable[[Draft], None]) -> None:
        self._context, self._show = context, show
        self._text = ""
        self._wanted = asyncio.Event()

    def want(self, text: str) -> None:
        self._text = text
        self._wanted.set()

    async def run(self, client: Any) -> None:
        with suppress(TimeoutError):
            await client.connected(timeout=60)
        while not client.is_deleted:
            await self._wanted.wait()
            while self._wanted.is_set():
                self._wanted.clear()
                await asyncio.sleep(PAUSE_SECONDS)
            draft = await self._context.call_slow(check_draft, self._context.service, self._text)
            if not self._wanted.is_set() and not client.is_deleted:
                with client:
                    self._show(draft)

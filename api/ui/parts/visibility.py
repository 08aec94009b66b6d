"""Visibility of pages: a page in a background tab is updated when it becomes visible again."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from nicegui import Client, ui

_shown: WeakKeyDictionary[Client, asyncio.Event] = WeakKeyDictionary()


def visible(client: Client) -> asyncio.Event:
    """Return an event that is set unless the page is hidden. Requires that the page is connected."""
    if client not in _shown:
        event = _shown[client] = asyncio.Event()
        event.set()
        with client:
            ui.on("visible", lambda change: event.set() if change.args else event.clear())
            ui.run_javascript("reportVisibility()")
    return _shown[client]

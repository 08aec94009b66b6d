"""Visibility of pages: a page in a background tab is updated when it becomes visible again."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from nicegui import Client, ui

_looked_at: WeakKeyDictionary[Client, asyncio.Event] = WeakKeyDictionary()


def visible(client: Client) -> asyncio.Event:
    """Return an event that is set unless the page is hidden. Requires that the page is connected."""
    if client not in _looked_at:
        event = _looked_at[client] = asyncio.Event()
        event.set()
        with client:
            ui.on("visible", lambda change: event.set() if change.args else event.clear())
            ui.run_javascript("reportVisibility()")
    return _looked_at[client]

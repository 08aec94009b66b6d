"""Whether a page is looked at: one in a tab behind others is brought up to date when its reader comes back to it."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from nicegui import Client, ui

_looked_at: WeakKeyDictionary[Client, asyncio.Event] = WeakKeyDictionary()


def visible(client: Client) -> asyncio.Event:
    """Set but while the page is hidden; once per page its browser is asked to say so. On pages that are connected."""
    if client not in _looked_at:
        event = _looked_at[client] = asyncio.Event()
        event.set()
        with client:
            ui.on("visible", lambda said: event.set() if said.args else event.clear())
            ui.run_javascript("reportVisibility()")
    return _looked_at[client]

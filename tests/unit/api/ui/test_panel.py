"""A panel reads in threads: what readers choose meanwhile is not lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from nicegui import Client, core, ui

from api.ui.context import PageContext
from api.ui.panel import Panel


class SlowContext:
    """Answers when it is let, with what was so when it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Queue[asyncio.Event]()

    async def call(self, read: Callable[[], str]) -> str:
        found, may_answer = read(), asyncio.Event()
        self.asked.put_nowait(may_answer)
        await may_answer.wait()
        return found


class Reader:
    """Looks at a panel that shows what was chosen and, as the panel of the parameters does, keeps to what it shows."""

    def __init__(self, context: SlowContext) -> None:
        self.chosen, self.drawn = "depth", asyncio.Queue[str]()
        self.panel = Panel(cast(PageContext, context), "Parameters", "", lambda: self.chosen, self._draw)

    def look(self) -> None:
        self.panel.changed()
        listener = next(one for one in self.panel.card._event_listeners.values() if one.type == "seen")
        cast(Any, listener.handler)()

    def choose(self, name: str) -> None:
        self.chosen = name
        self.panel.refresh()

    def _draw(self, found: str) -> None:
        self.chosen = found
        self.drawn.put_nowait(found)


def test_a_choice_made_while_the_one_before_is_read_is_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def choose_twice() -> list[str]:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        context, page = SlowContext(), Client(ui.page("/panel"))
        with page:
            reader = Reader(context)
            reader.look()
            first = await context.asked.get()
            reader.choose("optimizer")
            first.set()
            (await context.asked.get()).set()
            seen = [await reader.drawn.get(), reader.chosen]
        page.delete()
        return seen

    assert asyncio.run(asyncio.wait_for(choose_twice(), 10)) == ["optimizer", "optimizer"]

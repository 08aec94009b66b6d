"""A panel reads in threads and loses no choice that a reader makes in the meantime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from nicegui import Client, core, ui

from api.ui.context import PageContext
from api.ui.panel import Panel


class SlowContext:
    """A context that answers on request, with the value at the time of the call."""

    def __init__(self) -> None:
        self.calls = asyncio.Queue[asyncio.Event]()

    async def call(self, read: Callable[[], str]) -> str:
        answer, may_answer = read(), asyncio.Event()
        self.calls.put_nowait(may_answer)
        await may_answer.wait()
        return answer


class Reader:
    """A reader of a panel that keeps the choice that it shows, as the panel of parameters does."""

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

    def _draw(self, content: str) -> None:
        self.chosen = content
        self.drawn.put_nowait(content)


def test_a_choice_made_while_the_one_before_is_read_is_what_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async def choose_twice() -> list[str]:
        monkeypatch.setattr(core, "loop", asyncio.get_running_loop())
        context, page = SlowContext(), Client(ui.page("/panel"))
        with page:
            reader = Reader(context)
            reader.look()
            first = await context.calls.get()
            reader.choose("optimizer")
            first.set()
            (await context.calls.get()).set()
            seen = [await reader.drawn.get(), reader.chosen]
        page.delete()
        return seen

    assert asyncio.run(asyncio.wait_for(choose_twice(), 10)) == ["optimizer", "optimizer"]

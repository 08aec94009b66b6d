"""Draws random candidates of a space: by a seed, which is shown, so that the same one can be drawn again."""

from __future__ import annotations

from api import text
from api.ui.context import PageContext
from api.ui.frame import words_of
from api.ui.parts.fields import Entry
from api.ui.parts.widgets import Figure, Text, box, table
from searchsvc.errors import SearchsvcError
from searchsvc.service.planning.samples import SampledCandidate
from searchsvc.spaces.halves import halves


class Sampler:
    """A button, a seed, and what was drawn."""

    def __init__(self, context: PageContext, space: str) -> None:
        self._context, self._space = context, space
        self._next = 0
        with box("row sampler"):
            self._button = Text("button", "Sample a candidate", "plain")
            self._seed = Entry("Seed", self._typed, inputmode="numeric")
            self._said = Text("p", "", "muted small")
            self._said.props["role"] = "status"
        self._button.props["type"] = "button"
        self._button.on("click", lambda: self._draw(self._next))
        self._seed.show(0)
        self._drawn = box("stack")

    async def _typed(self, given: str) -> None:
        if given.isdecimal() and len(given) <= 9:
            await self._draw(int(given))
        else:
            self._said.say("Enter a whole number, at least 0.")

    async def _draw(self, seed: int) -> None:
        self._said.say("Sampling …")
        try:
            found = await self._context.ask_slowly(self._context.service.catalogue.sample, self._space, seed)
        except SearchsvcError as error:
            self._said.say(words_of(error))
            return
        self._next = seed + 1
        self._seed.show(seed)
        shape = " x ".join(map(str, found.dataset.shape))
        self._said.say(f"Costs are for {found.dataset.name}: images of {shape}, {len(found.dataset.classes)} classes.")
        self._button.say("Sample the next")
        self._drawn.clear()
        with self._drawn:
            _sample(found)


def _sample(found: SampledCandidate) -> None:
    with box("figures"):
        for name, value in found.costs.items():
            Figure(name).show(text.quantity(name, value))
    with box("grid"):
        for title, values in zip(("Architecture", "Recipe"), halves(found.candidate.values), strict=True):
            if values:
                with box("stack"):
                    Text("h3", title, "muted small")
                    table(("parameter", "value"), [(name, text.value(value)) for name, value in values.items()])

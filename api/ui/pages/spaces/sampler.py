"""Random candidates of a space, sampled by a seed that is shown, so that each can be sampled again."""

from __future__ import annotations

from api import text
from api.ui.context import PageContext
from api.ui.frame import error_text
from api.ui.parts.fields import TextField
from api.ui.parts.widgets import Figure, Text, box, table
from searchsvc.errors import SearchsvcError
from searchsvc.service.planning.samples import SampledCandidate
from searchsvc.spaces.halves import halves


class CandidateSampler:
    """A button, a seed, and the sampled candidate."""

    def __init__(self, context: PageContext, space: str) -> None:
        self._context, self._space = context, space
        self._next = 0
        with box("row sampler"):
            self._button = Text("button", "Sample a candidate", "plain")
            self._seed = TextField("Seed", self._typed, inputmode="numeric")
            self._status = Text("p", "", "muted small")
            self._status.props["role"] = "status"
        self._button.props["type"] = "button"
        self._button.on("click", lambda: self._draw(self._next))
        self._seed.show(0)
        self._drawn = box("stack")

    async def _typed(self, entry: str) -> None:
        if entry.isdecimal() and len(entry) <= 9:
            await self._draw(int(entry))
        else:
            self._status.set_text("Enter a whole number, at least 0.")

    async def _draw(self, seed: int) -> None:
        self._status.set_text("Sampling …")
        try:
            sample = await self._context.call_slow(self._context.service.catalogue.sample, self._space, seed)
        except SearchsvcError as error:
            self._status.set_text(error_text(error))
            return
        self._next = seed + 1
        self._seed.show(seed)
        dataset = sample.dataset
        shape = " x ".join(map(str, dataset.shape))
        self._status.set_text(f"Costs are for {dataset.name}: images of {shape}, {len(dataset.classes)} classes.")
        self._button.set_text("Sample the next")
        self._drawn.clear()
        with self._drawn:
            _show(sample)


def _show(sample: SampledCandidate) -> None:
    with box("figures"):
        for name, value in sample.costs.items():
            Figure(name).show(text.quantity(name, value))
    with box("grid"):
        for title, values in zip(("Architecture", "Recipe"), halves(sample.candidate.values), strict=True):
            if values:
                with box("stack"):
                    Text("h3", title, "muted small")
                    table(("parameter", "value"), [(name, text.choice(value)) for name, value in values.items()])

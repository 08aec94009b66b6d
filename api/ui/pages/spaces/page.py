"""The spaces page: every space that a spec can name, with its parameters."""

from __future__ import annotations

import math

from fastapi import Request, Response
from nicegui import ui

from api import text
from api.ui.context import PageContext
from api.ui.frame import framed
from api.ui.pages.spaces.sampler import CandidateSampler
from api.ui.parts.widgets import Text, box, card, table
from api.ui.session import Visitor
from searchsvc.domain import Basis, Categorical, Parameter
from searchsvc.spaces.catalogue import SPACES, ShippedSpace


def register() -> None:
    ui.page("/spaces", response_timeout=30)(spaces_page)


async def spaces_page(request: Request) -> Response | None:
    return await framed(request, "Spaces", "Spaces", build)


async def build(context: PageContext, visitor: Visitor) -> None:  # noqa: ARG001 - the signature of every page
    """Lay out a card per space, with its parameters and a sampler of random candidates."""
    Text("h1", "Spaces")
    for shipped in SPACES.values():
        _space(context, shipped)


def _space(context: PageContext, shipped: ShippedSpace) -> None:
    with card(shipped.name, shipped.description):
        with box("row muted small"):
            Text("span", f"task {shipped.task}")
            Text("span", _counted(shipped))
            Text("span", _size(shipped.space.size()))
        with box("", "details"):
            Text("summary", "Parameters")
            table(
                ("parameter", "values", "condition"),
                [(one.name, described(one), _condition(one)) for one in shipped.space.parameters],
            )
        if shipped.constants:
            with box("", "details"):
                Text("summary", "Constants")
                table(("parameter", "value"), [(name, text.choice(one)) for name, one in shipped.constants.items()])
        CandidateSampler(context, shipped.name)


def _size(size: float) -> str:
    """Return `infinitely many candidates`, `14,580 candidates` or `2.3 x 10^25 candidates`."""
    if math.isinf(size):
        return "infinitely many candidates"
    if size < _LONGEST_WRITTEN:
        return f"{size:,} candidates"
    mantissa, _, exponent = f"{size:.1e}".partition("e+")
    return f"{mantissa} x 10^{int(exponent)} candidates"


_LONGEST_WRITTEN = 10**9


def _counted(shipped: ShippedSpace) -> str:
    """Return the number of parameters, and of those with a condition."""
    conditional = sum(bool(one.when) for one in shipped.space.parameters)
    return f"{len(shipped.space)} parameters" + (f", {conditional} conditional" if conditional else "")


def described(parameter: Parameter) -> str:
    """Return the values that a parameter can take, on a single line."""
    if isinstance(parameter, Categorical):
        return ", ".join(text.labels(parameter.choices))
    if isinstance(parameter, Basis):
        return f"mixtures of {', '.join(text.value(one) for one in parameter.values)}"
    step = f" in steps of {text.value(parameter.step)}" if parameter.step not in (None, 1) else ""
    scale = ", logarithmic" if parameter.log else ""
    return f"{text.value(parameter.low)} to {text.value(parameter.high)}{step}{scale}"


def _condition(parameter: Parameter) -> str:
    """Return the condition under which a parameter is active, as `depth = 2, 3`."""
    when = parameter.when or {}
    return "; ".join(f"{name} = {', '.join(text.labels(values))}" for name, values in when.items())

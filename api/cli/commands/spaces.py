"""searchctl spaces: the shipped spaces, and the counts of networks written as rows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.cli.commands.catalogue import print_table
from api.cli.groups import group
from api.cli.options import AsJson
from api.cli.output import emit, say, table
from api.cli.specs import read_document
from searchsvc.errors import NotFound
from searchsvc.spaces.fbnetv3 import definitions
from searchsvc.spaces.fbnetv3.definition import Counts, NetworkDefinition, count, parse

app = group("List the shipped spaces; count networks.")


@app.callback(invoke_without_command=True, no_args_is_help=False)
def spaces(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the shipped spaces; count networks."""
    if ctx.invoked_subcommand is None:
        print_table(ctx, "spaces", as_json, ("name", "size", "description"))


@app.command()
def build(
    rows: Annotated[
        str,
        typer.Option(
            "--rows", metavar="FILE", help="The rows of the network in YAML or JSON, or the name of a shipped network."
        ),
    ],
    resolution: Annotated[
        int | None,
        typer.Option("--resolution", min=1, max=4096, help="Side of the images in pixels. Default: as in the file."),
    ] = None,
    classes: Annotated[int, typer.Option("--classes", min=1, max=1_000_000, help="Outputs of the classifier.")] = 1000,
    channels: Annotated[int, typer.Option("--channels", min=1, max=1024, help="Channels of the images.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Count the parameters and multiply-adds of a network, as this service and as FBNetV3 publishes them."""
    definition = _definition(rows)
    side = resolution or definition.resolution
    counts = count(definition, (channels, side, side), classes)
    if as_json:
        return emit({"name": definition.name, "resolution": side, "classes": classes, **_document(counts)})
    lines = [(name.replace("_", " "), f"{value:,}") for name, value in _numbers(counts).items()]
    sides = [f"{height} x {width}" for height, width in counts.sides]
    stages = zip(definition.rows, sides, strict=False)  # the head has no map of its own
    return say(
        f"{definition.name} at {side} x {side} px, {classes:,} classes",
        table(("count", "value"), lines, right=["value"]),
        "",
        table(("stage", "op", "channels", "map"), [(str(row.stage), row.op, str(row.c), map_) for row, map_ in stages]),
    )


def _definition(source: str) -> NetworkDefinition:
    """Return the shipped definition with this name, or the definition in a file. Raises NotFound, InvalidInput."""
    if source in definitions.names():
        return definitions.find(source)
    try:
        return parse(read_document(source, "rows of a network"))
    except NotFound as error:
        raise NotFound(f"{error}, and no such definition; there are {', '.join(definitions.names())}") from None


def _numbers(counts: Counts) -> dict[str, int]:
    names = ("params", "flops", "published_params", "published_flops")
    parts = ("conv_weights", "norm_params", "biases", "macs", "pool_elements")
    return {name: getattr(counts, name) for name in (*names, *parts)}


def _document(counts: Counts) -> dict[str, Any]:
    return {**_numbers(counts), "sides": [list(side) for side in counts.sides]}

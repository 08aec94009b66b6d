"""searchctl latency: measured latencies of the operators of a space on this device."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.options import AsJson
from api.cli.output import emit, hint, say, table
from api.cli.session import session
from searchsvc import tasks
from searchsvc.domain import DatasetInfo
from searchsvc.errors import InvalidInput
from searchsvc.service.latency import measure as service
from searchsvc.service.lookup import latency_tables
from searchsvc.spaces import catalogue
from searchsvc.spaces.costs.latency import LatencyTable


class DeviceKind(StrEnum):
    """Kinds of devices that can be measured."""

    CPU = "cpu"
    CUDA = "cuda"


def latency(
    ctx: typer.Context,
    listed: Annotated[bool, typer.Option("--list", help="List the stored tables; measure nothing.")] = False,
    space: Annotated[str, typer.Option("--space", help="Shipped space whose operators are timed.")] = "fbnetv3-small",
    dataset: Annotated[
        str, typer.Option("--dataset", help="Named dataset whose images and classes the networks are for.")
    ] = "digits",
    shape: Annotated[
        str | None,
        typer.Option("--shape", metavar="C,H,W", help="Channels, height and width, for any other dataset: 3,224,224."),
    ] = None,
    classes: Annotated[
        int, typer.Option("--classes", min=1, max=100_000, help="Number of classes, with --shape.")
    ] = 10,
    device: Annotated[DeviceKind, typer.Option("--device", help="Where to measure.")] = DeviceKind.CPU,
    batch: Annotated[int, typer.Option("--batch", min=1, max=4096, help="Images per batch.")] = 1,
    threads: Annotated[int, typer.Option("--threads", min=1, max=1024, help="CPU threads.")] = 1,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=1, max=86_400, help="Time limit; operators that are not measured in time are fitted."
        ),
    ] = 120.0,
    check: Annotated[
        int, typer.Option("--check", min=0, max=1000, help="Whole networks that check the sums; 0: none.")
    ] = 20,
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the table. Default: SPACE-DEVICE, as fbnetv3-small-cpu.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace an existing table of that name.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a copy of the table to this file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a table of operator latencies on this device, so that `latency` can be an objective or a limit."""
    settings = session(ctx).settings()
    if listed:
        summaries = [_summary(name, made) for name, made in latency_tables.every(settings)]
        return emit(summaries) if as_json else say(table(_COLUMNS, [_row(summary) for summary in summaries]))
    name = name or f"{space}-{device.value}"
    latency_tables.check_name(settings, name, replace=replace)
    request = service.TableRequest(
        space, _info(space, dataset, shape, classes), device.value, batch, threads, seconds=seconds, networks=check
    )
    date = datetime.now(UTC).isoformat(timespec="seconds")
    made = service.measure(request, date=date, clock=time.monotonic, progress=hint)
    path = latency_tables.save(settings, name, made)
    if output is not None:
        output.write_bytes(made.serialised)
    return emit(_summary(name, made)) if as_json else say(*_report(name, made), f"Stored in {path}.")


_COLUMNS = ("name", "space", "images", "device", "batch", "rank correlation", "error, 90 %", "date")


def _info(space: str, dataset: str, shape: str | None, classes: int) -> DatasetInfo:
    """Return the facts about a named dataset, or about images of a shape `C,H,W`. Raises InvalidInput, NotFound."""
    if shape is None:
        return tasks.find(catalogue.find(space).task).inspect({"name": dataset}, 0)
    sides = shape.split(",")
    if len(sides) != 3 or not all(one.isascii() and one.isdigit() and 1 <= int(one) <= 4096 for one in sides):
        raise InvalidInput.at("/shape", f"three numbers from 1 to 4096 with commas between, as 3,224,224; not {shape}")
    channels, height, width = map(int, sides)
    return DatasetInfo("images", tuple(map(str, range(classes))), (channels, height, width), {})


def _summary(name: str, made: LatencyTable) -> dict[str, Any]:
    """Return the table without its operators."""
    fitted = sum(not one.samples for one in made.operators)
    counts = {"operators": len(made.operators), "fitted": fitted}
    return {"name": name, "digest": made.digest, **made.model_dump(mode="json", exclude={"operators"}), **counts}


def _row(summary: dict[str, Any]) -> tuple[str, ...]:
    check, images = summary["check"], "x".join(map(str, summary["shape"]))
    quality = (f"{check['rank_correlation']:.3f}", f"{check['scaled_error_90']:.1%}") if check else ("-", "-")
    return (
        summary["name"],
        summary["space"],
        images,
        summary["device"]["name"],
        str(summary["batch"]),
        *quality,
        summary["date"],
    )


def _report(name: str, made: LatencyTable) -> list[str]:
    fitted = sum(not one.samples for one in made.operators)
    lines = [
        f"{name}: {len(made.operators):,} operators of {made.space}"
        f"{f', {fitted:,} of them fitted' if fitted else ''}, on {made.device.name} ({made.device.clock})"
    ]
    if made.check is None:
        return [*lines, "Not checked against whole networks: latencies are plain sums."]
    check = made.check
    return [
        *lines,
        f"Checked by {check.networks} whole networks: rank correlation {check.rank_correlation:.3f}",
        f"Error of plain sums: median {check.median_error:.1%}, nine of ten below {check.error_90:.1%}",
        f"Scaled by {made.scale:.3f}: median {check.scaled_median_error:.1%}, "
        f"nine of ten below {check.scaled_error_90:.1%}",
    ]

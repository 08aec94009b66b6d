"""searchctl datasets: the datasets and formats that a job can use, and a check of files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.commands.catalogue import print_table
from api.cli.groups import group
from api.cli.options import AsJson
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.specs import read_document
from api.cli.views.datasets import check_document, check_lines
from searchsvc.errors import InvalidInput
from searchsvc.service.documents.documents import LARGEST_BYTES
from searchsvc.service.lookup.dataset_checks import Recognition, accepting, checked, contact_sheet, recognised

_DOCUMENTS = (".yaml", ".yml", ".json")

app = group("List the datasets and formats that the installed tasks can read; check a dataset.")


@app.callback(invoke_without_command=True, no_args_is_help=False)
def datasets(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the datasets and formats that the installed tasks can read; check a dataset."""
    if ctx.invoked_subcommand is None:
        print_table(ctx, "datasets", as_json, ("name", "task", "description"))


@app.command()
def check(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Argument(metavar="PATH|SPEC", help="A file or folder of images with labels, or a job spec; - is stdin."),
    ],
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="The task that reads it. Default: the one that fits.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="The format it is in. Default: the one that fits.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help="Write a picture of labelled samples (PNG) to this file."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a dataset on this machine, and print the section of a job that reads it; trains nothing."""
    found = _sought(source, task, form)
    if not as_json:
        kind = found.section.get("format", found.section.get("name"))
        hint(f"Reading {source} as {kind}, by the task {found.task.name}.")
    result = checked(found, session(ctx).settings())
    if sheet is not None:
        sheet.write_bytes(contact_sheet(result))
    document = {**check_document(result), "sheet": None if sheet is None else str(sheet)}
    return emit(document) if as_json else say(*check_lines(document))


def _sought(source: str, task: str | None, form: str | None) -> Recognition:
    """Return the dataset section of a document, or that for files. Raises NotFound, InvalidInput."""
    path = Path(source).expanduser()
    if source == "-" or (path.suffix.lower() in _DOCUMENTS and path.is_file()):
        section, named = _section(source, path)
        if section is not None:
            if form is not None and form != section.get("format"):
                raise InvalidInput.at("/dataset/format", f"{source} is a spec; --format is for files: change it there")
            return accepting(section, task or named)
    return recognised(path, task, form)


def _section(source: str, path: Path) -> tuple[dict[str, Any] | None, str | None]:
    """Return the dataset section of a document and the job's task; None for a document that is part of a dataset."""
    if source != "-" and path.stat().st_size > LARGEST_BYTES:
        return None, None
    try:
        document = read_document(source, "job spec or dataset section")
    except InvalidInput:
        if source == "-" or path.suffix.lower() != ".json":
            raise
        return None, None
    section = document.get("dataset", document)
    task = document.get("task")
    is_section = isinstance(section, dict) and ("format" in section or set(section) == {"name"})
    if not is_section and ("dataset" in document or source == "-"):
        raise InvalidInput.at("/dataset", "must be a mapping with `name`, or with `format` and `path`")
    return (section if is_section else None), task if isinstance(task, str) else None

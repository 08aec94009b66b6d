"""searchctl submit: a job for the service."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.commands.watch import watch_job
from api.cli.options import AsJson, Changes, SpecArgument
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.specs import read_spec
from api.cli.submitted import hint_if_local
from api.cli.views.jobs import plan_lines


def submit(
    ctx: typer.Context,
    spec: SpecArgument,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the job until it ends.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan of the job; store and train nothing.")
    ] = False,
    changes: Changes = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: a repeated key never makes a second job.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Submit a job to the service."""
    document = read_spec(spec, changes or ())
    with session(ctx).client() as client:
        if dry_run:
            plan = client.post("/jobs", document, validate_only="true")
            return emit(plan) if as_json else say(*plan_lines(plan))
        job = client.post("/jobs", document, key=key)
        if watch:
            return watch_job(client, job["id"], as_json=as_json)
        if as_json:
            return emit(job)
        say(f"Submitted {job['name']}: {job['id']}")
        for shortage in job.get("warnings", ()):  # a service of an earlier version names none
            hint(f"Its trials wait until a machine that has it joins the cluster: {shortage}")
        return hint_if_local(client)

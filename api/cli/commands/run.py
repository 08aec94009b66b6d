"""searchctl run: a whole search in a single command, with the service, the API and the controller in this process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.addresses import running_address
from api.cli.client import Client, path_of
from api.cli.embedded import client_of, open_service
from api.cli.exits import Exit
from api.cli.follow import StopFollowing, follow
from api.cli.interrupts import InterruptedJob, counted_interrupts
from api.cli.options import AsJson, Changes, SpecArgument
from api.cli.output import emit, hint, say
from api.cli.session import session
from api.cli.specs import read_spec
from api.cli.unfinished import job_for
from api.cli.views.jobs import plan_lines
from api.cli.views.results import result_lines
from api.cli.views.screens import screen_for
from api.text import short
from searchsvc.controller.controller import Controller
from searchsvc.domain import Job, JobSpec
from searchsvc.errors import InvalidInput, SearchsvcError
from searchsvc.service.planning import machine
from searchsvc.service.service import Service
from searchsvc.service.system import surroundings

_BEST = 5
"""Trials in the list of the best."""


def run(
    ctx: typer.Context,
    spec: SpecArgument,
    changes: Changes = None,
    new: Annotated[
        bool, typer.Option("--new", help="Start a new job even if an unfinished job has the same spec.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan of the job; store and train nothing.")
    ] = False,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", envvar="SEARCHSVC_RAY_ADDRESS", help="A Ray cluster. Default: one is started here."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File for the best model. Default: NAME.safetensors, here."),
    ] = None,
    with_page: Annotated[
        bool, typer.Option("--page/--no-page", help="Serve the web page while the job runs. Not with --json.")
    ] = True,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port of the page. Default: 8700, or any free one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a search here, from spec to trained model; repeat the command to resume the search."""
    document = read_spec(spec, changes or ())
    _resolve_paths(document)
    settings = session(ctx).settings(ray_address=ray_address, port=port)
    service = open_service(settings)
    _check_room(service, document)
    if dry_run:
        return _print_plan(service, document, as_json=as_json)
    controller = Controller(service)
    controller.warm_up()  # the driver starts while the job is planned and the page loads
    job, notice = job_for(service, document, new=new)
    notices = [*filter(None, [notice, _other_controller(controller, job)]), *surroundings.warnings(settings)]
    if not as_json:
        for line in notices:
            hint(line)
    page = _page(service, job, any_port=port is None) if with_page and not as_json else nullcontext()
    result, is_interrupted = _run_job(controller, job, page, output, as_json=as_json)
    if as_json:
        emit(result)
    else:
        say(*result_lines(result))
    return _exit(result["job"], is_interrupted=is_interrupted)


def _run_job(
    controller: Controller, job: Job, page: AbstractContextManager[None], output: Path | None, *, as_json: bool
) -> tuple[dict[str, Any], bool]:
    """Run the job to its end; return its results, and whether Ctrl-C was pressed."""
    service = controller.service
    after = service.events.last_sequence()
    with (
        client_of(service) as client,
        page,
        _running(controller, job.id) as thread,
        counted_interrupts() as interrupts,
    ):
        interrupted = InterruptedJob(client, job.id, interrupts)

        def each(document: dict[str, Any]) -> str | None:
            if document["state"] == "PAUSED" or not thread.is_alive():
                raise StopFollowing
            return interrupted.notice()

        last = follow(client, job.id, screen_for(client, as_json=as_json), after=str(after), each=each)
        result = _results(client, last)
        winner = next(iter(result["pareto"] or result["best"]), None)
        model = _write_model(service, winner, output, last["name"]) if winner else None
    return {**result, "winner": winner, "model": model and str(model)}, interrupted.requests > 0


def _check_room(service: Service, document: dict[str, Any]) -> None:
    """Raise InvalidInput if the local Ray can never start a trial. A cluster may get a node that can."""
    if service.settings.ray_address is None and (faults := machine.impossible(JobSpec.parse(document))):
        raise InvalidInput(faults)


def _other_controller(controller: Controller, job: Job) -> str | None:
    """Claim the job for this command. Return a notice if other processes on the data folder may also run jobs."""
    if controller.take(job.id):
        address = running_address(controller.settings)
        return address and f"A service uses this data folder too and shows this job ({address}); this command runs it."
    lease = next((lease for lease in controller.store.leases() if lease.job_id == job.id), None)
    if lease is None:
        return None  # this controller tries again
    host, process, *_ = f"{lease.holder}:".split(":")
    return (
        f"Another controller of this data folder (process {process} on {host}) runs this job, with its own environment "
        "and Ray; this command follows it."
    )


def _resolve_paths(document: dict[str, Any]) -> None:
    """Make a relative path in the spec absolute: the driver runs in another folder."""
    dataset = document.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        dataset["path"] = str(Path(dataset["path"]).expanduser().absolute())


def _print_plan(service: Service, document: dict[str, Any], *, as_json: bool) -> None:
    from api.rest.schemas.jobs import JobPlan  # the REST interface: a real run loads it while its driver starts

    plan = JobPlan.of(service.jobs.plan(document, trusted=True)).model_dump(mode="json")
    if as_json:
        emit(plan)
    else:
        say(*plan_lines(plan))


@contextmanager
def _running(controller: Controller, job_id: str) -> Iterator[threading.Thread]:
    """Let the controller work on this job alone, in a thread, for the duration of the block."""
    stop = threading.Event()
    thread = threading.Thread(target=controller.run, args=(stop,), kwargs={"job_id": job_id}, name="controller")
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


@contextmanager
def _page(service: Service, job: Job, *, any_port: bool) -> Iterator[None]:
    """Serve the web page for the duration of the block, and print its link."""
    from api.cli.server import page  # FastAPI: loaded while the driver starts

    is_terminal = sys.stdout.isatty()  # logs are kept and shared, so they get no link
    with page(service, f"/ui/jobs/{short(job.id)}", any_port=any_port, signs_in=is_terminal) as link:
        token = f"sign in with the token in {service.settings.token_path}"
        how = "this link signs you in, once" if is_terminal else token
        typer.echo(f"Watch it in a browser; {how}:\n{link}")  # alone on its line, not wrapped
        yield


def _results(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Return the job with its best trials and its Pareto front."""
    best = client.get(path_of(job["id"], "best"), k=_BEST)["items"]
    front = client.get(path_of(job["id"], "pareto"))["items"] if best else []
    return {"job": job, "best": best, "pareto": front}


def _write_model(service: Service, winner: dict[str, Any], output: Path | None, name: str) -> Path | None:
    """Write the winner's weights to a file; return None, with a hint, if they cannot be exported."""
    destination = (output or Path(f"{name}.safetensors")).absolute()
    try:
        return service.exports.write(winner["job_id"], format="weights", destination=destination, trial=winner["id"])
    except (SearchsvcError, OSError) as error:
        hint(f"The model was not written: {error}")
        return None


def _exit(job: dict[str, Any], *, is_interrupted: bool) -> None:
    if is_interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if job["state"] != "SUCCEEDED":
        raise typer.Exit(Exit.FAILED)

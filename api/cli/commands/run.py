"""searchctl run: a whole search in one command, with the service, the API and the controller inside this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import AsJson, Changes, SpecArgument, session

if TYPE_CHECKING:
    from api.cli.client import Client
    from searchsvc.controller.controller import Controller
    from searchsvc.domain import Job, JobSpec
    from searchsvc.service.service import Service

_NAMESAKES = 1000
_SHOWN = 5


def run(
    ctx: typer.Context,
    spec: SpecArgument,
    changes: Changes = None,
    new: Annotated[bool, typer.Option("--new", help="Start anew, though an unfinished job has the same spec.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run; store and spend nothing.")] = False,
    ray_address: Annotated[
        str | None,
        typer.Option("--ray-address", envvar="SEARCHSVC_RAY_ADDRESS", help="A Ray cluster; none: one is started here."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where the best model is written. Default: NAME.safetensors, here."),
    ] = None,
    with_page: Annotated[
        bool, typer.Option("--page/--no-page", help="Serve the web page meanwhile. Not with --json.")
    ] = True,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Port of the page. Default: 8700, or any free one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a search here, from the spec to a trained model; the same command goes on with one that was broken off."""
    from api.cli.client import open_service
    from api.cli.output import hint
    from api.cli.specs import read_spec

    document = read_spec(spec, changes or ())
    _beside_the_caller(document)
    settings = session(ctx).settings(ray_address=ray_address, port=port)
    service = open_service(settings)
    if dry_run:
        return _plan(service, document, as_json=as_json)
    controller = _controller(service)
    job, words = _job(service, document, new=new)
    if words and not as_json:
        hint(words)
    page = _page(service, job, any_port=port is None) if with_page and not as_json else nullcontext()
    return _run(controller, job, page, output, as_json=as_json)


def _run(
    controller: Controller, job: Job, page: AbstractContextManager[None], output: Path | None, *, as_json: bool
) -> None:
    from api.cli.client import Client
    from api.cli.follow import follow, screen_for

    service = controller.service
    after = service.events.last_sequence()
    with (
        Client.inside(service) as client,
        page,
        _running(controller, job.id) as thread,
        _interrupts() as interrupts,
    ):
        guide = _Guide(client, job.id, thread, interrupts)
        screen = screen_for(client, as_json=as_json)
        last = follow(client, job.id, screen, after=str(after), each=guide.each)
        result = _result(client, last)
        winner = next(iter(result["pareto"] or result["best"]), None)
        model = _model(service, winner, output, last["name"]) if winner else None
    _report({**result, "winner": winner, "model": model and str(model)}, as_json=as_json)
    _end(last, interrupted=guide.asked > 0)


# ---- which job -----------------------------------------------------------------------------------------------------


def _job(service: Service, document: dict[str, Any], *, new: bool) -> tuple[Job, str | None]:
    """A new job, or the unfinished one with the same spec; and what is to be said of it."""
    from searchsvc.domain import JobSpec

    found = None if new else _unfinished(service, JobSpec.parse(document))
    if found is None:
        return service.jobs.submit(document, trusted=True)[0], None
    words = f"Going on with {found.name} ({found.id}), {_ended(service, found)} trials done. --new starts another job."
    return _reopened(service, found), words


def _unfinished(service: Service, spec: JobSpec) -> Job | None:
    """The newest job with this spec, where its budget is not used up."""
    page = service.jobs.page(name=spec.name, page_size=_NAMESAKES)
    same = next((job for job in page.items if job.spec.document() == spec.document()), None)
    return same if same is not None and _has_budget_left(service, same) else None


def _has_budget_left(service: Service, job: Job) -> bool:
    """A job that was stopped or cancelled can go on; one that failed would fail again."""
    from searchsvc.domain import JobState

    if not job.state.is_final:
        return True
    budget = job.spec.budget
    return (
        job.state is not JobState.FAILED
        and _ended(service, job) < budget.trials
        and (budget.seconds is None or job.seconds_used < budget.seconds)
        and (budget.gpu_hours is None or job.gpu_seconds_used < budget.gpu_hours * 3600)
    )


def _ended(service: Service, job: Job) -> int:
    from searchsvc.domain import count_for_budget

    return count_for_budget(service.jobs.trial_counts([job.id]).get(job.id, {}))


def _reopened(service: Service, job: Job) -> Job:
    from searchsvc.domain import JobRequest, JobState

    if job.state.is_final:
        return service.jobs.extend(job.id, trials=job.spec.budget.trials)
    if job.state is JobState.PAUSED or job.request is JobRequest.PAUSE:
        return service.jobs.resume(job.id)
    return job


def _beside_the_caller(document: dict[str, Any]) -> None:
    """A relative path in the spec is meant from where the command is called; the driver runs elsewhere."""
    dataset = document.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        dataset["path"] = str(Path(dataset["path"]).expanduser().absolute())


# ---- while it runs -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Interrupts:
    """How often Ctrl-C was pressed."""

    count: int = 0

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    """Ctrl-C is counted here, and does not break off what is being done."""
    counter = _Interrupts()
    before = {number: signal.signal(number, counter) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield counter
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _controller(service: Service) -> Controller:
    """One whose driver gets ready while the job is planned."""
    from searchsvc.controller.controller import Controller

    controller = Controller(service)
    controller.warm_up()
    return controller


@contextmanager
def _running(controller: Controller, job_id: str) -> Iterator[threading.Thread]:
    """The controller at work on this one job, in a thread."""
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
    """The web page, and a line that says where."""
    from api.cli.server import page
    from api.text import short

    with page(service, f"/ui/jobs/{short(job.id)}", any_port=any_port) as link:
        typer.echo(f"Watch it in a browser; this link signs you in, once:\n{link}")
        yield


@dataclass(slots=True)
class _Guide:
    """Turns Ctrl-C into stop and cancel, and notices when nothing runs the job any more."""

    client: Client
    job_id: str
    controller: threading.Thread
    interrupts: _Interrupts
    asked: int = field(default=0)

    def each(self, job: dict[str, Any]) -> str | None:
        """What is to be said now. Raises StopFollowing."""
        from api.cli.follow import StopFollowing

        if job["state"] == "PAUSED" or not self.controller.is_alive():
            raise StopFollowing
        if self.interrupts.count > self.asked:
            self._act()
        return self._notice()

    def _act(self) -> None:
        """Stop at the first, cancel at the second; a job that has just ended needs neither."""
        from api.cli.client import path_of
        from api.cli.exits import ProblemReceived

        verb = "stop" if self.asked == 0 else "cancel"
        self.asked = min(self.interrupts.count, self.asked + 1)
        try:
            self.client.post(f"{path_of(self.job_id)}:{verb}")
        except ProblemReceived as problem:
            if problem.status != 409:
                raise

    def _notice(self) -> str | None:
        if self.asked == 0:
            return None
        if self.asked == 1:
            return "Finishing the running trials. Ctrl-C once more kills them; the same command goes on later."
        return "Killing the running trials. The same command goes on later."


# ---- at the end ----------------------------------------------------------------------------------------------------


def _plan(service: Service, document: dict[str, Any], *, as_json: bool) -> None:
    from api.cli.output import emit, say
    from api.cli.views.jobs import plan_lines
    from api.rest.schemas.jobs import JobPlan

    plan = JobPlan.of(service.jobs.plan(document, trusted=True)).model_dump(mode="json")
    if as_json:
        emit(plan)
    else:
        say(*plan_lines(plan))


def _result(client: Client, job: dict[str, Any]) -> dict[str, Any]:
    """What the job has found."""
    from api.cli.client import path_of

    best = client.get(path_of(job["id"], "best"), k=_SHOWN)["items"]
    front = client.get(path_of(job["id"], "pareto"))["items"] if best else []
    return {"job": job, "best": best, "pareto": front}


def _model(service: Service, winner: dict[str, Any], output: Path | None, name: str) -> Path | None:
    """The weights of the winner as a file of their own; None where they cannot be had."""
    from api.cli.output import hint
    from searchsvc.errors import SearchsvcError

    destination = (output or Path(f"{name}.safetensors")).absolute()
    try:
        return service.exports.write(winner["job_id"], format="weights", destination=destination, trial=winner["id"])
    except (SearchsvcError, OSError) as error:
        hint(f"The model was not written: {error}")
        return None


def _report(result: dict[str, Any], *, as_json: bool) -> None:
    from api.cli.output import emit, say
    from api.cli.views.jobs import job_lines, metric_names, trial_table
    from api.cli.views.live import front_bars

    if as_json:
        return emit(result)
    job, best, front = result["job"], result["best"], result["pareto"]
    objectives, names = job["spec"]["objectives"], metric_names(job["spec"])
    say("", job_lines(job))
    if best:
        say("", "[bold]Best trials[/]", trial_table(best, names, tested=True))
    if len(objectives) > 1 and front:
        say("", "[bold]Pareto front[/]", front_bars(front, objectives))
    if result["model"]:
        say("", f"[bold]The model of trial #{result['winner']['number']}[/]", *_snippet(Path(result["model"])))
    return say("", f"All of it: searchctl show {job['id']}", "As a service, with a REST API: searchctl serve")


def _snippet(model: Path) -> list[Any]:
    """Where the model is, and how to use it; never broken in the middle of a line."""
    from rich.text import Text

    shown = model.relative_to(Path.cwd()) if model.is_relative_to(Path.cwd()) else model
    lines = (
        str(model),
        "",
        "from workers.models import load",
        f'model = load("{shown}")',
        "model.predict(images)  # names the class of each",
    )
    return [
        Text(line, style="dim" if index else "", no_wrap=True, overflow="ignore") for index, line in enumerate(lines)
    ]


def _end(job: dict[str, Any], *, interrupted: bool) -> None:
    from api.cli.exits import Exit

    if interrupted:
        raise typer.Exit(Exit.INTERRUPTED)
    if job["state"] != "SUCCEEDED":
        raise typer.Exit(Exit.FAILED)

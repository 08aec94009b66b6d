"""searchctl run: a whole search in one command, with the service, the API and the controller inside this process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import AsJson, Changes, SpecArgument, session

if TYPE_CHECKING:
    from api.cli.client import Client
    from searchsvc.domain import Job, JobSpec
    from searchsvc.service import Service
    from searchsvc.settings import Settings

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
    as_json: AsJson = False,
) -> None:
    """Run a search here, from the spec to a trained model; the same command goes on with one that was broken off."""
    from api.cli.client import open_service
    from api.cli.specs import read_spec

    document = read_spec(spec, changes or ())
    _beside_the_caller(document)
    settings = session(ctx).settings(ray_address=ray_address)
    service = open_service(settings)
    if dry_run:
        return _plan(service, document, as_json=as_json)
    return _run(service, document, new=new, as_json=as_json)


def _run(service: Service, document: dict[str, Any], *, new: bool, as_json: bool) -> None:
    from api.cli.client import Client
    from api.cli.output import hint
    from api.cli.watch import follow, screen_for

    after = service.last_sequence()
    job, words = _job(service, document, new=new)
    if words and not as_json:
        hint(words)
    with Client.inside(service) as client, _controller(service, job.id) as controller, _interrupts() as interrupts:
        guide = _Guide(client, job.id, controller, interrupts)
        screen = screen_for(client, as_json=as_json)
        last = follow(client, job.id, screen, after=str(after), each=guide.each)
        _report(client, service.settings, last, guide, as_json=as_json)


# ---- which job -----------------------------------------------------------------------------------------------------


def _job(service: Service, document: dict[str, Any], *, new: bool) -> tuple[Job, str | None]:
    """A new job, or the unfinished one with the same spec; and what is to be said of it."""
    from searchsvc.domain import JobSpec

    found = None if new else _unfinished(service, JobSpec.parse(document))
    if found is None:
        return service.submit(document, trusted=True)[0], None
    words = f"Going on with {found.name} ({found.id}), {_ended(service, found)} trials done. --new starts another job."
    return _reopened(service, found), words


def _unfinished(service: Service, spec: JobSpec) -> Job | None:
    """The newest job with this spec, where its budget is not used up."""
    page = service.jobs(name=spec.name, page_size=_NAMESAKES)
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
    from searchsvc.domain import TrialState

    counts = service.counts([job.id]).get(job.id, {})
    return sum(number for state, number in counts.items() if state.is_final and state is not TrialState.CANCELLED)


def _reopened(service: Service, job: Job) -> Job:
    from searchsvc.domain import JobRequest, JobState

    if job.state.is_final:
        return service.extend(job.id, trials=job.spec.budget.trials)
    if job.state is JobState.PAUSED or job.request is JobRequest.PAUSE:
        return service.resume(job.id)
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


@contextmanager
def _controller(service: Service, job_id: str) -> Iterator[threading.Thread]:
    """A controller of this one job, in a thread."""
    from api.cli.serving import holder_name
    from searchsvc.service import Controller

    stop = threading.Event()
    controller = Controller(service, holder_name())
    thread = threading.Thread(target=controller.run, args=(stop,), kwargs={"job_id": job_id}, name="controller")
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join()


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
        from api.cli.watch import StopFollowing

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
    from api.cli.views import plan_lines
    from api.schemas import JobPlan

    plan = JobPlan.of(service.plan(document, trusted=True)).model_dump(mode="json")
    if as_json:
        emit(plan)
    else:
        say(*plan_lines(plan))


def _report(client: Client, settings: Settings, job: dict[str, Any], guide: _Guide, *, as_json: bool) -> None:
    from api.cli.client import path_of
    from api.cli.exits import Exit
    from api.cli.output import emit

    best = client.get(path_of(job["id"], "best"), k=_SHOWN)["items"]
    front = client.get(path_of(job["id"], "pareto"))["items"] if best else []
    model = _model(client, settings, best[0]) if best else None
    if as_json:
        emit({"job": job, "best": best, "pareto": front, "model": model})
    else:
        _tell(job, best, front, model)
    if guide.asked:
        raise typer.Exit(Exit.INTERRUPTED)
    if job["state"] != "SUCCEEDED":
        raise typer.Exit(Exit.FAILED)


def _model(client: Client, settings: Settings, trial: dict[str, Any]) -> str | None:
    """The weights file of a trial, on this machine."""
    from api.cli.client import path_of

    artifacts = client.get(path_of(trial["job_id"], "trials", trial["number"], "artifacts"))["items"]
    names = [one["name"] for one in artifacts if one["name"].endswith(".safetensors")]
    return str(settings.trial_dir(trial["job_id"], trial["id"]) / names[0]) if names else None


def _tell(job: dict[str, Any], best: list[dict[str, Any]], front: list[dict[str, Any]], model: str | None) -> None:
    from api.cli.live import front_bars
    from api.cli.output import say
    from api.cli.views import job_lines, metric_names, trial_table

    names = metric_names(job["spec"])
    say("", job_lines(job))
    if best:
        say("", "[bold]Best trials[/]", trial_table(best, names, tested=True))
    if len(job["spec"]["objectives"]) > 1 and front:
        say("", "[bold]Pareto front[/]", front_bars(front, job["spec"]["objectives"]))
    if model:
        say("", "[bold]The model of the best trial[/]", *_snippet(model))
    say("", f"More: searchctl show {job['id']}", "Web page and API: searchctl serve")


def _snippet(model: str) -> list[Any]:
    """Where the model is, and how to use it; never broken in the middle of a line."""
    from rich.text import Text

    lines = (
        model,
        "",
        "from workers.models import load",
        f'model = load("{model}")',
        "classes = model.predict(images)  # images: (n, height, width) or (n, channels, height, width)",
    )
    return [
        Text(line, style="dim" if index else "", no_wrap=True, overflow="ignore") for index, line in enumerate(lines)
    ]

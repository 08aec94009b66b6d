"""Commands that run parts of the service: the API with a controller, or a controller alone."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from types import FrameType
from typing import Annotated

import typer
import uvicorn

from api.cli.addresses import address_of, announced_address, listener, running_service, service_lock
from api.cli.embedded import opened_service
from api.cli.output import hint
from api.cli.server import GRACE_SECONDS, Server, is_restart, web_app
from api.cli.session import session
from searchsvc.controller.controller import Controller
from searchsvc.errors import Conflict, RuntimeUnavailable
from searchsvc.service.service import Service
from searchsvc.service.system import surroundings
from searchsvc.settings import Settings, without_password
from searchsvc.store.database import API_CONNECTIONS, CONTROLLER_CONNECTIONS

RayAddress = Annotated[
    str | None,
    typer.Option("--ray-address", envvar="SEARCHSVC_RAY_ADDRESS", help="A Ray cluster; none: one is started here."),
]
MaxDrivers = Annotated[
    int | None,
    typer.Option("--max-drivers", envvar="SEARCHSVC_MAX_DRIVERS", min=1, help="Jobs that run at once. Default: 4."),
]


def serve(
    ctx: typer.Context,
    host: Annotated[
        str | None, typer.Option("--host", envvar="SEARCHSVC_HOST", help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", envvar="SEARCHSVC_PORT", min=0, max=65535, help="Port to listen on. Default: 8700."),
    ] = None,
    with_controller: Annotated[
        bool, typer.Option("--controller/--no-controller", help="Run jobs too, or only answer requests.")
    ] = True,
    max_drivers: MaxDrivers = None,
    ray_address: RayAddress = None,
) -> None:
    """Start the API and the web page, and a controller that runs the jobs."""
    settings = session(ctx).settings(host=host, port=port, max_drivers=max_drivers, ray_address=ray_address).prepare()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # uvicorn handles signals while it serves, and raises them again at its end
    connections = API_CONNECTIONS + (CONTROLLER_CONNECTIONS if with_controller else 0)
    with (
        service_lock(settings) as is_alone,
        _listener(settings, is_alone) as bound,
        opened_service(settings, connections=connections, has_children=True) as service,
    ):
        controller = Controller(service) if with_controller else None
        app, links = web_app(service, controller=controller)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
        _warn(settings)
        with announced_address(settings, bound) if is_alone else nullcontext():
            sign_in = _sign_in_lines(service, address_of(settings, bound), links.make)
            _announce(settings, bound, with_controller, sign_in, is_alone)
            Server(config, controller).run(sockets=[bound])
        if controller is not None and controller.has_died:
            raise RuntimeUnavailable("the controller died, so the service ended; its log says why")


def controller(ctx: typer.Context, max_drivers: MaxDrivers = None, ray_address: RayAddress = None) -> None:
    """Run jobs without answering requests, until interrupted."""
    settings = session(ctx).settings(max_drivers=max_drivers, ray_address=ray_address)
    stop = threading.Event()
    with opened_service(settings, connections=CONTROLLER_CONNECTIONS) as service:
        running = Controller(service)

        def end(number: int, _frame: FrameType | None) -> None:
            running.leave_drivers = is_restart(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        _warn(settings)
        typer.echo(f"Running the jobs of {without_password(settings.database_url)}. Ctrl-C ends it.")
        running.run(stop)


def _warn(settings: Settings) -> None:
    """Print a sentence for each thing about this machine that will cause trouble."""
    for line in surroundings.warnings(settings):
        hint(line)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End in an orderly way: open blocks clean up."""
    raise typer.Exit(0)


def _listener(settings: Settings, is_alone: bool) -> socket.socket:
    """Bind the socket of the service. Raises Conflict if a second service would share SQLite and local Ray."""
    if not is_alone and settings.database_url.startswith("sqlite"):
        raise Conflict(
            f"{running_service(settings)} uses the data folder {settings.data_dir} already: use that one, end it, or "
            "choose another folder for this one with `searchctl --data-dir FOLDER serve`"
        )
    return listener(settings)


def _sign_in_lines(service: Service, address: str, make_link: Callable[[str], str]) -> list[str]:
    """Return the way to the web page: a link that signs in, but only on a terminal, as logs are kept and shared.

    The link begins its line, so that no word beside it makes a terminal break it.
    """
    token = service.access.local_token()
    if sys.stdout.isatty():
        return ["this link signs you in, once:", f"{address}{make_link(token)}"]
    own = f"sign in with the token in {service.settings.token_path}, or make one with `searchctl token create NAME`"
    return [f"{address}/ui/: {own}"]


def _announce(
    settings: Settings, bound: socket.socket, with_controller: bool, sign_in: list[str], is_alone: bool
) -> None:
    address = address_of(settings, bound)
    typer.echo(f"searchsvc listens on {address}")
    if not is_alone:
        typer.echo(f"  searchctl  finds {running_service(settings)}; this one needs --url {address}")
    typer.echo("\n".join(["  web page   " + sign_in[0], *sign_in[1:]]))
    typer.echo(f"  API        {address}/api/v1, described in {address}/api/v1/openapi.json")
    typer.echo(f"  token      in {settings.token_path}; searchctl finds it by itself")
    typer.echo(f"  database   {without_password(settings.database_url)}")
    jobs = f"up to {settings.max_drivers} at once" if with_controller else "run by a controller elsewhere"
    typer.echo(f"  jobs       {jobs}")
    typer.echo("Ctrl-C ends it; jobs go on when it is started again.")

"""Commands that run parts of the service: the API with a controller, or a controller alone."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import session

if TYPE_CHECKING:
    import uvicorn

    from searchsvc.controller.controller import Controller
    from searchsvc.service.service import Service
    from searchsvc.settings import Settings

GRACE_SECONDS = 3  # open event streams end only when they are cut off

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
    import uvicorn

    from api.rest.app import create_app
    from api.ui.mount import mount
    from searchsvc.controller.controller import Controller

    settings = session(ctx).settings(host=host, port=port, max_drivers=max_drivers, ray_address=ray_address)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)  # uvicorn takes signals while it serves, and raises them again when it has ended
    with listener(settings) as bound, _service(settings) as service:
        secret = service.access.local_token()
        controller = Controller(service) if with_controller else None
        app = create_app(service, settings=settings, controller=controller)
        links = mount(app, service)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS)
        with _address_left(settings, bound):
            _announce(settings, bound, with_controller, links.make(secret))
            _server(config, controller).run(sockets=[bound])


def controller(ctx: typer.Context, max_drivers: MaxDrivers = None, ray_address: RayAddress = None) -> None:
    """Run jobs without answering requests, until interrupted."""
    from searchsvc.controller.controller import Controller

    settings = session(ctx).settings(max_drivers=max_drivers, ray_address=ray_address)
    stop = threading.Event()
    with _service(settings) as service:
        one = Controller(service)

        def end(number: int, _frame: FrameType | None) -> None:
            one.leave_drivers = _is_restart(number)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        typer.echo(f"Running the jobs of {_without_password(settings.database_url)}. Ctrl-C ends it.")
        one.run(stop)


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End, but not before what was begun is cleared away."""
    raise typer.Exit(0)


def _is_restart(number: int) -> bool:
    """SIGTERM comes from what will start us again, and drivers go on meanwhile; Ctrl-C ends them too."""
    return number == signal.SIGTERM


def _server(config: uvicorn.Config, controller: Controller | None) -> uvicorn.Server:
    """One that tells the controller beside it which signal has ended it."""
    import uvicorn

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if controller is not None:
                controller.leave_drivers = _is_restart(sig)
            super().handle_exit(sig, frame)

    return Server(config)


@contextmanager
def _service(settings: Settings) -> Iterator[Service]:
    """The use cases, for as long as the block lasts."""
    from api.cli.client import open_service

    service = open_service(settings)
    try:
        yield service
    finally:
        service.store.close()


def listener(settings: Settings) -> socket.socket:
    """A bound socket, so that the address is known, and a taken port is told, before anything else starts.

    Raises RuntimeUnavailable.
    """
    from searchsvc.errors import RuntimeUnavailable

    bound = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        where = f"{settings.host}:{settings.port}"
        raise RuntimeUnavailable(f"cannot listen on {where}: {error.strerror}; --port 0 takes a free port") from None
    return bound


@contextmanager
def _address_left(settings: Settings, bound: socket.socket) -> Iterator[None]:
    """The address in the data folder, where searchctl finds it, for as long as the service runs."""
    from api.cli.client import address_path

    path, address = address_path(settings), address_of(settings, bound)
    path.write_text(address + "\n", encoding="ascii")
    try:
        yield
    finally:
        if path.exists() and path.read_text(encoding="ascii").strip() == address:
            path.unlink()


def address_of(settings: Settings, bound: socket.socket) -> str:
    """The address as this machine reaches it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


def _announce(settings: Settings, bound: socket.socket, with_controller: bool, link: str) -> None:
    address = address_of(settings, bound)
    typer.echo(f"searchsvc listens on {address}")
    typer.echo(f"  web page   {address}{link} signs you in, once")
    typer.echo(f"  API        {address}/api/v1, described in {address}/api/v1/openapi.json")
    typer.echo(f"  token      in {settings.token_path}; searchctl finds it by itself")
    typer.echo(f"  database   {_without_password(settings.database_url)}")
    jobs = f"up to {settings.max_drivers} at once" if with_controller else "run by a controller elsewhere"
    typer.echo(f"  jobs       {jobs}")
    typer.echo("Ctrl-C ends it; jobs go on when it is started again.")


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}" if at else url

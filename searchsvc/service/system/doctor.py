"""Doctor: checks of the installation, with advice on how to fix each failure.

Libraries are looked up, not imported: the service loads neither torch nor Ray.
"""

from __future__ import annotations

import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from searchsvc import tasks
from searchsvc.errors import SearchsvcError, StoreOutdated
from searchsvc.service.planning import machine
from searchsvc.service.system import cluster, surroundings
from searchsvc.service.system.health import HealthCheck, HealthReport
from searchsvc.settings import Settings
from searchsvc.store import Store

_OLDEST_PYTHON = (3, 11)
_DATABASE_SECONDS = 3.0
_PROBE_SECONDS = 3.0
_LARGEST_SKEW_SECONDS = 5.0


def examine(settings: Settings) -> HealthReport:
    """Run all checks, whatever their results."""
    return HealthReport(tuple(check(settings) for check in CHECKS))


def check_python(_settings: Settings) -> HealthCheck:
    build = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return HealthCheck("python", "failed", build, "install Python 3.11 or newer and set the environment up again")
    return HealthCheck("python", "ok", build)


def check_torch(_settings: Settings) -> HealthCheck:
    build = _installed("torch")
    if build is None:
        return HealthCheck("torch", "failed", "not installed", "pip install torch torchvision: training needs it")
    gpus = machine.gpus()
    if gpus and build.endswith("+cpu"):
        return HealthCheck("torch", "warning", f"{build}, {gpus} GPUs", "install a CUDA build of torch to use the GPUs")
    return HealthCheck("torch", "ok", f"{build}, {gpus} GPUs" if gpus else f"{build}, no GPU: trials run on the CPU")


def check_ray(settings: Settings) -> HealthCheck:
    build = _installed("ray")
    if build is None:
        return HealthCheck("ray", "failed", "not installed", 'pip install "ray[tune]": trials run on it')
    if settings.ray_address is None:
        return HealthCheck("ray", "ok", f"{build}, a local Ray is started when needed")
    host, _, port = settings.ray_address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS).close()
        except (OSError, OverflowError) as error:
            problem = f"{build}, {settings.ray_address} does not answer: {error}"
            return HealthCheck("ray", "failed", problem, "start the cluster (`ray start`), or correct RAY_ADDRESS")
    python = ".".join(map(str, sys.version_info[:3]))
    return HealthCheck("ray", "ok", f"{build}, {settings.ray_address}, which must be Ray {build} with Python {python}")


def check_tasks(_settings: Settings) -> HealthCheck:
    names = tasks.names()
    if not names:
        return HealthCheck(
            "tasks", "failed", "none", "install searchsvc itself (pip install -e .): its entry points are missing"
        )
    return HealthCheck("tasks", "ok", ", ".join(names))


def check_database(settings: Settings) -> HealthCheck:
    try:
        store = Store.open(settings.database_url, wait_seconds=_DATABASE_SECONDS, connections=1)
    except StoreOutdated as error:
        return HealthCheck("database", "failed", str(error), "run `searchctl db upgrade`")
    except SearchsvcError as error:
        return HealthCheck("database", "failed", str(error), "start the database, or correct SEARCHSVC_DATABASE_URL")
    try:
        store.ping()
        skew = time.time() - store.now()
    except SearchsvcError as error:
        return HealthCheck("database", "failed", str(error), "start the database, or correct SEARCHSVC_DATABASE_URL")
    finally:
        store.close()
    kind = "SQLite" if settings.database_url.startswith("sqlite") else "PostgreSQL"
    if abs(skew) > _LARGEST_SKEW_SECONDS:
        found = f"the clock of this machine is {abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} the database's"
        return HealthCheck("database", "warning", found, "synchronise the clocks (NTP), so that times are in order")
    return HealthCheck("database", "ok", f"{kind} answers, schema is up to date")


def check_controllers(settings: Settings) -> HealthCheck:
    try:
        store = Store.open(settings.database_url, wait_seconds=_DATABASE_SECONDS)
        try:
            states = cluster.controllers(store)
        finally:
            store.close()
    except SearchsvcError:
        return HealthCheck("controllers", "warning", "unknown", "see the check of the database")
    dead = [f"{one.report.host}, process {one.report.pid}" for one in states if not one.is_alive]
    if dead:
        mend = "start it again (`searchctl serve` or `searchctl controller`), or let a supervisor do it"
        return HealthCheck("controllers", "warning", f"no report for a minute: {'; '.join(dead)}", mend)
    failing = [f"{one.report.errors} errors, the last: {one.report.last_error}" for one in states if one.report.errors]
    if failing:
        return HealthCheck("controllers", "warning", "; ".join(failing), "see the log of the controller for details")
    return HealthCheck(
        "controllers", "ok", f"{len(states)} alive" if states else "none: jobs wait for `searchctl serve`"
    )


def check_data_dir(settings: Settings) -> HealthCheck:
    folder = settings.data_dir
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"searchsvc")
    except OSError as error:
        mend = f"make {folder} writable for this user, or set SEARCHSVC_DATA_DIR"
        return HealthCheck("data folder", "failed", f"{folder}: {error.strerror}", mend)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o022:
        return HealthCheck(
            "data folder", "warning", f"{folder} can be written by others ({mode:o})", f"chmod 700 {folder}"
        )
    return HealthCheck("data folder", "ok", f"{folder}, writable")


def check_port(settings: Settings) -> HealthCheck:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((settings.host, settings.port))
        except OSError as error:
            problem = f"{settings.host}:{settings.port} cannot be taken: {error.strerror}"
            return HealthCheck(
                "port", "warning", problem, "the service or another program uses it already: set SEARCHSVC_PORT"
            )
    return HealthCheck("port", "ok", f"{settings.host}:{settings.port} is free")


def check_token(settings: Settings) -> HealthCheck:
    try:
        mode = stat.S_IMODE(settings.token_path.stat().st_mode)
    except FileNotFoundError:
        return HealthCheck("token", "ok", "none yet: it is created when the service first starts")
    except OSError as error:
        return HealthCheck(
            "token", "failed", f"{settings.token_path}: {error.strerror}", "make the data folder readable"
        )
    if mode & 0o077:
        return HealthCheck("token", "failed", f"others can read it ({mode:o})", f"chmod 600 {settings.token_path}")
    return HealthCheck("token", "ok", f"{settings.token_path}, for this user alone")


CHECKS: tuple[Callable[[Settings], HealthCheck], ...] = (
    check_python,
    check_torch,
    check_ray,
    check_tasks,
    check_database,
    check_controllers,
    check_data_dir,
    *surroundings.CHECKS,
    check_port,
    check_token,
)


def _installed(name: str) -> str | None:
    """Return the version of an installed distribution that can be imported, or None."""
    try:
        return version(name) if find_spec(name) is not None else None
    except PackageNotFoundError:
        return None

"""Doctor: checks of the installation, with advice on how to fix each failure.

Libraries are looked up, not imported: the service loads neither torch nor Ray.
"""

from __future__ import annotations

import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from searchsvc import tasks
from searchsvc.errors import SearchsvcError, StoreOutdated
from searchsvc.service.planning import machine
from searchsvc.service.system import cluster
from searchsvc.settings import Settings
from searchsvc.store import Store

_OLDEST_PYTHON = (3, 11)
_LEAST_FREE_BYTES = 2 * 2**30
_LITTLE_FREE_BYTES = 10 * 2**30
_SHARED_MEMORY_BYTES = 512 * 2**20
_DATABASE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The result of a single check."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    mend: str | None = None
    """Advice on how to fix the failure; None if the check passed."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The results of all checks."""

    checks: tuple[HealthCheck, ...]

    @property
    def ok(self) -> bool:
        """True if nothing failed; warnings are allowed."""
        return all(check.state != "failed" for check in self.checks)


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
    return HealthCheck("ray", "ok", f"{build}, {settings.ray_address or 'a local Ray is started when needed'}")


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
    except SearchsvcError as error:
        return HealthCheck("database", "failed", str(error), "start the database, or correct SEARCHSVC_DATABASE_URL")
    finally:
        store.close()
    kind = "SQLite" if settings.database_url.startswith("sqlite") else "PostgreSQL"
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


def check_disk(settings: Settings) -> HealthCheck:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    free_space = f"{free / 2**30:.1f} GiB free for {settings.data_dir}"
    mend = "delete jobs that are not needed (`searchctl delete`), or move SEARCHSVC_DATA_DIR to a larger disk"
    if free < _LEAST_FREE_BYTES:
        return HealthCheck("disk", "failed", free_space, mend)
    return HealthCheck(
        "disk", "ok" if free >= _LITTLE_FREE_BYTES else "warning", free_space, _unless(free >= _LITTLE_FREE_BYTES, mend)
    )


def check_shared_memory(_settings: Settings) -> HealthCheck:
    folder = Path("/dev/shm")  # noqa: S108 - inspected, not written to
    if not folder.is_dir():
        return HealthCheck(
            "shared memory", "warning", "there is no /dev/shm", "Ray keeps its objects on disk, which is slower"
        )
    size = shutil.disk_usage(folder).total
    enough = size >= _SHARED_MEMORY_BYTES
    mend = "give the container more: docker run --shm-size=2g, or shm_size in docker-compose.yml"
    return HealthCheck(
        "shared memory", "ok" if enough else "warning", f"{size / 2**20:,.0f} MiB", _unless(enough, mend)
    )


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
    check_disk,
    check_shared_memory,
    check_port,
    check_token,
)


def _installed(name: str) -> str | None:
    """Return the version of an installed distribution that can be imported, or None."""
    try:
        return version(name) if find_spec(name) is not None else None
    except PackageNotFoundError:
        return None


def _existing(path: Path) -> Path:
    """Return the path, or the nearest existing folder above it."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _unless(is_ok: bool, mend: str) -> str | None:
    return None if is_ok else mend

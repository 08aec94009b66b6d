"""The Ray cluster that trials run on: the cluster of RAY_ADDRESS, or a local head per data folder.

The local head is a separate process that outlives the driver: the next driver connects to it in half a second. It
listens on the loopback interface only, requires a token (a file of mode 0600), and never receives the address of the
database. Its pid and address are stored in `<data_dir>/ray/head.json`, the folder of Ray's own files in
`<data_dir>/ray/temporary`. All processes of the head inherit a variable that names the data folder: `stop` ends exactly
these processes of this user.

`python -m workers.cluster start|stop|status` does the same by hand.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from searchsvc import proxies
from searchsvc.errors import RuntimeUnavailable
from searchsvc.processes import import_path, temporary_folder
from searchsvc.settings import Settings

OBJECT_STORE_BYTES = 200_000_000  # configurations and measurements pass through it, never data or weights
START_SECONDS = 60.0
STOP_SECONDS = 2.0
STOP_ROUNDS = 5
_PREFIX = "searchsvc-"
_RAY_OPTIONS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ROTATION_MAX_BYTES": "10000000",  # of each log; without it, the logs of workers grow without limit
    "RAY_ROTATION_BACKUP_COUNT": "1",
    "RAY_preload_python_modules": "workers.trials.trainable",  # saves half a second before the first trial
}
_HEAD_VARIABLE = "RAY_HEAD_OF_OURS"
"""Variable that every process of a head inherits: the data folder of the head."""
_SECRETS = ("SEARCHSVC_", "PG", "POSTGRES", "DATABASE_URL", "RAY_ADDRESS", "RAY_AUTH")
"""Prefixes of variables that no process of the head, and so no worker, inherits."""


@dataclass(frozen=True, slots=True)
class RayHead:
    """A running local head."""

    address: str
    pid: int
    started: float
    """Start time of the process; it distinguishes the head from a later process with the same pid."""


def ensure(settings: Settings, *, cpus: int | None = None) -> str:
    """Return the address of the cluster; start a local head if no cluster is configured and no head runs.

    Raises RuntimeUnavailable with the end of Ray's log if it does not start.
    """
    if settings.ray_address:
        return settings.ray_address
    with _locked(settings):
        head = running(settings)
        if head is None:
            _end_leftovers(settings)
            head = _start(settings, cpus)
        return head.address


def running(settings: Settings) -> RayHead | None:
    """Return the local head of this data folder if it runs and answers, else None."""
    head = _read(settings)
    return head if head and _is_head(head) and _answers(head.address) else None


def stop(settings: Settings) -> bool:
    """End the local head of this data folder with all its processes. Return whether any ran."""
    with _locked(settings):
        ended = _end_leftovers(settings)
        _file(settings).unlink(missing_ok=True)
        return ended


def client_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that a process must set before it imports ray, so that it can connect to the local head."""
    if settings.ray_address:
        return {}
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_folder(settings) / "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its effect on every system: nodes are addressed as 127.0.0.1 only
    }


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without the variables that trials must not see."""
    return {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}


# ---- starting and ending -------------------------------------------------------------------------------------------


def _start(settings: Settings, cpus: int | None) -> RayHead:
    _new_token(_folder(settings) / "token")
    temporary = _new_temporary(settings)
    log = temporary / "start.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            _command(temporary, cpus),
            env=_head_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    address = _wait_for_address(process, temporary / "ray_current_cluster", log)
    head = RayHead(address, process.pid, psutil.Process(process.pid).create_time())
    partial = _file(settings).with_suffix(".new")
    partial.write_text(json.dumps(asdict(head)))
    partial.replace(_file(settings))
    return head


def _head_environment(settings: Settings) -> dict[str, str]:
    inherited = worker_environment(os.environ)
    paths = import_path(inherited) | proxies.without_proxy(inherited)
    return inherited | paths | client_environment(settings) | _RAY_OPTIONS | _mark(settings)


def _command(temporary: Path, cpus: int | None) -> list[str]:
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": "0",
        "--include-dashboard": "false",
        "--include-log-monitor": "false",
        "--object-store-memory": str(OBJECT_STORE_BYTES),
        "--temp-dir": str(temporary),
    } | ({"--num-cpus": str(cpus)} if cpus is not None else {})
    ray = [sys.executable, "-P", "-c", "from ray.scripts.scripts import main; main()"]
    return [*ray, "start", "--head", "--block", "--no-monitor", "--disable-usage-stats", *_joined(options)]


def _joined(options: Mapping[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def _wait_for_address(process: subprocess.Popen[bytes], file: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        address = file.read_text().strip() if file.exists() else ""
        if address and _answers(address):
            return address
        time.sleep(0.05)
    process.kill()
    lines = log.read_text(errors="replace").splitlines()[-20:]
    raise RuntimeUnavailable("the local Ray head did not start:\n" + "\n".join(lines))


def _end_leftovers(settings: Settings) -> bool:
    """End all processes of a head of this data folder, even of a head that was never written to disk.

    Uses SIGKILL, since most of Ray's processes take seconds to end by SIGTERM and none has anything to save. Repeats,
    since a starting head may start another process after the processes were listed.
    """
    ended = False
    for _ in range(STOP_ROUNDS):
        members = processes(settings)
        if not members:
            break
        for process in members:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(members, timeout=STOP_SECONDS)
        ended = True
    _remove_temporary(settings)
    return ended


def processes(settings: Settings) -> list[psutil.Process]:
    """Return the processes of this user that a head of this data folder has started: its daemons and workers."""
    members: dict[int, psutil.Process] = {}
    head = _read(settings)
    for process in psutil.process_iter():
        if (head is not None and process.pid == head.pid and _is_head(head)) or _is_marked(process, settings):
            members |= {member.pid: member for member in (process, *_descendants(process))}
    return list(members.values())


def _mark(settings: Settings) -> dict[str, str]:
    """Return the variables by which the processes of a head are recognised, even if the head itself has died."""
    # Without SPT_NOENV, a worker that changes its title overwrites the environment that others see.
    return {_HEAD_VARIABLE: str(settings.data_dir.resolve()), "SPT_NOENV": "1"}


def _is_marked(process: psutil.Process, settings: Settings) -> bool:
    try:
        if process.uids().real != os.getuid():
            return False
        return process.environ().get(_HEAD_VARIABLE) == str(settings.data_dir.resolve())
    except (psutil.Error, OSError):  # it has ended, or belongs to another user
        return False


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


# ---- files and folders ---------------------------------------------------------------------------------------------


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "ray"


def _file(settings: Settings) -> Path:
    return _folder(settings) / "head.json"


def _new_temporary(settings: Settings) -> Path:
    """Make the folder of Ray's own files. Raises RuntimeUnavailable.

    Its name is random, so that no other user can make it first, and only this user can enter it; Ray opens its own
    folder, below, to everybody.
    """
    parent = temporary_folder()
    try:
        private = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as error:
        raise RuntimeUnavailable(f"the local Ray needs a folder in {parent}: {error.strerror}") from error
    _temporary_file(settings).write_text(str(private))
    temporary = private / "r"
    temporary.mkdir()
    return temporary


def _remove_temporary(settings: Settings) -> None:
    """Remove the folder of Ray's own files, if it is a folder that `_new_temporary` made."""
    try:
        private = Path(_temporary_file(settings).read_text())
        is_ours = private.name.startswith(_PREFIX) and private.lstat().st_uid == os.getuid()
    except OSError:
        return
    if is_ours and not private.is_symlink():
        shutil.rmtree(private, ignore_errors=True)
    _temporary_file(settings).unlink(missing_ok=True)


def _temporary_file(settings: Settings) -> Path:
    return _folder(settings) / "temporary"


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """Allow a single process at a time to start or stop the head of a data folder."""
    _folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    with (_folder(settings) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _new_token(path: Path) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def _read(settings: Settings) -> RayHead | None:
    try:
        return RayHead(**json.loads(_file(settings).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _is_head(head: RayHead) -> bool:
    try:
        process = psutil.Process(head.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - head.started) < 1.0
    except psutil.NoSuchProcess:
        return False


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1.0):
            return True
    except OSError:
        return False


def main(arguments: list[str] | None = None) -> int:
    """Start, stop or show the local head; exit code 1 if `status` finds none."""
    parser = argparse.ArgumentParser(prog="python -m workers.cluster", description=main.__doc__)
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--cpus", type=int, default=None, help="CPUs to offer; default: all CPUs of the machine")
    options = parser.parse_args(arguments)
    settings = Settings()
    if options.action == "start":
        message = ensure(settings, cpus=options.cpus)
    elif options.action == "stop":
        message = "stopped" if stop(settings) else "no local head runs"
    else:
        head = running(settings)
        message = f"{head.address} (pid {head.pid})" if head else "no local head runs"
    sys.stdout.write(message + "\n")
    return 0 if options.action != "status" or running(settings) else 1


if __name__ == "__main__":
    sys.exit(main())

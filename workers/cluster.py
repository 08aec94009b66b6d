"""The Ray cluster that trials run on: the one of RAY_ADDRESS, or one local head per data folder.

The local head is a process of its own that outlives the driver: the next driver only connects, in half a second. It
listens on the loopback interface alone, asks for a token of its own (mode 0600), and never sees the address of the
database. Its pid and address stand in `<data_dir>/ray/head.json`; `stop` ends exactly the processes of that head.

`python -m workers.cluster start|stop|status` does the same by hand.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
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

from searchsvc.errors import RuntimeUnavailable
from searchsvc.settings import Settings

OBJECT_STORE_BYTES = 200_000_000  # configurations and measurements pass through it, never data or weights
START_SECONDS = 60.0
STOP_SECONDS = 2.0
STOP_ROUNDS = 5
_RAY_OPTIONS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_preload_python_modules": "workers.trials.trainable",  # saves half a second before the first trial
}
_SECRETS = ("SEARCHSVC_", "PG", "DATABASE_URL", "RAY_ADDRESS", "RAY_AUTH")
"""Beginnings of names that no process of the head, and so no worker, inherits."""


@dataclass(frozen=True, slots=True)
class Head:
    """A running local head."""

    address: str
    pid: int
    started: float
    """The process's own start time: a pid that was given to another process is not taken for the head."""


def ensure(settings: Settings, *, cpus: int | None = None) -> str:
    """The address of the cluster; a local head is started where none is configured and none runs.

    Raises RuntimeUnavailable with the end of Ray's own log where it does not come up.
    """
    if settings.ray_address:
        return settings.ray_address
    with _locked(settings):
        head = running(settings)
        if head is None:
            _end_leftovers(settings)
            head = _start(settings, cpus)
        return head.address


def running(settings: Settings) -> Head | None:
    """The local head of this data folder, where it runs and answers."""
    head = _read(settings)
    return head if head and _is_head(head) and _answers(head.address) else None


def stop(settings: Settings) -> bool:
    """End the local head of this data folder and everything that it started; False where none ran."""
    with _locked(settings):
        ended = _end_leftovers(settings)
        _file(settings).unlink(missing_ok=True)
        return ended


def client_environment(settings: Settings) -> dict[str, str]:
    """What a process needs in its environment, before it imports ray, to connect to the local head."""
    if settings.ray_address:
        return {}
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_folder(settings) / "token"),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its effect on every system: nodes are addressed as 127.0.0.1 only
    }


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without anything that a trial has no business to know."""
    return {name: value for name, value in environment.items() if not name.startswith(_SECRETS)}


# ---- starting and ending -------------------------------------------------------------------------------------------


def _start(settings: Settings, cpus: int | None) -> Head:
    _new_token(_folder(settings) / "token")
    temporary = _temporary(settings)
    temporary.parent.mkdir(mode=0o700)  # Ray makes its own folder, below, open to everybody
    temporary.mkdir()
    log = temporary / "start.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            _command(temporary, cpus),
            env=worker_environment(os.environ) | client_environment(settings) | _RAY_OPTIONS,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
    address = _wait_for_address(process, temporary / "ray_current_cluster", log)
    head = Head(address, process.pid, psutil.Process(process.pid).create_time())
    partial = _file(settings).with_suffix(".new")
    partial.write_text(json.dumps(asdict(head)))
    partial.replace(_file(settings))
    return head


def _command(temporary: Path, cpus: int | None) -> list[str]:
    options = {
        "--node-ip-address": "127.0.0.1",
        "--port": "0",
        "--include-dashboard": "false",
        "--include-log-monitor": "false",
        "--object-store-memory": str(OBJECT_STORE_BYTES),
        "--temp-dir": str(temporary),
    } | ({"--num-cpus": str(cpus)} if cpus is not None else {})
    ray = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
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
    """End whatever belongs to a head of this data folder, one that was never written down included.

    By SIGKILL, since most of Ray's processes do not end by SIGTERM for seconds, and nothing of them is kept. In rounds,
    since a head that is starting may start another process after it was looked at.
    """
    ended = False
    for _ in range(STOP_ROUNDS):
        found = processes(settings)
        if not found:
            break
        for process in found:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=STOP_SECONDS)
        ended = True
    shutil.rmtree(_temporary(settings).parent, ignore_errors=True)
    return ended


def processes(settings: Settings) -> list[psutil.Process]:
    """The head, recognised by its temporary folder in the command line, and all that descend from it (workers)."""
    mark = f"{_temporary(settings)}"
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter(["cmdline"]):
        if any(part.endswith(f"={mark}") or f"{mark}/" in part for part in process.info["cmdline"] or ()):
            found |= {one.pid: one for one in (process, *_descendants(process))}
    return list(found.values())


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


# ---- where things are ----------------------------------------------------------------------------------------------


def _folder(settings: Settings) -> Path:
    return settings.data_dir / "ray"


def _file(settings: Settings) -> Path:
    return _folder(settings) / "head.json"


def _temporary(settings: Settings) -> Path:
    """Ray's own files. Short, because Ray makes Unix sockets below it, whose paths may have 107 characters."""
    digest = hashlib.sha256(f"{os.getuid()}:{settings.data_dir.resolve()}".encode()).hexdigest()[:10]
    parent = tempfile.gettempdir()
    return Path(parent if len(parent) <= 16 else "/tmp", f"searchsvc-{digest}", "r")  # noqa: S108 - made with mode 0700


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One process at a time starts or stops the head of a data folder."""
    _folder(settings).mkdir(mode=0o700, parents=True, exist_ok=True)
    with (_folder(settings) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _new_token(path: Path) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_hex(32))


def _read(settings: Settings) -> Head | None:
    try:
        return Head(**json.loads(_file(settings).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _is_head(head: Head) -> bool:
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
    """start, stop or show the local head; exit code 1 where `status` finds none."""
    parser = argparse.ArgumentParser(prog="python -m workers.cluster", description=main.__doc__)
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument("--cpus", type=int, default=None, help="CPUs to offer; all of the machine's where left out")
    given = parser.parse_args(arguments)
    settings = Settings()
    if given.action == "start":
        say = ensure(settings, cpus=given.cpus)
    elif given.action == "stop":
        say = "stopped" if stop(settings) else "no local head runs"
    else:
        head = running(settings)
        say = f"{head.address} (pid {head.pid})" if head else "no local head runs"
    sys.stdout.write(say + "\n")
    return 0 if given.action != "status" or running(settings) else 1


if __name__ == "__main__":
    sys.exit(main())

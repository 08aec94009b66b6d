"""A separate PostgreSQL server that can be killed and restarted."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import psutil
import psycopg

from tests.support.hosts import inside

_START_SECONDS, _STOP_SECONDS = 60.0, 30.0
# The data need not outlive the machine. They do outlive a killed server: what it wrote is in the kernel's cache.
_SETTINGS = {"fsync": "off", "max_connections": "200", "shared_buffers": "64MB", "timezone": "UTC"}


class PostgresMissing(Exception):
    """PostgreSQL is not installed on this machine."""


def find_programs() -> Path:
    """Return the folder with `initdb` and `postgres`. Raises PostgresMissing."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(packaged, key=lambda folder: int(folder.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresMissing("PostgreSQL is not installed: no initdb in PATH or in /usr/lib/postgresql/*/bin")


class PostgresServer:
    """A server on a free port of 127.0.0.1, in a temporary folder, which `remove` deletes.

    Its socket in that folder is reached from every network namespace of the machine.
    """

    def __init__(self, *, namespace: str | None = None) -> None:
        """Create the server. `namespace`: the network namespace that has its port; default: that of this process."""
        self._namespace = namespace
        self._programs = find_programs()
        self._account = account()
        self._process: subprocess.Popen[bytes] | None = None
        self.folder = Path(tempfile.mkdtemp(prefix="searchsvc-postgres-"))
        if self._account is not None:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        self.port = free_port()
        options = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run([self._programs / "initdb", "-D", self._data, *options])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def socket_url(self, database: str = "postgres") -> str:
        """Return a URL that does not depend on the network."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.port}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        assert self._process is None
        options = {**_SETTINGS, "port": self.port, "listen_addresses": "127.0.0.1"}
        options["unix_socket_directories"] = self.folder
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        account = self._as_account()
        if self._namespace is not None:  # entering it needs the rights of this process
            command, account = inside(self._namespace, command, self._account), {"cwd": self.folder}
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, **account
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Shut down, ending all sessions, if the server runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_STOP_SECONDS)
            self._process = None

    def kill9(self) -> None:
        """End the server and all its processes at once, like a power cut."""
        assert self._process is not None
        leader = psutil.Process(self._process.pid)
        leader.suspend()  # or it would answer the death of its children with new ones
        children = leader.children(recursive=True)
        for process in (leader, *children):
            process.kill()
        self._process.wait(_STOP_SECONDS)
        psutil.wait_procs(children, _STOP_SECONDS)
        self._process = None

    def restart(self, *, away_seconds: float = 0.0) -> None:
        """Kill the server as `kill9` does, and start it again after a while."""
        self.kill9()
        time.sleep(away_seconds)
        self.start()

    def remove(self) -> None:
        """Stop the server, and delete all its files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def create_database(self, *, template: str = "template1") -> str:
        """Create a database and return its URL."""
        name = f"searchsvc_{uuid4().hex}"
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        self.execute(f'DROP DATABASE "{url.rsplit("/", 1)[1]}" WITH (FORCE)')

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run a statement outside of any transaction, and return its rows."""
        with psycopg.connect(self.socket_url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}") from error
                time.sleep(0.05)
            else:
                return

    def _run(self, command: Sequence[str | Path]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_account())
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {"cwd": self.folder}
        account = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return {"cwd": self.folder, **account}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def account() -> pwd.struct_passwd | None:
    """Return another account to run as if this is root, which PostgreSQL refuses; otherwise None."""
    if os.geteuid() != 0:
        return None
    names = {one.pw_name: one for one in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]

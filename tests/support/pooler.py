"""PgBouncer in transaction mode in front of a PostgreSQL server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.postgres import PostgresServer, account, free_port

_START_SECONDS, _STOP_SECONDS = 60.0, 30.0
_SERVER_CONNECTIONS = 3  # fewer than there are clients, so that they share


class PoolerMissing(Exception):
    """PgBouncer is not installed on this machine."""


class Pooler:
    """A PgBouncer on a free port, which lends a connection to a client for one transaction at a time."""

    def __init__(self, server: PostgresServer) -> None:
        program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/sbin")
        if program is None:
            raise PoolerMissing("PgBouncer is not installed: no pgbouncer in PATH or /usr/sbin")
        self._program = program
        self._server = server
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="searchsvc-pgbouncer-"))
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database_url: str) -> str:
        """Return the URL by which the pooler leads to a database of the server."""
        return database_url.replace(f":{self._server.port}/", f":{self.port}/")

    def __enter__(self) -> Self:
        (self.folder / "users.txt").write_text('"postgres" ""\n')
        lines = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "auth_type": "trust",
            "auth_file": self.folder / "users.txt",
            "pool_mode": "transaction",
            "default_pool_size": _SERVER_CONNECTIONS,
            "max_client_conn": 200,
            "unix_socket_dir": "",
            "server_reset_query": "DISCARD ALL",
            "server_reset_query_always": 1,  # whatever a session keeps is gone after each transaction
        }
        settings = "\n".join(f"{name} = {value}" for name, value in lines.items())
        databases = f"* = host=127.0.0.1 port={self._server.port}"
        (self.folder / "pgbouncer.ini").write_text(f"[databases]\n{databases}\n[pgbouncer]\n{settings}\n")
        user = account()
        if user is not None:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
        arguments: dict[str, Any] = {}
        if user is not None:
            arguments = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        command = [self._program, str(self.folder / "pgbouncer.ini")]
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder, **arguments
            )
        self._wait_until_it_answers()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(_STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                psycopg.connect(self.url(self._server.url()), connect_timeout=5).close()
            except psycopg.OperationalError as error:
                assert self._process is not None
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PgBouncer did not start:\n{(self.folder / 'log').read_text()}") from error
                time.sleep(0.05)
            else:
                return

"""The address of the service: set by the user, or left in the data folder by `searchctl serve`."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from searchsvc.errors import InvalidInput, RuntimeUnavailable
from searchsvc.settings import Settings


def service_address(settings: Settings) -> str | None:
    """Return the address of the service to talk to, or None if no service runs."""
    return settings.url or running_address(settings) or foreign_address(settings)


def address_path(settings: Settings) -> Path:
    """Return the file in which `searchctl serve` leaves its address for commands with the same data folder."""
    return settings.data_dir / "address"


def running_address(settings: Settings) -> str | None:
    """Return the address of the service of this data folder, or None if no service listens."""
    try:
        address = address_path(settings).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return address if listens(address) else None


def foreign_address(settings: Settings) -> str | None:
    """Return the address of a service of another data folder on this machine, if the user has a token for it."""
    return settings.service_url if settings.token and listens(settings.service_url) else None


def listens(address: str) -> bool:
    """Return whether anything accepts connections at an address."""
    try:
        url = urlsplit(address)
        with socket.create_connection((url.hostname or "", url.port or 80), timeout=1.0):
            return bool(url.hostname)
    except (OSError, ValueError):
        return False


def listener(settings: Settings) -> socket.socket:
    """Bind a socket before anything else starts, so that a taken port is reported and the address is certain.

    Raises RuntimeUnavailable.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
    except OSError as error:
        bound.close()
        where = f"{settings.host}:{settings.port}"
        raise RuntimeUnavailable(f"cannot listen on {where}: {error.strerror}; --port 0 takes a free port") from None
    return bound


def address_of(settings: Settings, bound: socket.socket) -> str:
    """Return the address of a bound socket as this machine reaches it."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


@contextmanager
def announced_address(settings: Settings, bound: socket.socket) -> Iterator[None]:
    """Leave the address in the data folder for the duration of the block, so that searchctl finds the service.

    Only for the holder of `service_lock`: the address of a running service is neither replaced nor removed.
    """
    path = address_path(settings)
    partial = path.with_suffix(".new")
    partial.write_text(address_of(settings, bound) + "\n", encoding="ascii")
    partial.replace(path)  # a reader sees a whole address
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def service_lock(settings: Settings) -> Iterator[bool]:
    """Yield whether this process is the only service that announces itself in the data folder, during the block.

    The lock is the system's, not a file with a process id: it ends with its process, however that ends.
    """
    with _lock_file(settings) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:  # a network file system without locks
            yield running_address(settings) is None
            return
        with suppress(OSError):  # on a full disk, the lock holds without these words
            lock.truncate(0)
            os.write(lock.fileno(), f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield True


def _lock_file(settings: Settings) -> IO[bytes]:
    """Open the file of the lock. Raises InvalidInput if the data folder cannot be written."""
    try:
        return (settings.data_dir / "serve.lock").open("ab", buffering=0)
    except OSError as error:
        raise InvalidInput.at("/data_dir", f"{error.filename} cannot be written: {error.strerror}") from None


def running_service(settings: Settings) -> str:
    """Return which service holds `service_lock`, for messages: its address, process and host, as far as known."""
    try:
        holder = (settings.data_dir / "serve.lock").read_text(errors="replace").strip()
        address = address_path(settings).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return "a service that is starting"
    return f"the service at {address} ({holder})"

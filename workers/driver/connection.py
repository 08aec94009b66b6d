"""The driver's connection to Ray, with Ray's logging off.

Ray's own client waits for minutes, without hearing a signal, if nobody answers. So the address is probed first, Ray
connects in a background thread, and the main thread hears requests meanwhile.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray

from searchsvc.errors import Conflict
from workers.driver import tune_run
from workers.driver.heartbeat import Cause, Heartbeat
from workers.driver.interruption import Interrupted, Reason, StopRequests, in_background

PROBE_SECONDS = 3.0
"""Time for an address to accept a connection, and again to answer it."""
PATIENCE_SECONDS = 2.0
"""Time that Ray may take to connect before the job shows that it waits."""
CONNECT_SECONDS = 120.0
"""Time after which a connection does not come about any more; another driver then tries it."""
WATCH_SECONDS = 2.0
"""Interval at which the address of a connected cluster is probed."""
SHUTDOWN_SECONDS = 10.0
"""Time for the connection to end; if Ray has gone, it may never."""
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""The preface of an HTTP/2 connection and an empty SETTINGS frame, which every gRPC server answers (RFC 9113, 3.4)."""

logger = logging.getLogger(__name__)


@contextmanager
def to_ray(address: str, heartbeat: Heartbeat, requests: StopRequests, *, is_watched: bool) -> Iterator[None]:
    """Connect to Ray for the duration of the context, however long that takes; actors end with the connection.

    While Ray cannot be reached, the job waits for it; if `is_watched`, also later. Raises Interrupted if the job must
    end while it waits for a connection, and Conflict if the cluster runs another version.
    """
    tune_run.prepare_environment()
    _connect(address, heartbeat, requests)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logger.info("connected to Ray at %s", address)
    is_over = threading.Event()
    if is_watched:
        threading.Thread(target=_watch, args=(address, heartbeat, is_over), name="watch of Ray", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        with suppress(TimeoutError):
            in_background(ray.shutdown).result(SHUTDOWN_SECONDS)


def problem_at(address: str) -> str | None:
    """Return why no gRPC server answers at `host:port`, or None if one does, or if the address has another form."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        return None
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
                return None  # the greeting would have to be encrypted
            connection.sendall(_GREETING)
            return None if connection.recv(1) else "the connection was closed"
    except TimeoutError:
        return f"no answer within {PROBE_SECONDS:g} s"
    except (OSError, OverflowError) as error:
        return str(getattr(error, "strerror", None) or error).lower()


def _connect(address: str, heartbeat: Heartbeat, requests: StopRequests) -> None:
    """Try until Ray is connected."""
    pause = _FIRST_PAUSE_SECONDS
    while (problem := _attempt(address, heartbeat, requests)) is not None:
        if heartbeat.waiting_for is None:
            logger.warning("Ray at %s cannot be reached: %s", address, problem)
        heartbeat.wait_for(Cause.RAY, _reason(address, problem))
        requests.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
    heartbeat.wait_for(Cause.RAY, None)


def _attempt(address: str, heartbeat: Heartbeat, requests: StopRequests) -> str | None:
    """Try to connect once. Return the problem, or None if Ray is connected."""
    problem = requests.await_result(lambda: problem_at(address))
    if problem is not None:
        return problem
    connecting = in_background(lambda: _init(address))
    began = time.monotonic()
    while not requests.is_done(connecting, 0.05):
        seconds = time.monotonic() - began
        if seconds > CONNECT_SECONDS:
            raise Interrupted(Reason.STUCK)  # Ray's client cannot be called off: another process has to try
        if seconds > PATIENCE_SECONDS:
            heartbeat.wait_for(Cause.RAY, _reason(address, "it is slow to connect"))
    return connecting.result()


def _init(address: str) -> str | None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
    except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
        message = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if message.startswith("Version mismatch"):
            raise Conflict(_mismatch(address, str(error))) from error
        ray.shutdown()
        return message
    return None


def _mismatch(address: str, message: str) -> str:
    """Return, in a sentence, which versions the cluster and this driver have. `message`: Ray's, about both."""
    versions = {"Ray": ray.__version__, "Python": platform.python_version()}
    theirs = [
        f"{name} {found[1]}"
        for name in versions
        if (found := re.search(rf"{name}: *(\d[\w.+-]*)", message)) is not None  # the cluster's come first
    ]
    there = " with ".join(theirs) or " ".join(message.split())
    here = " with ".join(f"{name} {version}" for name, version in versions.items())
    return f"the cluster at {address} runs {there}, this driver {here}: install the same versions on both"


def _watch(address: str, heartbeat: Heartbeat, is_over: threading.Event) -> None:
    """Note when a connected cluster cannot be reached (twice in a row), and when it answers again."""
    failures = 0
    while not is_over.wait(WATCH_SECONDS):
        problem = problem_at(address)
        failures = failures + 1 if problem else 0
        if problem is None or failures > 1:
            heartbeat.wait_for(Cause.RAY, problem and _reason(address, problem))


def _reason(address: str, problem: str) -> str:
    return f"waits for Ray at {address}: {problem}"

"""Driver processes: their log, their end, their signals."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from searchsvc.controller.drivers import DriverProcess, Standby
from searchsvc.domain import Lease
from searchsvc.errors import RuntimeUnavailable


def _start(code: str, log: Path) -> DriverProcess:
    return DriverProcess.start([sys.executable, "-c", code], os.environ, log)


def test_the_tail_is_of_this_run_alone(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "job.log"
    assert _start("print('first')", log).wait(time.monotonic() + 20)
    second = _start("import sys; sys.exit('second')", log)
    assert second.wait(time.monotonic() + 20)
    assert (second.tail(), second.how_it_ended()) == ("second", "ended with exit code 1")
    assert log.read_text() == "first\nsecond\n"


def test_a_long_log_gives_way_to_a_new_one_and_one_old_one_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_bytes(b"x" * 10_000_001)
    assert _start("print('new')", log).wait(time.monotonic() + 20)
    assert log.read_text() == "new\n"
    assert (tmp_path / "job.log.1").stat().st_size == 10_000_001


def test_a_kill_takes_the_children_of_the_driver_along(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    code = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True); time.sleep(60)"
    driver = _start(code, log)
    _until(lambda: bool(driver.tail()))
    child = int(driver.tail())
    driver.kill()
    assert driver.how_it_ended() == "was ended by SIGKILL"
    assert _ends(child)


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # its new parent has not reaped it yet
            return True
        time.sleep(0.02)
    return False


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="cannot be started"):
        DriverProcess.start([str(tmp_path / "nothing")], {}, tmp_path / "job.log")


# ---- on standby ----------------------------------------------------------------------------------------------------

LEASE = Lease(job_id="one", holder="me", epoch=3, deadline=0.0)
WAITING = """
import json, sys
print("ready", flush=True)
line = sys.stdin.readline()
if line:
    given = json.loads(line)
    open(given["log"], "a").write(f"{given['job']} {given['epoch']}\\n")
"""


def _standby(code: str, folder: Path) -> Standby:
    return Standby([sys.executable, "-c", code], os.environ, folder / "standby.log")


def test_one_on_standby_gets_its_job_and_writes_into_the_log_of_it(tmp_path: Path) -> None:
    standby, log = _standby(WAITING, tmp_path), tmp_path / "logs" / "one.log"
    assert standby.take(LEASE, log) is None
    standby.prepare()
    standby.prepare()
    driver = standby.take(LEASE, log)
    assert driver is not None
    assert driver.wait(time.monotonic() + 20)
    assert (driver.exit_code, driver.tail()) == (0, "one 3")
    assert (tmp_path / "standby.log").read_text() == "ready\n"
    assert standby.take(LEASE, log) is None


def test_the_tail_of_one_that_was_on_standby_is_of_its_run_alone(tmp_path: Path) -> None:
    standby, log = _standby(WAITING, tmp_path), tmp_path / "one.log"
    log.write_text("of before\n")
    standby.prepare()
    driver = standby.take(LEASE, log)
    assert driver is not None
    assert driver.wait(time.monotonic() + 20)
    assert driver.tail() == "one 3"
    assert log.read_text() == "of before\none 3\n"


def test_one_that_failed_is_said_and_takes_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    code = f"import os, sys; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); sys.exit('no module')"
    standby, log = _standby(code, tmp_path), tmp_path / "one.log"
    standby.prepare()
    _until(lambda: (tmp_path / "standby.log").read_text() == "no module\n")
    assert _ends(int((tmp_path / "pid").read_text()))
    with caplog.at_level(logging.WARNING):
        assert standby.take(LEASE, log) is None
    assert "ended with exit code 1: no module" in caplog.text
    assert not log.exists()


def test_it_ends_with_whoever_keeps_it(tmp_path: Path) -> None:
    keeper = f"""
import os, sys, time
from pathlib import Path
from searchsvc.controller.drivers import Standby
code = "import os, sys; print(os.getpid(), flush=True); sys.stdin.readline()"
Standby([sys.executable, "-c", code], os.environ, Path({str(tmp_path / "standby.log")!r})).prepare()
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", keeper]) as process:
        try:
            _until(lambda: (tmp_path / "standby.log").exists() and bool((tmp_path / "standby.log").read_text()))
        finally:
            process.kill()
    assert _ends(int((tmp_path / "standby.log").read_text()))


def test_one_that_is_not_needed_is_ended(tmp_path: Path) -> None:
    standby = _standby("import os, sys; print(os.getpid(), flush=True); sys.stdin.readline()", tmp_path)
    standby.prepare()
    _until(lambda: bool((tmp_path / "standby.log").read_text()))
    standby.close()
    assert _ends(int((tmp_path / "standby.log").read_text()))
    assert standby.take(LEASE, tmp_path / "one.log") is None


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)

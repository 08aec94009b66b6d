"""Driver processes: their log, their end, their signals."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from searchsvc.errors import RuntimeUnavailable
from searchsvc.service.drivers import DriverProcess


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
    deadline = time.monotonic() + 20
    while not driver.tail():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child = int(driver.tail())
    driver.kill()
    assert driver.how_it_ended() == "was ended by SIGKILL"
    assert _ends(child)


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":  # whoever inherited it has not looked yet
            return True
        time.sleep(0.02)
    return False


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeUnavailable, match="cannot be started"):
        DriverProcess.start([str(tmp_path / "nothing")], {}, tmp_path / "job.log")

"""Nodes of a Ray cluster that is separate from the service, as an operator starts them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.support.tasks import install

TOKEN = "0123456789abcdef" * 4
WAIT_FOR_NODES = """
import sys, time, ray

ray.init(sys.argv[1], log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[2]):
    time.sleep(0.1)
"""
"""Code that ends as soon as a number of nodes have joined the cluster at an address."""


def start(*options: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a node with these options of `ray start`; it lives as long as its process."""
    program = [sys.executable, "-c", "from ray.scripts.scripts import main; main()"]
    command = [*program, "start", "--block", "--disable-usage-stats", "--object-store-memory=80000000", *options]
    return subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, start_new_session=True)


def start_head(folder: Path, *options: str, port: int = 0, **environment: str) -> subprocess.Popen[bytes]:
    """Start a head whose files are in a folder with a short path; port 0: any."""
    own = ("--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false")
    return start(*own, *options, **environment)


def packages(data_dir: Path) -> dict[str, str]:
    """Return the environment in which a node finds the tasks of the tests."""
    return {"PYTHONPATH": install(data_dir / "packages")}


def address_of_head(folder: Path) -> str:
    """Wait for the head to start, and return its address."""
    path, deadline = folder / "ray_current_cluster", time.monotonic() + 60
    while not (path.exists() and (text := path.read_text().strip())):
        assert time.monotonic() < deadline, "the head does not start"
        time.sleep(0.1)
    return text


def wait_for_nodes(address: str, count: int) -> None:
    subprocess.run([sys.executable, "-c", WAIT_FOR_NODES, address, str(count)], check=True, timeout=90)


def processes(node: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of a node, its own first."""
    own = psutil.Process(node.pid)
    return [own, *own.children(recursive=True)]


def end(node: subprocess.Popen[bytes]) -> None:
    """Kill a node with all of its processes."""
    ending = processes(node)
    for process in ending:
        process.kill()
    node.wait()
    psutil.wait_procs(ending, timeout=10)

"""Rank 1 of a group of two, as a process: `python -m tests.support.groups PORT END`.

It takes part in a mean (of 2 and 5) and in a `same`, prints both results as a JSON list, and then acts as END says:
`leaves`, `dies` by SIGKILL, or `sleeps`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import torch

from tests.support.drivers import ROOT
from workers.trials.process_group import ProcessGroup, Rendezvous

HOST = "127.0.0.1"


def start(port: int, end: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.groups", str(port), end]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def main(port: int, end: str) -> None:
    group = ProcessGroup(Rendezvous(1, 2, HOST, port), "cpu", HOST)
    tensor, agreed = torch.tensor([2.0, 5.0]), torch.zeros(2)
    group.mean(tensor)
    group.same(agreed)
    print(json.dumps([tensor.tolist(), agreed.tolist()]), flush=True)
    if end == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if end == "sleeps":
        time.sleep(600)
    group.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])

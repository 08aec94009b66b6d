"""Hosts on a single machine: network namespaces that a bridge joins, and whose links go down and up.

A host has its own interfaces, addresses and ports, and shares the file system with the others, as hosts with a network
file system do. Nothing of it is visible in the machine's own network, so several test runs can use the same addresses.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_PROGRAMS = ("ip", "nsenter")
_SWITCH, _BRIDGE, _INTERFACE = "switch", "bridge", "eth0"
_NETWORK = "10.9.0"
_REMOVAL_SECONDS = 60.0
# Reads until its input ends: when the test closes it, or when the test's process has died in whatever way.
_REMOVE = """
cat >/dev/null
for name; do
  while pids=$(ip netns pids "$name") && [ -n "$pids" ]; do kill -9 $pids; sleep 0.1; done
done
for name; do ip netns delete "$name"; done
"""
# What an engine does with `restart: unless-stopped`.
_SUPERVISE = 'while :; do "$@"; echo "ended with $?, and is started again"; sleep 0.5; done'


class NoNamespaces(Exception):
    """This machine does not allow network namespaces."""


class Host:
    """A namespace with an address. Processes that are started in it end with the network."""

    def __init__(self, name: str, namespace: str, address: str, switch: str) -> None:
        self.name, self.namespace, self.address = name, namespace, address
        self._switch = switch

    def start(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        """Start a service that is started again whenever it ends."""
        supervised = inside(self.namespace, ["sh", "-c", _SUPERVISE, "supervisor", *command])
        with log.open("ab") as output:
            subprocess.Popen(
                supervised,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def run(self, command: Sequence[str], environment: Mapping[str, str], *, seconds: float = 120.0) -> str:
        """Run a command that must succeed, and return its output."""
        done = subprocess.run(
            inside(self.namespace, command), env=environment, capture_output=True, text=True, timeout=seconds
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cut(self) -> None:
        """Take the link to all other hosts down: packets are lost without an answer."""
        _ip("-n", self._switch, "link", "set", "dev", self.name, "down")

    def join(self) -> None:
        """Take the link up again."""
        _ip("-n", self._switch, "link", "set", "dev", self.name, "up")


class Network:
    """Hosts that reach each other. Raises NoNamespaces.

    ::

        with Network(["database", "worker"]) as network:
            network["worker"].cut()

    Processes, namespaces and links are removed when the block is left, and also if this process is killed: by a child
    that waits for the end of its input.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if missing := [program for program in _PROGRAMS if shutil.which(program) is None]:
            raise NoNamespaces(f"{' and '.join(missing)} not installed (Debian: iproute2, util-linux)")
        prefix = f"searchsvc-{os.getpid()}-{secrets.token_hex(3)}"
        self._switch = f"{prefix}-{_SWITCH}"
        addresses = {name: f"{_NETWORK}.{number}" for number, name in enumerate(names, start=1)}
        self._remover: subprocess.Popen[bytes]
        self._hosts = {
            name: Host(name, f"{prefix}-{name}", address, self._switch) for name, address in addresses.items()
        }

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __enter__(self) -> Self:
        self._remover = self._start_remover()
        try:
            self._create_switch()
            self._create_hosts()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def remove(self) -> None:
        """End all processes on the hosts, and remove the hosts."""
        assert self._remover.stdin is not None
        self._remover.stdin.close()
        self._remover.wait(_REMOVAL_SECONDS)

    def _create_switch(self) -> None:
        """Create a namespace with a bridge; the first pair of interfaces shows whether the machine allows them."""
        try:
            _ip("netns", "add", self._switch)
            _ip("-n", self._switch, "link", "add", "name", _BRIDGE, "type", "bridge")
            _ip("-n", self._switch, "link", "add", "name", "first", "type", "veth", "peer", "name", "second")
        except subprocess.CalledProcessError as error:
            raise NoNamespaces(f"{' '.join(error.cmd)}: {error.stderr.strip()}") from error
        _ip("-n", self._switch, "link", "delete", "dev", "first")
        _ip("-n", self._switch, "link", "set", "dev", _BRIDGE, "up")

    def _create_hosts(self) -> None:
        switch = self._switch
        for host in self._hosts.values():
            own = host.namespace
            _ip("netns", "add", own)
            peer = ("type", "veth", "peer", "name", _INTERFACE, "netns", own)
            _ip("-n", switch, "link", "add", "name", host.name, *peer)
            _ip("-n", switch, "link", "set", "dev", host.name, "master", _BRIDGE, "up")
            _ip("-n", own, "address", "add", f"{host.address}/24", "dev", _INTERFACE)
            for interface in (_INTERFACE, "lo"):
                _ip("-n", own, "link", "set", "dev", interface, "up")

    def _start_remover(self) -> subprocess.Popen[bytes]:
        namespaces = [*(host.namespace for host in self._hosts.values()), self._switch]
        return subprocess.Popen(
            ["sh", "-c", _REMOVE, "remover", *namespaces],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a namespace may not exist
            start_new_session=True,  # so that Ctrl-C does not end it
        )


def inside(namespace: str, command: Sequence[str], account: pwd.struct_passwd | None = None) -> list[str]:
    """Return the command that runs `command` in a network namespace, under another account if one is given."""
    options = [f"--net=/run/netns/{namespace}"]
    if account is not None:
        options += [f"--setuid={account.pw_uid}", f"--setgid={account.pw_gid}"]
    return ["nsenter", *options, "--", *command]


def ray_node(host: Host, folder: Path, *options: str) -> list[str]:
    """Return the command of a Ray node on a host."""
    ray = str(Path(sys.executable).parent / "ray")
    own = [f"--node-ip-address={host.address}", f"--temp-dir={folder}", "--block"]
    return [ray, "start", *own, "--num-gpus=0", "--object-store-memory=80000000", "--disable-usage-stats", *options]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=30)

"""The machine around a service: file systems, disks, limits of the process and of its container, proxies.

Each check takes milliseconds and opens neither the database nor Ray, so `run` and `serve` make them all at the start.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

from searchsvc import processes, proxies
from searchsvc.service.planning import machine
from searchsvc.service.system.health import HealthCheck
from searchsvc.settings import Settings
from searchsvc.store.database import sqlite_file

_LEAST_FREE_BYTES = 2 * 2**30
_LITTLE_FREE_BYTES = 10 * 2**30
_LEAST_FREE_SHARE = 0.05
"""Share of a disk that Ray wants free: with less, it refuses to store objects on it."""
_SHARED_MEMORY_BYTES = 512 * 2**20
_LEAST_MEMORY_BYTES = 2 * 2**30
_OPEN_FILES = 1024
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|9p|afs|ceph|lustre|beegfs\w*|glusterfs|gpfs|orangefs|vboxsf|prl_fs|virtiofs|davfs"
    r"|fuse\.(?!fuse-overlayfs|ntfs|exfat).*"
)
"""Types of file systems over a network, and of folders shared with a virtual machine: SQLite's locks fail there."""
_IN_MEMORY = ("tmpfs", "ramfs")


def warnings(settings: Settings) -> list[str]:
    """Return a sentence for each check of the machine that has not passed."""
    return [str(check) for check in (each(settings) for each in CHECKS) if check.state != "ok"]


def check_file_system(settings: Settings) -> HealthCheck:
    file = sqlite_file(settings.database_url)
    folder = existing(settings.data_dir if file is None else file.parent)
    kind = file_system_of(folder) or "unknown"
    found = f"{folder} is on {kind}"
    if file is not None and _NETWORK.fullmatch(kind):
        mend = "SQLite may lose data there: set SEARCHSVC_DATABASE_URL to a file on a local disk or to PostgreSQL"
        return HealthCheck("file system", "warning", found, mend)
    if kind in _IN_MEMORY:
        mend = "it is lost when the machine restarts: set SEARCHSVC_DATA_DIR"
        return HealthCheck("file system", "warning", f"{found}, in memory", mend)
    return HealthCheck("file system", "ok", found)


def check_disk(settings: Settings) -> HealthCheck:
    folder = settings.data_dir
    free = shutil.disk_usage(existing(folder)).free
    free_space = f"{free / 2**30:.1f} GiB free for {folder}"
    mend = "delete jobs that are not needed (`searchctl delete`), or move SEARCHSVC_DATA_DIR to a larger disk"
    if free < _LEAST_FREE_BYTES:
        return HealthCheck("disk", "failed", free_space, mend)
    return HealthCheck(
        "disk", "ok" if free >= _LITTLE_FREE_BYTES else "warning", free_space, _unless(free >= _LITTLE_FREE_BYTES, mend)
    )


def check_ray_disk(settings: Settings) -> HealthCheck:
    folder = processes.temporary_folder()
    if settings.ray_address is not None:
        return HealthCheck("disk of Ray", "ok", "that of the cluster")
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / usage.total:.1%} free for {folder}"
    if usage.free >= _LEAST_FREE_SHARE * usage.total:
        return HealthCheck("disk of Ray", "ok", found)
    mend = f"Ray stores nothing with less than {_LEAST_FREE_SHARE:.0%} free: make room, or set TMPDIR to a short path"
    return HealthCheck("disk of Ray", "warning", found, mend)


def check_shared_memory(_settings: Settings) -> HealthCheck:
    folder = Path("/dev/shm")  # noqa: S108 - inspected, not written to
    if not folder.is_dir():
        return HealthCheck(
            "shared memory", "warning", "there is no /dev/shm", "Ray keeps its objects on disk, which is slower"
        )
    size = shutil.disk_usage(folder).total
    enough = size >= _SHARED_MEMORY_BYTES
    mend = "give the container more: docker run --shm-size=2g, or shm_size in docker-compose.yml"
    return HealthCheck(
        "shared memory", "ok" if enough else "warning", f"{size / 2**20:,.0f} MiB", _unless(enough, mend)
    )


def check_open_files(_settings: Settings) -> HealthCheck:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES
    found = "no limit" if soft == resource.RLIM_INFINITY else f"{soft:,} at once"
    mend = f"Ray needs more than that: ulimit -n {4 * _OPEN_FILES}"
    return HealthCheck("open files", "ok" if enough else "warning", found, _unless(enough, mend))


def check_resources(_settings: Settings) -> HealthCheck:
    cpus, memory = machine.cpus(), machine.memory_bytes()
    parts = [f"{cpus} CPUs", f"{memory / 2**30:.1f} GiB of memory"]
    hosts = os.cpu_count() or cpus
    if cpus < hosts or memory < machine.host_memory_bytes():
        parts.append(f"limited: the host has {hosts} CPUs and {machine.host_memory_bytes() / 2**30:.1f} GiB")
    enough = memory >= _LEAST_MEMORY_BYTES
    mend = f"Ray and one trial need about {_LEAST_MEMORY_BYTES / 2**30:g} GiB: raise the limit of memory"
    return HealthCheck("resources", "ok" if enough else "warning", ", ".join(parts), _unless(enough, mend))


def check_proxy(settings: Settings) -> HealthCheck:
    names = [name for name in (*proxies.VARIABLES, "no_proxy") if proxies.variable(name)]
    if not set(names) & set(proxies.VARIABLES):
        return HealthCheck("proxy", "ok", "none")
    uses = [f"searchctl reaches {scheme}:// through {_proxy_of(scheme)}" for scheme in ("http", "https")]
    exempt = proxies.variable("no_proxy")
    uses.append(f"this machine and Ray go without a proxy{f', as do {exempt} (NO_PROXY)' if exempt else ''}")
    if settings.url is not None:
        uses.append(f"{settings.url} takes {_proxy_of_url(settings.url)}")
    return HealthCheck("proxy", "ok", "; ".join(uses))


CHECKS: tuple[Callable[[Settings], HealthCheck], ...] = (
    check_file_system,
    check_disk,
    check_ray_disk,
    check_shared_memory,
    check_open_files,
    check_resources,
    check_proxy,
)


def file_system_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """Return the type of the file system that holds an existing path, such as `ext4` or `nfs4`; None if unknown."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None  # not Linux
    place = Path(os.path.realpath(path))
    kind, longest = None, -1
    for line in lines:
        front, _, back = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), front.split(" ")[4]))
        if place.is_relative_to(point) and len(point.parts) >= longest:  # a later mount covers an earlier
            kind, longest = back.split(" ")[0], len(point.parts)
    return kind


def existing(path: Path) -> Path:
    """Return the path, or the nearest existing folder above it."""
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _proxy_of(scheme: str) -> str:
    proxy = proxies.variable(f"{scheme}_proxy") or proxies.variable("all_proxy")
    return proxies.without_password(proxy) or "no proxy"


def _proxy_of_url(url: str) -> str:
    match = re.fullmatch(r"(https?)://(?:[^/@]*@)?(\[[^]]*]|[^:/]*)(?::(\d+))?(?:/.*)?", url)
    if match is None:
        return "no proxy"
    proxy = proxies.proxy_for(match[1], match[2].strip("[]"), int(match[3] or {"http": 80, "https": 443}[match[1]]))
    return proxies.without_password(proxy or "no proxy")


def _unless(is_ok: bool, mend: str) -> str | None:
    return None if is_ok else mend

"""Settings: the only reader of environment variables.

The variable of a field is `SEARCHSVC_` and the name of the field in capitals. The settings page of the documentation
consists of the descriptions of the fields. Every command of searchctl imports this module first, so it needs nothing
but the standard library (docs/decisions/0011-a-light-client.md).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints
from urllib.parse import quote

from searchsvc import processes, proxies
from searchsvc.errors import FaultCollector, InvalidInput

_PREFIX = "SEARCHSVC_"
_SYNONYMS = {"ray_address": "RAY_ADDRESS"}
"""Variables of other programs that set a field if our own variable does not."""
_OF_CLIENTS = ("SEARCHSVC_TOKEN", "SEARCHSVC_URL")
"""Variables that only searchctl needs, as a client of a service."""
_PASSWORD = re.compile(r"([?&](?:password|sslpassword)=)[^&]*", re.IGNORECASE)
_UNSET: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class _Kind:
    """The values that a setting accepts, as text from the environment or as a Python object."""

    parse: Callable[[Any], Any]
    """Raises ValueError or TypeError for a value that is not accepted."""
    wanted: str


def _folder(value: Any) -> Path:
    path = os.path.expanduser(value)
    if os.fspath(path).startswith("~"):
        raise ValueError  # there is no such user; a folder of that name is written ./~name
    return Path(os.path.abspath(path))  # not resolve(): a link stays as the user spelled it


def _data_folder(value: Any) -> Path:
    folder = _folder(value)
    text = str(folder)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise ValueError  # messages, logs and the files of addresses have one path a line
    text.encode()  # raises ValueError for other bytes than UTF-8, which the URL of a database cannot hold
    return folder


def _folders(value: Any) -> tuple[Path, ...]:
    if isinstance(value, str):
        is_json = value.lstrip().startswith("[")
        value = json.loads(value) if is_json else [part for part in value.split(os.pathsep) if part]
    return tuple(_folder(part) for part in value)


def _whole(least: int, most: int) -> _Kind:
    def parse(value: Any) -> int:
        number = int(value)
        if number != float(value) or not least <= number <= most:
            raise ValueError
        return number

    return _Kind(parse, f"a whole number from {least} to {most}")


def _seconds_of(value: Any) -> float:
    seconds = float(value)
    if not 0 < seconds <= 86_400:
        raise ValueError
    return seconds


def _days_of(value: Any) -> float:
    days = float(value)
    if not 0 < days <= 36_500:
        raise ValueError
    return days


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file, as `sqlalchemy.URL` writes it: the path may hold `%`, `?`, `#`, anything."""
    return f"sqlite:///{quote(str(path), safe=' +/')}"


def _database_in_data_folder(settings: Settings) -> str:
    return sqlite_url(settings.data_dir / "searchsvc.db")


_TEXT = _Kind(str, "a text")
_DATA_FOLDER = _Kind(
    _data_folder,
    "a folder whose path is UTF-8 text without line breaks and without the ~ of an unknown user",
)
_FOLDERS = _Kind(_folders, f"folders separated by {os.pathsep!r}, or a JSON list of folders")
_SECONDS = _Kind(_seconds_of, "a number of seconds above 0, at most 86400")
_DAYS = _Kind(_days_of, "a number of days above 0, at most 36500")


@dataclass(frozen=True, slots=True)
class Setting:
    """The annotation of a field of Settings."""

    kind: _Kind
    default: Any
    """A value, or a function of the settings whose earlier fields are set."""
    description: str


@dataclass(frozen=True)
class Settings:
    """Locations and behaviour of the service. Created once at start and passed on.

    Fields that are not given come from the environment, or else have their defaults. An empty variable counts as not
    set. Raises InvalidInput, with a fault for each wrong value.
    """

    data_dir: Annotated[
        Path,
        Setting(
            _DATA_FOLDER,
            "~/.searchsvc",
            "Folder of all files of the service: the SQLite database, weights, logs, the local token.",
        ),
    ] = _UNSET
    database_url: Annotated[
        str,
        Setting(
            _TEXT,
            _database_in_data_folder,
            "SQLAlchemy URL of the database: sqlite:///... (default, in the data folder) or postgresql://...",
        ),
    ] = field(default=_UNSET, repr=False)  # may hold a password
    data_roots: Annotated[
        tuple[Path, ...],
        Setting(
            _FOLDERS,
            lambda settings: (settings.data_dir / "data",),
            "Folders from which a job submitted over REST may read datasets; separate several with `:`.",
        ),
    ] = _UNSET
    ray_address: Annotated[
        str | None,
        Setting(_TEXT, None, "Address of the Ray cluster (RAY_ADDRESS is read too). If unset, a local Ray is started."),
    ] = _UNSET
    host: Annotated[str, Setting(_TEXT, "127.0.0.1", "Address on which `searchctl serve` listens.")] = _UNSET
    port: Annotated[int, Setting(_whole(0, 65_535), 8700, "Port on which `searchctl serve` listens.")] = _UNSET
    url: Annotated[
        str | None,
        Setting(_TEXT, None, "Address of the service that searchctl uses. If unset, the service of this data folder."),
    ] = _UNSET
    token: Annotated[
        str | None,
        Setting(_TEXT, None, "Bearer token that searchctl sends. If unset, the token in the data folder."),
    ] = field(default=_UNSET, repr=False)
    max_drivers: Annotated[
        int, Setting(_whole(1, 1000), 4, "Jobs that one controller runs at once; the others wait, oldest first.")
    ] = _UNSET
    lease_seconds: Annotated[
        float,
        Setting(
            _SECONDS, 3.0, "Time without a sign of life after which a driver counts as dead and its job is taken over."
        ),
    ] = _UNSET
    heartbeat_seconds: Annotated[float, Setting(_SECONDS, 0.5, "Interval at which a driver renews its lease.")] = _UNSET
    poll_seconds: Annotated[
        float, Setting(_SECONDS, 0.2, "Interval at which a controller looks for jobs to start.")
    ] = _UNSET
    cancel_seconds: Annotated[
        float, Setting(_SECONDS, 10.0, "Time that a driver has to carry out a cancellation before it is killed.")
    ] = _UNSET
    restarts: Annotated[
        int, Setting(_whole(1, 1000), 5, "Consecutive crashes without progress after which a job fails.")
    ] = _UNSET
    limit_requests: Annotated[
        int | None,
        Setting(_whole(1, 10**6), None, "Requests per minute of one token, in each API process. If unset, no limit."),
    ] = _UNSET
    limit_open_jobs: Annotated[
        int | None, Setting(_whole(0, 10**6), None, "Jobs of one token that have not ended. If unset, no limit.")
    ] = _UNSET
    limit_open_trials: Annotated[
        int | None,
        Setting(_whole(0, 10**9), None, "Trials that the open jobs of one token may still run. If unset, no limit."),
    ] = _UNSET
    limit_seconds: Annotated[
        int | None,
        Setting(
            _whole(0, 10**10),
            None,
            "Seconds that the jobs of one token have run, of the last 30 days, after which it submits no more. "
            "If unset, no limit.",
        ),
    ] = _UNSET
    limit_gpu_seconds: Annotated[
        int | None,
        Setting(
            _whole(0, 10**10),
            None,
            "GPU-seconds of the jobs of one token, of the last 30 days, after which it submits no more. "
            "If unset, no limit.",
        ),
    ] = _UNSET
    limit_bytes: Annotated[
        int | None,
        Setting(
            _whole(0, 10**15),
            None,
            "Bytes of the files of one token's jobs after which it submits no more. If unset, no limit.",
        ),
    ] = _UNSET
    database_wait_seconds: Annotated[
        float, Setting(_SECONDS, 30.0, "Time that an operation waits for a database that does not answer.")
    ] = _UNSET
    event_days: Annotated[
        float | None,
        Setting(_DAYS, None, "Age at which controllers remove events. If unset, events are kept as long as their job."),
    ] = _UNSET

    def __post_init__(self) -> None:
        environment = {name.upper(): value for name, value in os.environ.items() if value}
        faults = FaultCollector()
        for name, setting in SETTINGS.items():
            value = getattr(self, name)
            if value is _UNSET:
                synonym = environment.get(_SYNONYMS.get(name, ""))
                value = environment.get(f"{_PREFIX}{name.upper()}", synonym)
                if value is None:
                    value = self._default(setting.default, faults)
            with faults.at(f"/{name}"):
                object.__setattr__(self, name, _parsed(setting.kind, value))
        faults.raise_any()

    def _default(self, default: Any, faults: FaultCollector) -> Any:
        if not callable(default):
            return default
        faults.raise_any()  # the default depends on the fields before
        return default(self)

    @property
    def service_url(self) -> str:
        """The address at which searchctl reaches the service, without a trailing slash."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return (self.url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def token_path(self) -> Path:
        return self.data_dir / "token"

    def local_token(self) -> str | None:
        """Return the token that the service keeps in the data folder, or None if the file is missing or empty."""
        try:
            return self.token_path.read_text(encoding="ascii").strip() or None
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    def bearer_token(self) -> str | None:
        """Return the token that searchctl sends: the token from the settings, or else the token in the data folder."""
        return self.token or self.local_token()

    @property
    def logs_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def artifacts_dir(self) -> Path:
        return self.data_dir / "artifacts"

    @property
    def latency_dir(self) -> Path:
        """The folder of the latency tables."""
        return self.data_dir / "latency"

    def job_log(self, job_id: str) -> Path:
        return self.logs_dir / f"{job_id}.log"

    def trial_dir(self, job_id: str, trial_id: str) -> Path:
        """Return the folder of a trial's checkpoints, weights and log."""
        return self.artifacts_dir / job_id / trial_id

    def environment(self) -> dict[str, str]:
        """Return the environment for a process that must read the same settings.

        A process of the service is no client of it: it does not receive a token.
        """
        values = {
            "SEARCHSVC_DATA_DIR": str(self.data_dir),
            "SEARCHSVC_DATABASE_URL": self.database_url,
            "SEARCHSVC_DATA_ROOTS": json.dumps([str(root) for root in self.data_roots]),
            "SEARCHSVC_LEASE_SECONDS": str(self.lease_seconds),
            "SEARCHSVC_HEARTBEAT_SECONDS": str(self.heartbeat_seconds),
            "SEARCHSVC_DATABASE_WAIT_SECONDS": str(self.database_wait_seconds),
        }
        address = {"SEARCHSVC_RAY_ADDRESS": self.ray_address} if self.ray_address else {}
        limits = {name: getattr(self, name) for name in SETTINGS if name.startswith("limit_")}
        values |= {f"{_PREFIX}{name.upper()}": str(limit) for name, limit in limits.items() if limit is not None}
        inherited = {name: value for name, value in os.environ.items() if name.upper() not in _OF_CLIENTS}
        direct = proxies.without_proxy(inherited, filter(None, [_host_of(self.ray_address)]))
        return {**inherited, **processes.import_path(inherited), **direct, **values, **address}

    def prepare(self) -> Settings:
        """Create the data folder and its subfolders, readable only by the owner. Existing folders stay unchanged.

        Raises InvalidInput if they cannot be created.
        """
        for folder in (self.data_dir, self.logs_dir, self.artifacts_dir):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                message = f"{folder} cannot be created: {error.strerror}; set SEARCHSVC_DATA_DIR or --data-dir"
                raise InvalidInput.at("/data_dir", message) from None
        return self


def _parsed(kind: _Kind, value: Any) -> Any:
    """Return the value of a setting; None stays None. Raises InvalidInput."""
    if value is None:
        return None
    try:
        return kind.parse(value)
    except (ValueError, TypeError):
        raise InvalidInput.at("", f"{value!r} is not {kind.wanted}") from None


SETTINGS: Final[Mapping[str, Setting]] = {
    name: hint.__metadata__[0] for name, hint in get_type_hints(Settings, include_extras=True).items()
}
"""The fields of Settings, in their order."""


def _host_of(ray_address: str | None) -> str | None:
    """Return the host of `HOST:PORT` or `ray://HOST:PORT`; None for other addresses, such as `auto`."""
    host, colon, _ = (ray_address or "").rpartition("://")[2].rpartition(":")
    return host.strip("[]") if colon else None


def without_password(url: str) -> str:
    """Return the URL of a database for messages: without its password, before the host or among the options."""
    head, at, tail = url.rpartition("@")
    user = head.partition("://")[2] or head
    shown = f"{head.removesuffix(user)}{user.partition(':')[0]}{at}{tail}"
    return _PASSWORD.sub(r"\1***", shown)

"""Settings: the only reader of environment variables.

The variable of a field is `SEARCHSVC_` and the name of the field in capitals. The settings page of the documentation
consists of the descriptions of the fields. Every command of searchctl imports this module first, so it reads the
environment itself: importing pydantic-settings takes longer than running a command.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

_PREFIX = "SEARCHSVC_"
_SYNONYMS = {"ray_address": "RAY_ADDRESS"}
"""Variables of other programs that set a field if our own variable does not."""


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # not resolve(): a link that the user chose stays as it is spelled


Folder = Annotated[Path, AfterValidator(_absolute)]
Folders = tuple[Folder, ...]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Settings(BaseModel):
    """Locations and behaviour of the service. Frozen: created once at start and passed on."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)

    data_dir: Folder = Field(
        default=Path("~/.searchsvc"),
        validate_default=True,
        description="Folder of all files of the service: the SQLite database, weights, logs, the local token.",
    )
    database_url: str = Field(
        default_factory=lambda values: f"sqlite:///{values.get('data_dir')}/searchsvc.db",
        description="SQLAlchemy URL of the database: sqlite:///... (default, in the data folder) or postgresql://...",
        repr=False,  # may hold a password
    )
    data_roots: Folders = Field(
        default_factory=lambda values: (values.get("data_dir", Path()) / "data",),
        description="Folders from which a job submitted over REST may read datasets; separate several with `:`.",
    )
    ray_address: str | None = Field(
        default=None,
        description="Address of the Ray cluster (RAY_ADDRESS is read too). If unset, a local Ray is started.",
    )
    host: str = Field(default="127.0.0.1", description="Address on which `searchctl serve` listens.")
    port: int = Field(default=8700, ge=0, le=65_535, description="Port on which `searchctl serve` listens.")
    url: str | None = Field(
        default=None,
        description="Address of the service that searchctl uses. If unset, the service of this data folder.",
    )
    token: SecretStr | None = Field(
        default=None, description="Bearer token that searchctl sends. If unset, the token in the data folder."
    )
    max_drivers: int = Field(
        default=4, ge=1, le=1000, description="Jobs that one controller runs at once; the others wait, oldest first."
    )
    lease_seconds: Seconds = Field(
        default=3.0,
        description="Time without a heartbeat after which a driver counts as dead and its job is taken over.",
    )
    heartbeat_seconds: Seconds = Field(default=0.5, description="Interval at which a driver renews its lease.")
    poll_seconds: Seconds = Field(default=0.2, description="Interval at which a controller looks for jobs to start.")
    cancel_seconds: Seconds = Field(
        default=10.0, description="Time that a driver has to carry out a cancellation before it is killed."
    )
    restarts: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="Consecutive crashes without progress after which a job fails.",
    )
    database_wait_seconds: Seconds = Field(
        default=30.0, description="Time that an operation waits for a database that does not answer."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_environment(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Fill in the fields without a value from the environment. Empty variables do not count."""
        environment = {name.upper(): value for name, value in os.environ.items() if value}
        texts = {
            name: environment.get(f"{_PREFIX}{name.upper()}") or environment.get(_SYNONYMS.get(name, ""))
            for name in cls.model_fields
        }
        return {name: value for name, value in texts.items() if value is not None} | values

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Accept a JSON list, or paths separated as in PATH."""
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [part for part in value.split(os.pathsep) if part]

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
        return self.token.get_secret_value() if self.token else self.local_token()

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
        """Return the environment for a process that must read the same settings."""
        values = {
            "SEARCHSVC_DATA_DIR": str(self.data_dir),
            "SEARCHSVC_DATABASE_URL": self.database_url,
            "SEARCHSVC_DATA_ROOTS": json.dumps([str(root) for root in self.data_roots]),
            "SEARCHSVC_LEASE_SECONDS": str(self.lease_seconds),
            "SEARCHSVC_HEARTBEAT_SECONDS": str(self.heartbeat_seconds),
            "SEARCHSVC_DATABASE_WAIT_SECONDS": str(self.database_wait_seconds),
        }
        address = {"SEARCHSVC_RAY_ADDRESS": self.ray_address} if self.ray_address else {}
        return {**os.environ, **values, **address}

    def prepare(self) -> Settings:
        """Create the data folder and its subfolders, readable only by the owner. Existing folders stay unchanged."""
        for folder in (self.data_dir, self.logs_dir, self.artifacts_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self

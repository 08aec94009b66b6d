"""docker-compose.yml and Dockerfile, checked as far as a machine without a container engine can."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from searchsvc.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PINNED = re.compile(r"[a-z0-9./-]+:\d+\.\d+(\.\d+)?([.-][a-z0-9.-]+)?")
Seconds = Annotated[str, Field(pattern=r"^\d+s$")]
Words = Annotated[list[str], Field(min_length=1)]


class Section(BaseModel):
    """The part of the compose specification that we use; anything else is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Dependency(Section):
    condition: Literal["service_healthy", "service_completed_successfully"]
    restart: bool = False


class Healthcheck(Section):
    test: Words
    interval: Seconds
    timeout: Seconds
    retries: int
    start_period: Seconds


class Device(Section):
    driver: Literal["nvidia"]
    count: Literal["all"]
    capabilities: Words


class Reservations(Section):
    devices: list[Device]


class Limits(Section):
    reservations: Reservations


class Deploy(Section):
    resources: Limits


class LogOptions(Section):
    max_size: Annotated[str, Field(alias="max-size", pattern=r"^\d+m$")]
    max_file: Annotated[str, Field(alias="max-file", pattern=r"^\d+$")]


class Logging(Section):
    driver: Literal["json-file"]
    options: LogOptions


class Service(Section):
    logging: Logging | None = None
    image: str
    build: str | None = None
    init: bool = False
    restart: Literal["unless-stopped", "on-failure"]
    user: str | None = None
    command: Words | None = None
    environment: dict[str, str]
    ports: Words = []
    volumes: Words = []
    networks: Words
    depends_on: dict[str, Dependency] = {}
    healthcheck: Healthcheck | None = None
    shm_size: Annotated[str, Field(pattern=r"^\d+mb$")] | None = None
    profiles: Words = []
    deploy: Deploy | None = None


class Network(Section):
    internal: bool = False


class Compose(BaseModel):
    name: str
    services: dict[str, Service]
    volumes: dict[str, None]
    networks: dict[str, Network | None]


COMPOSE = Compose.model_validate(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
SERVICES = COMPOSE.services
OURS = {name: service for name, service in SERVICES.items() if service.build}


def programs() -> list[tuple[str, list[str]]]:
    """Yield (service, command line) of every program that the containers of our image start."""
    lines = [(name, line) for name, service in OURS.items() for line in _lines(service.command or [])]
    lines += [(name, service.healthcheck.test[1:]) for name, service in OURS.items() if service.healthcheck]
    return [*lines, ("Dockerfile", yaml.safe_load(re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)[-1]))]


def _lines(command: list[str]) -> list[list[str]]:
    if command[:2] != ["bash", "-c"]:
        return [command]
    started = [line.removesuffix(" &") for line in command[2].splitlines() if line.endswith(" &")]
    return [shlex.split(line) for line in started]


@cache
def help_of(*command: str) -> str:
    """Return the help of a command of the image, from the same package installed here."""
    result = subprocess.run([BIN / command[0], *command[1:], "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_parts_are_there() -> None:
    wanted = {"database", "migrate", "api", "controller", "ray-head", "worker", "gpu-worker"}
    assert SERVICES.keys() == wanted
    assert [name for name, service in SERVICES.items() if "gpu" in service.profiles] == ["gpu-worker"]
    assert all(not service.profiles for name, service in SERVICES.items() if name != "gpu-worker")


def test_the_logs_of_every_container_are_bounded() -> None:
    assert [name for name, service in SERVICES.items() if service.logging is None] == []


@pytest.mark.parametrize(("service", "line"), programs(), ids=str)
def test_every_command_and_option_exists(service: str, line: list[str]) -> None:
    if line[0] == "python":
        compile(line[2], service, "exec")
        return
    verbs = [word for word in line[1:3] if (not word.startswith("-") and word.isidentifier()) or word == "health-check"]
    help_text = help_of(line[0], *verbs)
    options = [word.partition("=")[0] for word in line if word.startswith("--")]
    assert [option for option in options if not re.search(rf"{option}\b", help_text)] == []


def test_one_image_for_all_our_parts_and_all_images_pinned() -> None:
    assert len({service.image for service in OURS.values()}) == 1
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert [image for image in [*bases, *(one.image for one in SERVICES.values())] if not PINNED.fullmatch(image)] == []


def test_nothing_runs_as_root() -> None:
    users = re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE)
    assert users == ["searchsvc"]
    assert DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nCMD ")
    assert [name for name, one in SERVICES.items() if not one.build and one.user in (None, "root", "0")] == []
    assert [name for name, one in OURS.items() if one.user] == []


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    copied = [word for line in re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE) for word in line.split()[:-1]]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert [path for path in copied if not (ROOT / path).exists() or path not in let_in] == []


def test_the_image_has_every_package() -> None:
    import tomllib

    include = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {f"{path}*" for path in re.findall(r"^COPY (\w+) \w+$", DOCKERFILE, re.MULTILINE)} == set(include)


def test_dependencies_wait_until_the_other_is_well() -> None:
    for name, service in SERVICES.items():
        for other, dependency in service.depends_on.items():
            wanted = "service_completed_successfully" if other == "migrate" else "service_healthy"
            assert dependency.condition == wanted, (name, other)
            assert wanted != "service_healthy" or SERVICES[other].healthcheck, other
    assert [name for name, one in SERVICES.items() if one.healthcheck is None] == ["migrate"]


def test_the_schema_is_migrated_before_anything_uses_it() -> None:
    users = {name for name, one in OURS.items() if "SEARCHSVC_DATABASE_URL" in one.environment} - {"migrate"}
    assert users == {"api", "controller"}
    assert all("migrate" in SERVICES[name].depends_on for name in users)


def test_the_container_of_the_controller_ends_with_its_ray_node_and_with_its_controller() -> None:
    command = SERVICES["controller"].command or []
    assert [line[:2] for line in _lines(command)] == [["ray", "start"], ["searchctl", "controller"]]
    assert "--block" in _lines(command)[0]
    assert "wait -n" in command[2].splitlines()


def test_no_trial_runs_on_the_head_or_beside_the_controller() -> None:
    for name in ("ray-head", "controller"):
        assert "--num-cpus=0" in " ".join(SERVICES[name].command or []), name


def test_workers_reach_neither_the_database_nor_a_token_of_the_service() -> None:
    for name in ("worker", "gpu-worker", "ray-head"):
        service = SERVICES[name]
        assert "database" not in service.networks
        assert not {"SEARCHSVC_DATABASE_URL", "POSTGRES_PASSWORD", "SEARCHSVC_TOKEN"} & service.environment.keys()
        assert not any(volume.startswith("state:") for volume in service.volumes)


def test_only_this_machine_reaches_the_api() -> None:
    assert [port for service in SERVICES.values() for port in service.ports] == ["127.0.0.1:8700:8700"]
    assert COMPOSE.networks["database"] == COMPOSE.networks["cluster"] == Network(internal=True)


def test_volumes_and_networks_are_declared() -> None:
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.volumes}
    networks = {network for service in SERVICES.values() for network in service.networks}
    assert volumes == COMPOSE.volumes.keys()
    assert networks == COMPOSE.networks.keys()


def test_mounts_are_where_the_service_looks_and_belong_to_its_user() -> None:
    home = re.search(r"SEARCHSVC_DATA_DIR=(\S+)", DOCKERFILE)
    assert home
    settings = Settings(data_dir=Path(home[1]))
    expected = {"state": settings.data_dir, "artifacts": settings.artifacts_dir, "datasets": settings.data_roots[0]}
    made = re.search(r"install -d -o searchsvc -g searchsvc (.*)$", DOCKERFILE, re.MULTILINE)
    assert made
    for service in OURS.values():
        for volume in service.volumes:
            name, path, *_ = volume.split(":")
            assert Path(path) == expected[name]
            assert path in made[1].split()


def test_settings_in_the_environment_exist() -> None:
    names = {name for service in OURS.values() for name in service.environment if name.startswith("SEARCHSVC_")}
    names |= set(re.findall(r"\b(SEARCHSVC_\w+)=", DOCKERFILE))
    assert names <= {f"SEARCHSVC_{name.upper()}" for name in SETTINGS}


def test_secrets_come_from_the_env_file_alone() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{(\w+)", text))
    variables = {line.partition("=")[0]: line.partition("=")[2] for line in _variables(ROOT / ".env.example")}
    assert used == variables.keys()
    assert not any(variables.values())
    assert set(re.findall(r"\$\{(\w+):\?", text)) == used
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()


def _variables(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_the_schema_check_refuses_what_is_not_compose() -> None:
    document: dict[str, Any] = {"image": "a:1.0", "restart": "unless-stopped", "environment": {}, "networks": ["n"]}
    Service.model_validate(document)
    with pytest.raises(ValueError, match="helthcheck"):
        Service.model_validate(document | {"helthcheck": {}})

"""Settings: defaults, environment, what a child process is told."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from searchsvc.errors import InvalidInput
from searchsvc.settings import SETTINGS, Settings, without_password


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_ADDRESS", *(f"SEARCHSVC_{name.upper()}" for name in SETTINGS)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_everything_lies_in_the_data_folder_by_default(tmp_path: Path) -> None:
    settings = Settings()
    assert settings.data_dir == tmp_path / ".searchsvc"
    assert settings.database_url == f"sqlite:///{tmp_path}/.searchsvc/searchsvc.db"
    assert settings.data_roots == (tmp_path / ".searchsvc" / "data",)
    assert settings.service_url == "http://127.0.0.1:8700"


def test_the_data_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a" / "b").prepare()
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert settings.logs_dir.is_dir()


@pytest.mark.parametrize("text", ["~/one:/two", '["~/one", "/two"]'])
def test_data_roots_come_as_a_path_list_or_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    monkeypatch.setenv("SEARCHSVC_DATA_ROOTS", text)
    assert Settings().data_roots == (tmp_path / "one", Path("/two"))


def test_our_own_name_for_the_ray_address_goes_before_the_common_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "common:1")
    assert Settings().ray_address == "common:1"
    monkeypatch.setenv("SEARCHSVC_RAY_ADDRESS", "ours:1")
    assert Settings().ray_address == "ours:1"


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "")
    monkeypatch.setenv("SEARCHSVC_PORT", "")
    assert (Settings().ray_address, Settings().port) == (None, 8700)


def test_a_child_process_reads_the_same_settings(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "d", data_roots=(Path("/x:y"),), ray_address="head:1", lease_seconds=7)
    code = "from searchsvc.settings import Settings, without_password; print(vars(Settings()))"
    output = subprocess.run(
        [sys.executable, "-c", code], env=settings.environment(), check=True, capture_output=True, text=True
    ).stdout
    assert output.strip() == str(vars(settings))


def test_a_child_process_gets_no_token_of_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHSVC_TOKEN", "ssvc_secret")
    settings = Settings(data_dir=tmp_path, token="ssvc_other")
    assert "ssvc_" not in str(settings.environment())
    assert "ssvc_" not in repr(settings)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:p@ss:word@db:5432/x", "postgresql://me@db:5432/x"),
        ("postgresql://db/x?user=me&password=secret&sslmode=require", "postgresql://db/x?user=me&password=***&sslmode=require"),
        ("postgresql//me:secret@db/x", "postgresql//me@db/x"),
        ("me:secret@db", "me@db"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("sqlite:////a/b.db", "sqlite:////a/b.db"),
    ],
)
def test_a_message_shows_a_database_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_setting_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHSVC_PORT", "70000")
    monkeypatch.setenv("SEARCHSVC_LEASE_SECONDS", "nan")
    with pytest.raises(InvalidInput) as refused:
        Settings(max_drivers=1.5)  # type: ignore[arg-type]
    assert [str(fault) for fault in refused.value.faults] == [
        "/port: '70000' is not a whole number from 0 to 65535",
        "/max_drivers: 1.5 is not a whole number from 1 to 1000",
        "/lease_seconds: 'nan' is not a number of seconds above 0, at most 86400",
    ]


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, token="ssvc_secret", database_url="postgresql://u:password@h/d")
    assert "ssvc_secret" not in repr(settings)
    assert "password" not in repr(settings)


def test_every_setting_is_described() -> None:
    assert [name for name, setting in SETTINGS.items() if not setting.description] == []

"""Reading specs, and --set."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from api.cli.specs import changed, read_spec
from searchsvc.errors import InvalidInput, NotFound


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "spec.yaml"
    file.write_text("name: a\nbudget: {trials: 4}\nobjectives: [{metric: accuracy}]\n")
    return str(file)


@pytest.mark.parametrize(
    ("change", "key", "section"),
    [
        ("budget.trials=8", "budget", {"trials": 8}),
        ("budget.seconds=5e2", "budget", {"trials": 4, "seconds": 500.0}),
        ("algorithm.name=tpe", "algorithm", {"name": "tpe"}),
        ("objectives.0.metric=loss", "objectives", [{"metric": "loss"}]),
        ("constraints=[{metric: flops, max: 1}]", "constraints", [{"metric": "flops", "max": 1}]),
        ("name=b=c", "name", "b=c"),
        ("tags=", "tags", None),
    ],
)
def test_set_changes_one_value(path: str, change: str, key: str, section: object) -> None:
    assert read_spec(path, [change])[key] == section


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("trials", ""),
        ("=8", ""),
        ("objectives.7.metric=loss", "/objectives/7"),
        ("objectives.x=1", "/objectives/x"),
        ("name.x=1", "/name/x"),
        ("name.x.y=1", "/name/x"),
        ("name=[", "/name"),
    ],
)
def test_set_names_what_it_cannot_change(path: str, change: str, place: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        read_spec(path, [change])
    assert [fault.pointer for fault in raised.value.faults] == [place]


def test_a_clone_sends_only_the_sections_that_changed() -> None:
    spec = {"name": "a", "budget": {"trials": 4, "seconds": 60.0}, "objectives": [{"metric": "accuracy"}]}
    patch = changed(spec, ["objectives.0.metric=loss", "budget.trials=4"])
    assert patch == {"objectives": [{"metric": "loss"}]}
    assert spec["objectives"] == [{"metric": "accuracy"}]


def test_a_dash_reads_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO('{"name": "a"}'))
    assert read_spec("-") == {"name": "a"}


def test_a_missing_file_is_named() -> None:
    with pytest.raises(NotFound, match=r"no file nowhere\.yaml"):
        read_spec("nowhere.yaml")


@pytest.mark.parametrize(
    ("content", "said"), [(b"- 1\n", "must be a mapping"), (b"\xff\xfe", "not UTF-8"), (b"a: [", "line")]
)
def test_a_file_that_holds_no_spec_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "spec.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match=said):
        read_spec(str(file))


def test_a_folder_is_no_spec(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_spec(str(tmp_path))

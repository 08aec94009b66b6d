"""Command lines and environments of users: exit codes and words, problems for programs, completion by shells."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from api.rest.errors import ProblemDetails
from searchsvc.service.service import Service
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.generators import program

FOLDER = str(Path(sys.executable).parent)
SPEC = """
name: tiny
task: classification
dataset: {name: digits}
space: {name: mbconv-small}
objectives: [{metric: accuracy}]
algorithm: {name: random}
budget: {trials: 2}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A data folder with a job."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "searchsvc.db").write_bytes(sqlite_template.read_bytes())
    store = Store.open(f"sqlite:///{folder}/searchsvc.db")
    service = Service(store, Settings(data_dir=folder).prepare())
    document = {
        "name": "cafe",
        "task": "classification",
        "dataset": {"name": "digits"},
        "space": {"parameters": [{"type": "float", "name": "lr", "low": 0.001, "high": 0.1}]},
        "objectives": [{"metric": "accuracy"}],
        "algorithm": {"name": "random"},
        "budget": {"trials": 2},
    }
    try:
        service.jobs.submit(document)
    finally:
        store.close()
    (folder / "tiny.yaml").write_text(SPEC)
    (folder / "wrong.yaml").write_text(SPEC.replace("trials: 2", "trials: -2"))
    return folder


def run(line: str, home: Path, shell: str = "bash", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell, with searchctl in PATH and nothing of searchsvc in the environment but the data folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SEARCHSVC_")}
    settings = {"SEARCHSVC_DATA_DIR": str(home), "PATH": os.pathsep.join([FOLDER, os.environ["PATH"]])}
    return subprocess.run(
        [program(shell), "-c", line],
        env={**inherited, **settings, **environment},
        cwd=home,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
    )


@dataclass(frozen=True)
class Row:
    """A line for bash, and what it must give."""

    id: str
    line: str
    code: int
    words: str = ""
    """Part of what comes on either stream."""
    environment: dict[str, str] = field(default_factory=dict)


FULL, CLOSED = "the output cannot be written: No space left", "the output cannot be written: Bad file descriptor"
ROWS = [
    Row("U27-full-table", "searchctl list > /dev/full", 1, FULL),
    Row("U27-full-json", "searchctl algorithms --json > /dev/full", 1, FULL),
    Row("U27-full-help", "searchctl --help > /dev/full", 1, FULL),
    Row("U27-full-short", "searchctl version > /dev/full", 1, FULL),
    Row("U27-full-script", "searchctl completion bash > /dev/full", 1, FULL),
    Row("full-errors", "searchctl show nope 2> /dev/full", 3),
    Row("full-both", "searchctl show nope --json > /dev/full 2>&1", 3),
    Row("closed-output", "searchctl list >&-", 1, CLOSED),
    Row("closed-errors", "searchctl show nope 2>&-", 3),
    Row("closed-all", "searchctl show nope <&- >&- 2>&-", 3),
    Row("closed-input", "searchctl submit - <&-", 2),
    Row("pipe-of-a-reader-that-has-gone", "searchctl tasks --json | true; exit ${PIPESTATUS[0]}", 0),
    Row("table-into-a-closed-pipe", "searchctl algorithms | true; exit ${PIPESTATUS[0]}", 0),
    Row(
        "ascii-words", "searchctl --data-dir /dev/null/café-λ list", 2, r"caf\xe9-\u03bb", {"PYTHONIOENCODING": "ascii"}
    ),
    Row("c-locale", "searchctl list", 0, "caf", {"LC_ALL": "C"}),
    Row("posix-locale-without-utf-8", "searchctl list", 0, "caf", {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}),
    Row("narrow", "searchctl list", 0, "caf", {"COLUMNS": "10"}),
    Row("dumb-terminal", "searchctl list", 0, "cafe", {"TERM": "dumb"}),
    Row("no-colour", "searchctl show nope", 3, "no job has", {"NO_COLOR": "1"}),
    Row("no-data-folder", "searchctl list", 2, "/dev/null/x cannot be created", {"SEARCHSVC_DATA_DIR": "/dev/null/x"}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_command_ends_with_its_code_and_a_sentence(row: Row, home: Path) -> None:
    answer = run(row.line, home, **row.environment)
    assert answer.returncode == row.code, answer
    assert row.words in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr


def test_names_outside_of_the_encoding_are_exact_in_json(home: Path) -> None:
    answer = run("searchctl --data-dir /dev/null/café-λ list --json", home, PYTHONIOENCODING="ascii")
    assert "café-λ" in json.loads(answer.stdout)["detail"]


@pytest.mark.parametrize(
    ("line", "code", "kind", "pointers"),
    [
        ("searchctl list --json --limit 0", 2, "usage", []),
        ("searchctl list --json --nope", 2, "usage", []),
        ("searchctl nope --json", 2, "usage", []),
        ("searchctl transfer cafe --json", 2, "usage", []),
        ("searchctl show nope --json", 3, "not-found", []),
        ("searchctl submit wrong.yaml --json", 2, "invalid-input", ["/budget/trials"]),
        ("searchctl run wrong.yaml --dry-run --json", 2, "invalid-input", ["/budget/trials"]),
        ("searchctl submit missing.yaml --json", 3, "not-found", []),
        ("searchctl export cafe --format spec --json", 4, "conflict", []),
        ("searchctl --url http://127.0.0.1:9 list --json", 6, "unreachable", []),
        ("searchctl wait cafe --timeout 0 --json", 124, "timed-out", []),
        ("searchctl delete cafe --json < /dev/null", 1, "aborted", []),
        ("searchctl --data-dir /dev/null/x list --json", 2, "invalid-input", ["/data_dir"]),
    ],
)
def test_with_json_an_error_is_a_problem_document_on_stdout(
    line: str, code: int, kind: str, pointers: list[str], home: Path
) -> None:
    answer = run(line, home)
    assert answer.returncode == code, answer
    document = json.loads(answer.stdout)
    ProblemDetails.model_validate(document)
    assert document["type"] == f"/problems/{kind}"
    assert document["detail"]
    assert [fault["pointer"] for fault in document["errors"]] == pointers
    assert answer.stderr.strip()
    assert "Traceback" not in answer.stderr


LINES = [
    ("searchctl li", {"list"}),
    ("searchctl token c", {"create"}),
    ("searchctl list --sta", {"--state"}),
    ("searchctl list --state PAU", {"PAUSED"}),
    ("searchctl trials x --state ST", {"STOPPED"}),
    ("searchctl export x --format wei", {"weights"}),
    ("searchctl show caf", {"cafe"}),
    ("searchctl completion z", {"zsh"}),
]
"""The words typed before TAB, and the completions that a shell must offer."""
BASH = """
source <(searchctl completion bash)
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_searchctl_completion searchctl
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1= PS2= RPS1="
zpty -w shell 'autoload -Uz compinit; compinit -u -D; source <(searchctl completion zsh)'
zpty -w shell 'setopt no_list_beep; zstyle ":completion:*" list-prompt ""'
zpty -w shell 'finish() {{ print -r -- "<""$BUFFER"">"; exit }}; zle -N finish; bindkey "^X" finish; print -r rea""dy'
zpty -r shell output '*ready*'
zpty -w -n shell {words}$'\\t\\C-x'
zpty -r shell output '*<*>*'
print -r -- "${{${{output##*<}}%%>*}}"
"""


@pytest.mark.parametrize(("line", "completions"), LINES)
def test_bash_completes(line: str, completions: set[str], home: Path) -> None:
    answer = run(BASH.format(words=line), home)
    assert (set(answer.stdout.split()), answer.stderr) == (completions, "")


@pytest.mark.parametrize(("line", "completions"), LINES)
def test_fish_completes(line: str, completions: set[str], home: Path) -> None:
    answer = run(f"searchctl completion fish | source; complete -C {shlex.quote(line)}", home, "fish")
    assert ({row.split("\t")[0] for row in answer.stdout.splitlines()}, answer.stderr) == (completions, "")


@pytest.mark.parametrize(("line", "completions"), LINES)
def test_zsh_completes(line: str, completions: set[str], home: Path) -> None:
    answer = run(ZSH.format(words=shlex.quote(line)), home, "zsh")
    typed = line.rpartition(" ")[0]
    assert answer.stdout.strip() in {f"{typed} {completion}" for completion in completions}, answer

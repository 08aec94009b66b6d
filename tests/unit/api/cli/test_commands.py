"""Commands on a store without a service: their text, their JSON and their exit codes."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from rich.console import Console

from api.cli.views.jobs import plan_lines
from searchsvc.domain import Job, JobState
from searchsvc.service.exports.export import names
from searchsvc.store import Store
from tests.unit.api.cli.conftest import Searchctl


def test_a_submitted_job_is_listed_shown_and_deleted(searchctl: Searchctl, spec: str) -> None:
    made = searchctl("submit", spec, "--json")
    assert made.code == 0
    job_id = made.document["id"]
    assert [job["id"] for job in searchctl("list", "--json").document] == [job_id]
    assert "tiny" in searchctl("list").out
    assert searchctl("show", job_id[:13], "--json").document["name"] == "tiny"
    assert "maximize accuracy, minimize flops, with flops <= 500 k" in searchctl("show", "tiny").out
    assert searchctl("delete", "tiny", "--yes").code == 0
    assert searchctl("list", "--json").document == []


def test_a_submission_without_a_service_says_that_nothing_runs_it(searchctl: Searchctl, spec: str) -> None:
    answer = searchctl("submit", spec)
    assert "searchctl serve" in answer.err
    assert "searchctl serve" not in answer.out


def test_set_changes_what_is_submitted(searchctl: Searchctl, spec: str) -> None:
    made = searchctl("submit", spec, "--json", "--set", "budget.trials=7", "--set", "name=seven").document
    assert (made["name"], made["spec"]["budget"]["trials"]) == ("seven", 7)


def test_the_same_key_makes_one_job(searchctl: Searchctl, spec: str) -> None:
    ids = {searchctl("submit", spec, "--json", "--key", "k").document["id"] for _ in range(2)}
    assert len(ids) == 1
    assert searchctl("submit", spec, "--key", "k", "--set", "seed=1").code == 4


def test_a_dry_run_says_what_would_run_and_stores_nothing(searchctl: Searchctl, spec: str) -> None:
    answer = searchctl("submit", spec, "--dry-run")
    assert "10 classes" in answer.out
    assert "Nothing was stored" in answer.out
    assert 0 < searchctl("run", spec, "--dry-run", "--json").document["feasible_share"] < 1
    assert searchctl("list", "--json").document == []


def test_a_dry_run_says_what_was_counted_in_the_dataset(searchctl: Searchctl, spec: str) -> None:
    plan = searchctl("submit", spec, "--dry-run", "--json").document
    assert plan["dataset"]["counts"] == {}
    assert "counted" not in searchctl("submit", spec, "--dry-run").out
    assert plan["dataset"]["notes"] == []
    plan["dataset"]["counts"] = {"boxes": 1036, "boxes_cut": 2}
    plan["dataset"]["notes"] = ["2 files are not read: [a].txt, b"]
    with (console := Console()).capture() as shown:
        console.print(*plan_lines(plan))
    assert "1,036 boxes, 2 boxes cut" in shown.get()
    assert "2 files are not read: [a].txt, b" in shown.get()


def test_every_fault_of_a_spec_is_told_at_its_place(searchctl: Searchctl, spec: str) -> None:
    answer = searchctl("submit", spec, "--set", "budget.trials=0", "--set", "colour=red")
    assert answer.code == 2
    assert answer.out == ""
    assert {line.split(":")[0] for line in answer.err.splitlines()} == {"/budget/trials", "/colour"}
    assert searchctl("list", "--json").document == []


@pytest.mark.parametrize(
    "command",
    ["show", "trials", "best", "pareto", "logs", "pause", "cancel", "extend --trials 9", "watch", "wait", "clone"],
)
def test_a_job_that_is_not_there_is_code_3(searchctl: Searchctl, command: str) -> None:
    verb, *options = command.split()
    answer = searchctl(verb, "nowhere", *options)
    assert answer.code == 3
    assert "nowhere" in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("arguments", [["nonsense"], ["submit"], ["list", "--limit", "0"], ["export", "x"]])
def test_wrong_usage_is_code_2(searchctl: Searchctl, arguments: list[str]) -> None:
    assert searchctl(*arguments).code == 2


def test_a_setting_that_is_not_valid_is_code_2(searchctl: Searchctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHSVC_LEASE_SECONDS", "soon")
    answer = searchctl("list")
    assert answer.code == 2
    assert "/lease_seconds" in answer.err


def test_jobs_are_paused_resumed_and_stopped(searchctl: Searchctl, spec: str) -> None:
    searchctl("submit", spec)
    states = [searchctl(verb, "tiny", "--json").document["state"] for verb in ("pause", "resume", "stop")]
    assert states == ["PAUSED", "QUEUED", "SUCCEEDED"]
    answer = searchctl("pause", "tiny")
    assert answer.code == 4
    assert "SUCCEEDED" in answer.err


def test_extending_and_cloning_make_larger_and_other_jobs(searchctl: Searchctl, spec: str) -> None:
    searchctl("submit", spec)
    searchctl("cancel", "tiny")
    assert searchctl("extend", "tiny", "--trials", "5", "--json").document["state"] == "QUEUED"
    assert searchctl("extend", "tiny", "--trials", "1").code == 2
    clone = searchctl("clone", "tiny", "--json", "--set", "name=other", "--set", "objectives.1.metric=params").document
    assert [one["metric"] for one in clone["spec"]["objectives"]] == ["accuracy", "params"]


def test_retrying_without_a_failed_trial_is_a_conflict(searchctl: Searchctl, searched: Job) -> None:
    assert searchctl("retry", searched.id).code == 4


def test_deleting_asks_first(searchctl: Searchctl, spec: str) -> None:
    searchctl("submit", spec)
    assert searchctl("delete", "tiny", stdin="n\n").code == 1
    assert len(searchctl("list", "--json").document) == 1


def test_results_are_shown_best_first(searchctl: Searchctl, searched: Job) -> None:
    best = searchctl("best", searched.id, "-k", "2", "--json").document
    assert [trial["number"] for trial in best] == [2, 1]
    assert [trial["number"] for trial in searchctl("trials", searched.id, "--newest", "--json").document] == [
        3,
        2,
        1,
        0,
    ]
    shown = searchctl("trials", searched.id).out.splitlines()
    assert [line.split()[0] for line in shown[1:]] == ["#0", "#1", "#2", "#3"]
    assert "0.9000" in shown[3]


def test_limits_reach_over_pages(searchctl: Searchctl, searched: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.cli.client._PAGE", 2)
    assert [one["number"] for one in searchctl("trials", searched.id, "--json").document] == [0, 1, 2, 3]
    assert [one["number"] for one in searchctl("trials", searched.id, "-n", "3", "--json").document] == [0, 1, 2]


def test_one_trial_is_shown_with_its_measurements(searchctl: Searchctl, searched: Job) -> None:
    document = searchctl("show", searched.id, "--trial", "2", "--json").document
    assert [one["metrics"] for one in document["measurements"]] == [{"accuracy": 0.9}]
    assert "0.9000" in searchctl("show", searched.id, "--trial", "2").out
    assert searchctl("show", searched.id, "--trial", "99").code == 3


def test_trials_are_compared_where_they_differ(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("compare", f"{searched.id}/1", f"{searched.id}/2")
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["accuracy", "0.7000", "0.9000"] in rows
    assert not any(row[0] == "lr" for row in rows)
    assert any(
        row[0] == "lr" for row in map(str.split, searchctl("compare", "--all", f"{searched.id}/1").out.splitlines())
    )
    assert searchctl("compare", "2").code == 2


def test_trials_are_exported_as_a_table(searchctl: Searchctl, searched: Job, tmp_path: Path) -> None:
    answer = searchctl("export", searched.id, "--format", "csv", "-o", str(tmp_path / "out.csv"), "--json")
    assert answer.document["path"] == str(tmp_path / "out.csv")
    with (tmp_path / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4


def test_a_format_that_is_none_is_answered_with_those_there_are(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("export", searched.id, "--format", "exe")
    assert answer.code == 2
    assert "there are weights, spec, csv, optuna, onnx, script" in " ".join(answer.err.split())


def test_tasks_are_listed_with_what_they_export(searchctl: Searchctl) -> None:
    tasks = {one["name"]: one for one in searchctl("tasks", "--json").document}
    task = tasks["classification"]
    description = "one of classification, detection, also trained on pseudo-labels"
    assert tasks["self_training"]["description"].startswith(description)
    assert [one["name"] for one in task["exports"]] == names()
    assert "onnx, script" in " ".join(searchctl("tasks").out.split())


def test_waiting_ends_as_the_job_does(searchctl: Searchctl, store: Store, spec: str) -> None:
    job_id = searchctl("submit", spec, "--json").document["id"]
    answer = searchctl("wait", job_id, "--timeout", "0")
    assert answer.code == 124
    assert "still QUEUED" in answer.err
    store.cancel_job(job_id)
    assert searchctl("wait", job_id).code == 1
    assert searchctl("watch", job_id, "--json").document["state"] == "CANCELLED"


def test_watching_tells_of_each_result(searchctl: Searchctl, searched: Job, store: Store) -> None:
    writer = store.writer(next(one for one in store.leases() if one.job_id == searched.id))
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()
    answer = searchctl("watch", searched.id)
    assert answer.code == 0
    assert "#2  accuracy 0.9000" in answer.out


def test_tokens_are_made_listed_and_revoked(searchctl: Searchctl) -> None:
    made = searchctl("token", "create", "ci", "--scope", "read", "--days", "1", "--json").document
    assert made["secret"].startswith("ssvc_")
    assert searchctl("token", "revoke", made["id"]).code == 0
    listed = {one["name"]: one for one in searchctl("token", "list", "--json").document}
    assert listed["ci"]["revoked_at"]
    assert made["secret"] not in searchctl("token", "list").out


@pytest.mark.parametrize(
    ("command", "name"),
    [("spaces", "mbconv-small"), ("datasets", "digits"), ("tasks", "classification"), ("algorithms", "asha")],
)
def test_the_tables_are_listed(searchctl: Searchctl, command: str, name: str) -> None:
    assert name in searchctl(command).out
    assert name in searchctl(command, "--json").out


def test_the_database_is_checked_and_upgraded(searchctl: Searchctl, home: Path) -> None:
    assert searchctl("db", "check").code == 0
    (home / "searchsvc.db").unlink()
    assert searchctl("db", "check").code != 0
    assert searchctl("db", "upgrade", "--json").document == {"upgraded": True}
    assert searchctl("db", "check").code == 0


def test_the_version_is_that_of_the_package(searchctl: Searchctl) -> None:
    assert searchctl("version").out.split()[1] == searchctl("version", "--json").document["version"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete(searchctl: Searchctl, shell: str) -> None:
    assert "_SEARCHCTL_COMPLETE" in searchctl("completion", shell).out


def test_into_a_pipe_goes_no_colour_and_nothing_is_cut(
    searchctl: Searchctl, searched: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = searchctl("trials", searched.id, "--values").out
    assert max(map(len, out.splitlines())) > 40  # twice as wide as the terminal
    assert "lr=0.1  number=3" in out
    assert "\x1b" not in out
    assert "…" not in out

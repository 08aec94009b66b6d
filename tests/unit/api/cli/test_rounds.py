"""Reports of an algorithm's rounds, and trials in full, on the command line."""

from __future__ import annotations

import pytest

from api.cli.client import ServerEvent
from api.cli.views.screens import PlainScreen
from api.rounds_text import round_line
from searchsvc.domain import Job, new_id
from searchsvc.store import JobWriter, Store
from tests.support.jobs import a_claimed_job, a_proposal
from tests.unit.api.cli.conftest import Searchctl


@pytest.fixture
def writer(store: Store) -> JobWriter:
    """The writer of a job with two rounds and a trial in full."""
    _, lease = a_claimed_job(store, name="staged")
    writer = store.writer(lease)
    writer.record_round(0, {"trials": 12, "stop_epoch": 3})
    writer.record_round(1, {"trials": 24, "rank_correlation": 0.834567, "interval": [0.7123456, 0.9]})
    writer.add_trials([(new_id(), 0, a_proposal(0, in_full=True)), (new_id(), 1, a_proposal(1))])
    writer.flush()
    return writer


def test_rounds_are_a_table_with_a_column_for_each_thing_said(searchctl: Searchctl, writer: JobWriter) -> None:
    head, *rows = [line.split() for line in searchctl("rounds", "staged").out.splitlines()]
    assert head == ["round", "trials", "stop_epoch", "rank_correlation", "interval"]
    assert rows == [["0", "12", "3", "-", "-"], ["1", "24", "-", "0.8346", "0.7123,", "0.9"]]
    assert [one["data"].get("stop_epoch") for one in searchctl("rounds", "staged", "--json").document] == [3, None]


def test_what_is_said_of_several_things_is_told_apart_by_as_little_as_it_takes() -> None:
    quality = {"accuracy": {"trials": 12, "low": 0.5}, "loss": {"trials": 11, "rank_correlation": 0.9}}
    line = round_line(2, {"trials": 24, "quality": quality, "empty": {}, "pairs": [[0.1, 0.2]]})
    assert line == "round 2  trials=24  accuracy.trials=12  low=0.5  loss.trials=11  rank_correlation=0.9"


def test_where_there_are_no_rounds_the_algorithm_is_named(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("rounds", searched.id)
    assert (answer.code, answer.out) == (0, "")
    assert "random has reported none" in answer.err
    assert searchctl("rounds", searched.id, "--json").document == []
    assert searchctl("rounds", "nowhere").code == 3


def test_watching_tells_of_each_round(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"round": 1, "trials": 24, "rank_correlation": 0.834567}
    event = {"kind": "round.finished", "at": "2026-01-01T12:00:00Z", "data": data}
    PlainScreen().event(ServerEvent("7", event))
    assert capsys.readouterr().out.split("  ", 1)[1] == "round 1  trials=24  rank_correlation=0.8346\n"


def test_a_trial_in_full_is_marked(searchctl: Searchctl, writer: JobWriter) -> None:
    shown = searchctl("trials", "staged").out.splitlines()
    assert [line.endswith("in full") for line in shown[1:]] == [True, False]
    assert [one["in_full"] for one in searchctl("trials", "staged", "--json").document] == [True, False]

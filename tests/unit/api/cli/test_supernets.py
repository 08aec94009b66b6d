"""Supernets on the command line: their distributions, and their trial among the others."""

from __future__ import annotations

import pytest

from api.cli.output import console
from api.cli.views.live import picture
from searchsvc.domain import Job
from searchsvc.store import Store
from tests.support.supernets import a_job_with_a_supernet
from tests.unit.api.cli.conftest import Searchctl


@pytest.fixture
def job(store: Store) -> Job:
    """A job whose supernet is half done."""
    return a_job_with_a_supernet(store, steps=2)


def test_what_a_supernet_has_learned_is_a_line_per_parameter(searchctl: Searchctl, job: Job) -> None:
    head, learned = searchctl("distributions", job.name).out.split("\n\n")
    assert [" ".join(line.split()) for line in head.splitlines()][:4] == [
        "supernet #0",
        "state RUNNING",
        "progress 2 of 4 measurements",
        "reward 0.5000",
    ]
    assert [line.split() for line in learned.splitlines()] == [
        ["parameter", "entropy", "options"],
        ["n3", "0.8676", "3", "67%", "1", "17%", "2", "17%"],
        ["optimizer", "0.5623", "adamw", "75%", "sgd", "25%"],
        ["lr", "0.8676", "0.1", "67%", "0.001", "17%", "0.01", "17%"],
    ]


def test_of_many_options_the_likeliest_are_shown(searchctl: Searchctl, store: Store) -> None:
    depth = {"type": "integer", "name": "n3", "low": 1, "high": 12}
    a_job_with_a_supernet(store, steps=2, name="deep", space={"parameters": [depth]})
    last = searchctl("distributions", "deep").out.splitlines()[-1]
    assert last.split()[2:4] == ["12", "54%"]
    assert last.endswith("and 4 more")


def test_as_a_document_it_has_every_option(searchctl: Searchctl, job: Job) -> None:
    document = searchctl("distributions", job.name, "--json").document
    assert (document["trial"], document["state"], document["step"], document["steps"]) == (0, "RUNNING", 2, 4)
    assert (document["metrics"]["reward"], document["metrics"]["baseline"]) == (0.5, 0.5)
    assert [one["parameter"] for one in document["parameters"]] == ["n3", "optimizer", "lr"]
    assert document["parameters"][1]["options"] == ["sgd", "adamw"]
    assert document["parameters"][1]["probabilities"] == [0.25, 0.75]


def test_a_job_without_a_supernet_is_code_4(searchctl: Searchctl, searched: Job) -> None:
    answer = searchctl("distributions", searched.id)
    assert answer.code == 4
    assert "has no supernet: random trains each candidate by itself" in answer.err
    assert searchctl("distributions", "nowhere").code == 3


@pytest.mark.parametrize("options", [[], ["--values"]])
def test_among_the_trials_a_supernet_is_marked(searchctl: Searchctl, store: Store, options: list[str]) -> None:
    job = a_job_with_a_supernet(store)
    shown = searchctl("trials", job.name, *options).out.splitlines()[1:]
    assert [line.rstrip().endswith("supernet") for line in shown] == [True, False, False]
    assert [one["kind"] for one in searchctl("trials", job.name, "--json").document] == [
        "supernet",
        "candidate",
        "candidate",
    ]


def test_a_supernet_is_shown_without_the_numbers_of_its_parameters(searchctl: Searchctl, store: Store) -> None:
    job = a_job_with_a_supernet(store)
    shown = searchctl("show", job.name, "--trial", "0").out
    assert "reward" in shown
    assert "finalist/" not in shown
    assert "p/lr/0" not in shown
    measured = searchctl("show", job.name, "--trial", "0", "--json").document["measurements"]
    assert "finalist/0/lr" in measured[-1]["metrics"]


def test_the_picture_counts_the_measurements_of_a_supernet(searchctl: Searchctl, job: Job) -> None:
    document = searchctl("show", job.name, "--json").document
    running = searchctl("trials", job.name, "--json").document
    screen = console()
    with screen.capture() as captured:
        screen.print(picture(document, running))
    assert "2/4" in captured.get()
    assert "reward 0.5000  entropy" in captured.get()

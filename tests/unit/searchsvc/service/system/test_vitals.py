"""Vital signs: reasons without numbers, the latest heartbeat, the oldest job, the size of the database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from searchsvc.domain import Node
from searchsvc.service.system import vitals
from searchsvc.settings import Settings
from searchsvc.store import Store
from tests.support.jobs import Clock, a_spec

LEASE_SECONDS = 30.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, lease_seconds=LEASE_SECONDS).prepare()


@pytest.fixture
def store(settings: Settings, clock: Clock) -> Store:
    return Store.create(settings.database_url, clock=clock)


def test_an_empty_installation_has_vital_signs(store: Store, settings: Settings) -> None:
    signs = vitals.measure(store, settings)
    assert (signs.seconds_since_beat, signs.oldest_queued_seconds, dict(signs.waiting)) == (0.0, 0.0, {})
    assert signs.nodes == vitals.NodeTotals(0, 0, 0, 0, 0, 0)
    assert signs.database_bytes >= Path(str(settings.database_url).removeprefix("sqlite:///")).stat().st_size
    assert signs.free_bytes.keys() == {"data", "artifacts"}


def test_the_oldest_job_and_the_latest_driver_count(store: Store, settings: Settings, clock: Clock) -> None:
    for _ in range(2):
        store.create_job(a_spec())
        store.claim("a", LEASE_SECONDS)
        clock.now += 10.0
    store.create_job(a_spec())
    clock.now += 5
    store.create_job(a_spec())
    clock.now += 1
    signs = vitals.measure(store, settings)
    assert signs.seconds_since_beat == 26.0
    assert signs.oldest_queued_seconds == 6.0
    assert dict(signs.waiting) == {
        "waits for a controller: first in line": 1,
        "waits for a controller: second in line": 1,
    }


def test_reasons_that_differ_in_numbers_are_one_reason() -> None:
    reasons = ["needs 4 CPU; 2.5 of 8 are free", "needs 16 CPU; 0 of 8 are free"]
    assert {vitals._reason_of(reason) for reason in reasons} == {"needs N CPU; N of N are free"}
    assert vitals._reason_of("waits for Ray at 10.0.0.1:6379: refused\nmore") == "waits for Ray at N: refused"
    assert vitals._reason_of("no room in /data/artifacts/x1 (3 bytes)") == "no room in PATH (N bytes)"


def test_rare_reasons_are_summed_up() -> None:
    counts = vitals.Counter({chr(97 + number) * 3: 30 - number for number in range(25)})
    shown = vitals._most_common(counts)
    assert len(shown) == vitals.MOST_REASONS + 1
    assert shown["aaa"] == 30
    assert shown["other"] == sum(30 - number for number in range(20, 25))


def test_nodes_are_summed_up(store: Store, settings: Settings) -> None:
    store.create_job(a_spec())
    claimed = store.claim("a", LEASE_SECONDS)
    assert claimed is not None
    node = Node("n1", "10.0.0.1", cpus=8, gpus=2, memory_bytes=1e9, avoided=False)
    store.report_nodes(claimed[1], [node, replace(node, id="n2", avoided=True)])
    assert vitals.measure(store, settings).nodes == vitals.NodeTotals(2, 1, 16, 0, 4, 0)

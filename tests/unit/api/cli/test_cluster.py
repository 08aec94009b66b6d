"""searchctl cluster, and so the REST interface: nodes, running attempts, waiting trials; plain words if unknown."""

from __future__ import annotations

from searchsvc.domain import Node
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job, add_trials
from tests.unit.api.cli.conftest import Searchctl


def test_without_a_driver_nothing_is_known(searchctl: Searchctl, spec: str) -> None:
    searchctl("submit", spec)
    said = searchctl("cluster").out
    assert "No driver is at work" in said
    assert "waits for a controller: first in line" in said


def test_nodes_are_shown_with_what_is_in_use(searchctl: Searchctl, store: Store) -> None:
    job, lease = a_claimed_job(store)
    [trial, waiting] = add_trials(store, lease, 2)
    writer = store.writer(lease)
    writer.start_attempt(trial, 1, "a3f1 10.0.0.7", 4711, 1000.0)
    writer.flush()
    store.report_nodes(lease, [Node("a3f1", "10.0.0.7", 8.0, 0.0, 2.0**34, True)])
    document = searchctl("cluster", "--json").document
    [node], [running], [queued] = document["nodes"], document["running"], document["queue"]
    assert (node["address"], node["cpus"], node["cpus_used"], node["attempts"]) == ("10.0.0.7", 8.0, 1.0, 1)
    assert (running["job"], running["trial"], running["pid"]) == (job.name, 0, 4711)
    assert (queued["trial"], waiting) == (1, store.trials(job.id)[1].id)
    said = searchctl("cluster").out
    assert "1 of 8" in said
    assert "0.0 of 16.0 GiB" in said
    assert "avoided" in said

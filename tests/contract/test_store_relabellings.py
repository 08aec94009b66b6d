"""Questions about labels and verdicts, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from searchsvc.domain import JobState, Relabelling, Verdict
from searchsvc.errors import NotFound
from searchsvc.store import Store
from tests.support.jobs import a_claimed_job


def questions(job_id: str, *images: int) -> Relabelling:
    return Relabelling(job_id, images, tuple(one % 3 for one in images), {"trials": [4], "confidence": 0.25}, 7.5)


def said(rater: str, image: int, accepted: bool = True) -> Verdict:
    return Verdict(rater, image, image % 3, accepted, 8.5)


def test_questions_are_kept_and_replaced_and_verdicts_stay(store: Store) -> None:
    job, _ = a_claimed_job(store)
    assert store.relabelling(job.id) is None
    store.put_relabelling(questions(job.id, 1, 2))
    store.put_verdict(job.id, said("ann", 2))
    store.put_relabelling(questions(job.id, 2, 5))
    assert store.relabelling(job.id) == questions(job.id, 2, 5)
    assert store.verdicts(job.id) == [said("ann", 2)]


def test_the_last_word_of_each_rater_counts_and_can_be_taken_back(store: Store) -> None:
    job, _ = a_claimed_job(store)
    for verdict in (said("bob", 2), said("ann", 2), said("ann", 1), said("ann", 2, accepted=False)):
        store.put_verdict(job.id, verdict)
    assert store.verdicts(job.id) == [said("ann", 1), said("ann", 2, accepted=False), said("bob", 2)]
    for _ in range(2):
        store.delete_verdict(job.id, "ann", 1, 1)
    assert store.verdicts(job.id, rater="ann") == [said("ann", 2, accepted=False)]


def test_raters_may_answer_at_once(store: Store) -> None:
    job, _ = a_claimed_job(store)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: store.put_verdict(job.id, said(f"rater {one % 2}", one % 3)), range(24)))
    assert len(store.verdicts(job.id)) == 6


def test_they_go_with_the_job(store: Store) -> None:
    job, lease = a_claimed_job(store)
    store.put_relabelling(questions(job.id, 1))
    store.put_verdict(job.id, said("ann", 1))
    writer = store.writer(lease)
    writer.finish_job(JobState.SUCCEEDED)
    writer.flush()
    store.delete_job(job.id)
    assert (store.relabelling(job.id), store.verdicts(job.id)) == (None, [])
    with pytest.raises(NotFound):
        store.put_verdict(job.id, said("ann", 1))
    with pytest.raises(NotFound):
        store.put_relabelling(questions(job.id, 1))

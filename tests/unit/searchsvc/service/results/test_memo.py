"""The cache of values that are computed from the trials of a job."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from searchsvc.domain import Job
from searchsvc.service.results.memo import Memo
from searchsvc.service.service import Service


class Computed:
    """A function that returns a value and counts its calls."""

    def __init__(self) -> None:
        self.before: list[int | None] = []

    def __call__(self, before: int | None) -> int:
        self.before.append(before)
        return len(self.before)


def test_a_value_is_computed_once_per_version_from_the_former_one() -> None:
    memo, compute = Memo(), Computed()
    assert [memo.get("job", "front", version, compute) for version in (3, 3, 4, 4)] == [1, 1, 2, 2]
    assert compute.before == [None, 1]


def test_values_of_other_jobs_and_of_other_things_are_apart() -> None:
    memo, compute = Memo(), Computed()
    assert memo.get("job", "front", 0, compute) == 1
    assert memo.get("another", "front", 0, compute) == 2
    assert memo.get("job", ("importance", "loss"), 0, compute) == 3
    assert [memo.peek("job", "front"), memo.peek("another", "front"), memo.peek("job", "nothing")] == [1, 2, None]
    assert compute.before == [None, None, None]


def test_the_least_recently_used_is_evicted() -> None:
    memo = Memo(3)
    for job in "abc":
        memo.put(job, "front", job, 0)
    assert memo.peek("a", "front") == "a"
    memo.put("d", "front", "d", 0)
    assert [memo.peek(job, "front") for job in "abcd"] == ["a", None, "c", "d"]
    for number in range(100):
        memo.put(str(number), "front", number, 0)
    assert len(memo) == 3


def test_a_value_without_a_version_is_only_a_beginning() -> None:
    memo, compute = Memo(), Computed()
    memo.put("job", "front", 7)
    assert memo.peek("job", "front") == 7
    assert memo.get("job", "front", 0, compute) == 1
    assert compute.before == [7]


def test_a_value_may_be_kept_for_some_seconds_although_another_trial_has_ended() -> None:
    now = [100.0]
    memo, compute = Memo(clock=lambda: now[0]), Computed()
    assert memo.get("job", "seconds", 1, compute, keep_seconds=5) == 1
    now[0] += 5
    assert memo.get("job", "seconds", 2, compute, keep_seconds=5) == 1
    now[0] += 0.1
    assert memo.get("job", "seconds", 2, compute, keep_seconds=5) == 2
    now[0] += 100
    assert memo.get("job", "seconds", 2, compute, keep_seconds=5) == 2


def test_all_of_a_job_is_forgotten_and_nothing_of_others() -> None:
    memo = Memo()
    for job in ("gone", "kept"):
        memo.put(job, "front", job, 0)
        memo.put(job, "seconds", job, 0)
    memo.forget("gone")
    assert [memo.peek(job, "front") for job in ("gone", "kept")] == [None, "kept"]
    assert len(memo) == 2


def test_threads_may_share_it() -> None:
    memo = Memo(20)

    def use(thread: int) -> bool:
        pairs = [(f"{thread}-{number}", number) for number in range(300)]
        values = [memo.get(job, "front", 0, lambda _, number=number: number) for job, number in pairs]
        memo.forget(pairs[-1][0])
        return values == [number for _, number in pairs]

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(use, range(8)))
    assert len(memo) <= 20


def test_a_deleted_job_leaves_nothing_in_the_cache(service: Service, finished_job: Callable[..., Job]) -> None:
    job = finished_job(12)
    service.results.summary(job.id)
    assert len(service.context.memo) > 0
    service.jobs.delete(job.name)
    assert len(service.context.memo) == 0

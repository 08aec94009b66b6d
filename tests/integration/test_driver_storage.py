"""A full artifacts volume: trials wait and continue, and no budget is spent. Mounts a small tmpfs if allowed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchsvc.domain import FailureKind, JobState, TrialState
from tests.support.driving import Rig, a_spec, assert_complete

VOLUME = "256k"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("driver"))
    yield rig
    rig.close()


@pytest.fixture
def filler(rig: Rig) -> Iterator[Path]:
    """Mount a volume for the artifacts, filled by a single file; return the file."""
    volume = rig.settings.artifacts_dir
    command = ["mount", "-t", "tmpfs", "-o", f"size={VOLUME}", "tmpfs", str(volume)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("this system has no mount")
    if mounted.returncode:
        pytest.skip(f"mounting a tmpfs is not allowed here: {mounted.stderr.strip()}")
    try:
        fill(volume / "filler")
        yield volume / "filler"
    finally:
        subprocess.run(["umount", "-l", str(volume)], check=True, timeout=30)


def fill(file: Path) -> None:
    """Write until the volume is full."""
    with file.open("wb", buffering=0) as unbuffered:
        try:
            while True:
                unbuffered.write(b"x" * 4096)
        except OSError:
            return


def test_a_full_volume_costs_no_budget_and_trials_continue_once_there_is_room(rig: Rig, filler: Path) -> None:
    job = rig.submit(a_spec(trials=6, epochs=3, resources={"attempts": 1}))
    driver = rig.start(job)
    rig.wait(lambda: len(rig.events(job, "trial.requeued")) >= 2)
    place = f"{rig.settings.artifacts_dir / job.id}"
    waiting = rig.wait(lambda: [trial for trial in rig.trials(job) if "artifacts volume" in str(trial.reason)])
    assert waiting[0].reason.startswith(f"the artifacts volume cannot be written: {place}: No space left on device")
    assert waiting[0].reason.endswith("0 bytes are free")
    rig.wait(lambda: rig.store.job(job.id).reason == waiting[0].reason)
    assert {event.data["failure"] for event in rig.events(job, "trial.requeued")} == {FailureKind.STORAGE}
    assert rig.events(job, "trial.finished") == []
    assert len(rig.trials(job)) <= 2  # no trial is proposed that could not run
    filler.unlink()
    assert_complete(rig, rig.finish(driver, job), trials=6, epochs=3)
    assert {trial.told for trial in rig.trials(job)} == set(range(6))
    assert rig.events(job, "node.avoided") == rig.events(job, "node.suspected") == []


@pytest.mark.parametrize(
    ("verb", "end"),
    [("pause", JobState.PAUSED), ("cancel", JobState.CANCELLED), ("stop", JobState.SUCCEEDED)],
)
def test_a_job_that_waits_for_room_obeys(rig: Rig, filler: Path, verb: str, end: JobState) -> None:
    job = rig.submit(a_spec(trials=4, epochs=2))
    driver = rig.start(job)
    rig.wait(lambda: [trial for trial in rig.trials(job) if "artifacts volume" in str(trial.reason)])
    getattr(rig.store, f"{verb}_job")(job.id)
    assert rig.finish(driver, job).state is end
    assert not [trial for trial in rig.trials(job) if trial.state is TrialState.FAILED]
    if verb == "pause":
        filler.unlink()
        rig.store.resume_job(job.id)
        assert_complete(rig, rig.finish(rig.start(job), job), trials=4, epochs=2)

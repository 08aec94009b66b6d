"""Properties of the life cycle of jobs that hold for every entry of its table."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from searchsvc.domain import JobRequest, JobState
from searchsvc.domain.life_cycle import (
    LIFE_CYCLE,
    SITUATIONS,
    Refusal,
    Situation,
    Transition,
    TrialEffect,
    Trigger,
    can_change,
)

VERBS = [trigger for trigger in Trigger if trigger.is_verb]
BY_THEMSELVES = [trigger for trigger in Trigger if not trigger.is_verb]
"""Triggers that come without a user."""


def after(situation: Situation, trigger: Trigger) -> Situation | None:
    """Return the situation after a trigger; a refused trigger changes nothing."""
    effect = LIFE_CYCLE[situation, trigger]
    return effect.after if isinstance(effect, Transition) else situation


def reachable(start: Situation, triggers: Iterable[Trigger]) -> set[Situation]:
    """Return all situations that some sequence of triggers leads to."""
    seen, new = {start}, [start]
    while new:
        before = new.pop()
        for trigger in triggers:
            if (found := after(before, trigger)) is not None and found not in seen:
                seen.add(found)
                new.append(found)
    return seen


def transitions() -> list[tuple[Situation, Trigger, Transition]]:
    return [(*key, effect) for key, effect in LIFE_CYCLE.items() if isinstance(effect, Transition)]


def test_every_situation_has_an_effect_for_every_trigger_and_none_leads_out_of_the_table() -> None:
    assert set(LIFE_CYCLE) == {(situation, trigger) for situation in SITUATIONS for trigger in Trigger}
    assert {effect.after for _, _, effect in transitions()} <= {*SITUATIONS, None}
    assert reachable(Situation(JobState.QUEUED), Trigger) == set(SITUATIONS)


def test_only_a_driven_job_has_a_driver_or_a_request() -> None:
    driven = {one for one in SITUATIONS if one.state.is_driven}
    assert all(one.request is None and not one.has_driver for one in set(SITUATIONS) - driven)
    assert {(one.state, one.request) for one in driven} == {
        (JobState.RUNNING, None),
        (JobState.RUNNING, JobRequest.PAUSE),
        (JobState.RUNNING, JobRequest.CANCEL),
        (JobState.STOPPING, None),
        (JobState.STOPPING, JobRequest.CANCEL),
    }


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_cancel_ends_a_job_whatever_is_killed_or_reported_before_it_is_carried_out(situation: Situation) -> None:
    cancelled = after(situation, Trigger.CANCEL)
    if situation.state in (JobState.SUCCEEDED, JobState.FAILED):
        assert isinstance(LIFE_CYCLE[situation, Trigger.CANCEL], Refusal)  # it has ended
        return
    assert cancelled is not None
    everything = reachable(cancelled, [*BY_THEMSELVES, Trigger.PAUSE, Trigger.RESUME, Trigger.STOP, Trigger.CANCEL])
    assert all(one.request is JobRequest.CANCEL or one.state is JobState.CANCELLED for one in everything)
    for one in everything - {Situation(JobState.CANCELLED)}:
        trigger = Trigger.INTERRUPTED if one.has_driver else Trigger.CLAIM
        assert after(one, trigger) == Situation(JobState.CANCELLED)


@pytest.mark.parametrize("situation", [one for one in SITUATIONS if one.state.is_driven])
def test_every_end_of_a_driver_carries_out_a_request_or_leaves_a_job_that_the_next_claim_takes(
    situation: Situation,
) -> None:
    for trigger in Trigger:
        if not trigger.ends_driver:
            continue
        ended = after(situation, trigger)
        assert ended is not None
        assert ended.request is None
        assert not ended.has_driver
        if not ended.state.is_final and ended.state is not JobState.PAUSED:
            claimed = after(ended, Trigger.CLAIM)
            assert claimed is not None
            assert claimed.has_driver


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_claim_gives_a_job_a_driver_only_without_a_request_and_otherwise_carries_it_out(situation: Situation) -> None:
    effect = LIFE_CYCLE[situation, Trigger.CLAIM]
    if not isinstance(effect, Transition):
        assert situation.has_driver or situation.state.is_final or situation.state is JobState.PAUSED
        return
    assert effect.after is not None
    assert effect.after.request is None
    assert effect.after.has_driver == (situation.request is None)


def test_no_job_is_stuck_between_drivers() -> None:
    """A job that is not paused and has not ended has a driver, or the next claim moves it on."""
    for situation in SITUATIONS:
        if not (situation.has_driver or situation.state.is_final or situation.state is JobState.PAUSED):
            assert after(situation, Trigger.CLAIM) != situation


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb is not Trigger.DELETE])
def test_a_verb_that_is_repeated_changes_no_more_and_is_no_error(verb: Trigger) -> None:
    for situation in SITUATIONS:
        done = after(situation, verb)
        assert done is not None
        assert after(done, verb) == done
        if isinstance(LIFE_CYCLE[situation, verb], Transition):
            again = LIFE_CYCLE[done, verb]
            assert isinstance(again, Transition)
            if verb not in (Trigger.RETRY, Trigger.EXTEND):  # these depend on more than the situation
                assert again.event is None


@pytest.mark.parametrize("verb", VERBS)
def test_whether_a_verb_is_refused_does_not_depend_on_the_life_of_the_driver(verb: Trigger) -> None:
    for situation in SITUATIONS:
        alive = Situation(situation.state, situation.request, situation.state.is_driven)
        assert isinstance(LIFE_CYCLE[situation, verb], Refusal) == isinstance(LIFE_CYCLE[alive, verb], Refusal)


def test_a_verb_that_is_accepted_has_been_done_or_is_requested() -> None:
    done = {
        Trigger.PAUSE: lambda one: one.state is JobState.PAUSED or one.request is JobRequest.PAUSE,
        Trigger.RESUME: lambda one: one.state in (JobState.QUEUED, JobState.RUNNING) and one.request is None,
        Trigger.STOP: lambda one: one.state in (JobState.STOPPING, JobState.SUCCEEDED) and one.request is None,
        Trigger.CANCEL: lambda one: one.state is JobState.CANCELLED or one.request is JobRequest.CANCEL,
        Trigger.RETRY: lambda one: not one.state.is_final and one.state is not JobState.STOPPING,
        Trigger.EXTEND: lambda one: not one.state.is_final and one.state is not JobState.STOPPING,
        Trigger.DELETE: lambda one: one is None,
    }
    assert set(done) == set(VERBS)
    assert [
        (before, trigger)
        for before, trigger, effect in transitions()
        if trigger in done and not done[trigger](effect.after)
    ] == []


def test_open_trials_are_closed_exactly_when_a_job_ends_and_running_ones_requeued_when_it_waits() -> None:
    for before, trigger, effect in transitions():
        ends = effect.after is not None and effect.after.state.is_final and effect.after != before
        assert (effect.trials is TrialEffect.CLOSE) == ends, (before, trigger)
        if before.state.is_driven and effect.after in (Situation(JobState.PAUSED), Situation(JobState.QUEUED)):
            assert effect.trials is TrialEffect.REQUEUE


def test_a_stop_or_a_pause_survives_a_driver_that_was_superseded() -> None:
    stopping, pausing = Situation(JobState.STOPPING, None, True), Situation(JobState.RUNNING, JobRequest.PAUSE, True)
    assert after(stopping, Trigger.SUPERSEDED) == Situation(JobState.SUCCEEDED)
    assert after(pausing, Trigger.SUPERSEDED) == Situation(JobState.PAUSED)
    assert after(Situation(JobState.RUNNING, None, True), Trigger.SUPERSEDED) == Situation(JobState.QUEUED)


@pytest.mark.parametrize(
    ("verb", "states"),
    [
        (Trigger.PAUSE, "QUEUED or RUNNING can be paused"),
        (Trigger.STOP, "QUEUED, RUNNING or PAUSED can be stopped"),
        (Trigger.CANCEL, "QUEUED, RUNNING, PAUSED or STOPPING can be cancelled"),
    ],
)
def test_a_refusal_names_the_state_and_the_states_that_allow_the_verb(verb: Trigger, states: str) -> None:
    effect = LIFE_CYCLE[Situation(JobState.FAILED), verb]
    assert effect == Refusal(f"is FAILED; only a job that is {states}")


def test_a_button_is_offered_if_its_verb_would_change_the_job() -> None:
    assert can_change(JobState.RUNNING, None, Trigger.PAUSE)
    assert not can_change(JobState.RUNNING, JobRequest.PAUSE, Trigger.PAUSE)
    assert can_change(JobState.RUNNING, JobRequest.PAUSE, Trigger.RESUME)
    assert not can_change(JobState.RUNNING, None, Trigger.RESUME)
    assert can_change(JobState.STOPPING, None, Trigger.CANCEL)
    assert not can_change(JobState.STOPPING, JobRequest.CANCEL, Trigger.CANCEL)
    assert not can_change(JobState.STOPPING, None, Trigger.STOP)
    assert not can_change(JobState.STOPPING, None, Trigger.RETRY)

"""Questions to Tune's actors: each is asked for its place once, and a dead one has a death and no place."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import GetTimeoutError, RayActorError

from workers.driver.attempts import Actors

PLACE = ("node", "host", 17)


class AskedActor:
    """An actor that answers, or ends the question with an error."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.questions = 0
        self.place = SimpleNamespace(remote=self._asked)

    def _asked(self) -> AskedActor:
        self.questions += 1
        return self


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> Actors:
    def get(asked: AskedActor, timeout: float) -> Any:
        if isinstance(asked.answer, Exception):
            raise asked.answer
        return asked.answer

    monkeypatch.setattr(ray, "get", get)
    return Actors()


def test_an_actor_is_asked_once_for_its_place(actors: Actors) -> None:
    actor = AskedActor(PLACE)
    assert [actors.place_of(actor), actors.place_of(actor), actor.questions] == [PLACE, PLACE, 1]
    actors.forget(actor)
    actors.forget(actor)
    assert actors.place_of(actor) == PLACE
    actors.clear()
    assert actors.place_of(actor) == PLACE
    assert actor.questions == 3


@pytest.mark.parametrize("error", [RayActorError(), GetTimeoutError("busy")])
def test_an_actor_that_does_not_answer_has_no_place_yet(actors: Actors, error: Exception) -> None:
    actor = AskedActor(error)
    assert actors.place_of(actor) is None
    actor.answer = PLACE
    assert actors.place_of(actor) == PLACE


def test_the_death_of_an_actor_is_the_error_of_its_answer(actors: Actors) -> None:
    death = RayActorError()
    assert actors.death_of(AskedActor(death)) is death
    assert actors.death_of(AskedActor(PLACE)) is None
    assert actors.death_of(None) is None


def test_an_actor_is_killed_by_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[Any] = []
    monkeypatch.setattr(ray, "kill", killed.append)
    actor = AskedActor(PLACE)
    Actors().kill(actor)
    assert killed == [actor]

"""The learning rate of every step."""

from __future__ import annotations

import pytest

from searchsvc.spaces.recipe import CLASSIFICATION
from workers.training.recipe import Recipe
from workers.training.schedule import Schedule


def rates(epochs: int = 10, steps_per_epoch: int = 10, **values: float | str) -> list[float]:
    recipe = Recipe.of({**CLASSIFICATION.defaults, "optimizer": "rmsprop", "lr": 0.5, **values})
    schedule = Schedule.of(recipe, epochs, steps_per_epoch)
    return [schedule.rate(step) for step in range(epochs * steps_per_epoch)]


def test_the_rate_rises_to_its_peak_and_falls_towards_zero() -> None:
    curve = rates()
    peak = curve.index(max(curve))
    assert curve[peak] == 0.5
    assert 8 <= peak <= 10
    assert curve[:peak] == sorted(curve[:peak])
    assert curve[peak:] == sorted(curve[peak:], reverse=True)
    assert 0 < curve[-1] < 0.001


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("decay", [0.0, 0.9875])
def test_the_rate_of_very_short_trainings_is_positive(total: int, decay: float) -> None:
    assert all(rate > 0 for rate in rates(total, 1, lr_decay=decay))


def test_the_rate_decays_by_its_factor_once_an_epoch_after_the_warm_up() -> None:
    curve = rates(warmup_epochs=2, lr_decay=0.9875)
    assert curve[:20] == pytest.approx([0.5 * (step + 1) / 20 for step in range(20)])
    assert curve[20:] == pytest.approx([0.5 * 0.9875 ** (step // 10) for step in range(80)])


def test_a_warm_up_may_be_a_part_of_an_epoch() -> None:
    curve = rates(warmup_epochs=0.5)
    assert curve[:6] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5])


def test_a_warm_up_longer_than_the_training_never_reaches_the_peak() -> None:
    assert rates(2, 10, warmup_epochs=4)[-1] == pytest.approx(0.25)


def test_the_rate_of_sgd_is_scaled_and_no_other() -> None:
    assert max(rates(optimizer="sgd", sgd_lr_scale=4.0)) == 2.0
    assert max(rates(optimizer="rmsprop", sgd_lr_scale=4.0)) == 0.5
    assert max(rates(optimizer="adamw", sgd_lr_scale=4.0)) == 0.5

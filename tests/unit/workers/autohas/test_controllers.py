"""Both variants move to the values that are best after a step, on problems with known optima and gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from searchsvc.errors import TrialFailed
from searchsvc.spaces import Basis, Categorical, Space
from workers.autohas import Differentiable, Draw, ParameterDistributions, Reinforce
from workers.autohas.controllers import MovingMean
from workers.autohas.updates import Hyperparameters, Tensors, stepped

RATES = Space([Basis("lr", (0.2, 1.0, 4.0))])


class Quadratic:
    """Loss w' A w / 2 of two weights, one step of SGD from (1, 2): W* = w - lr (A w + decay w)."""

    def __init__(self, curvatures: tuple[float, float] = (1.0, 1.0)) -> None:
        self.curvatures = torch.tensor([curvatures], dtype=torch.float64)
        self.start = torch.tensor([[1.0, 2.0]], dtype=torch.float64)

    def shared_weights(self, _: Draw) -> dict[str, Tensor]:
        return {"w": self.start}

    def look_ahead(self, draw: Draw, _: Any, relaxed: Tensors | None = None) -> dict[str, Tensor]:
        values: dict[str, Any] = {"decay": 0.0, **draw.candidate.values, **(relaxed or {})}
        hyper = Hyperparameters({"sgd": 1.0}, {"sgd": values["lr"]}, values["decay"], 0.0)
        slots = {"sgd": {"w": {"velocity": torch.zeros(1, 2, dtype=torch.float64)}}}
        return stepped(self.shared_weights(draw), {"w": self.curvatures * self.start}, slots, hyper)[0]

    def validation_loss(self, _: Draw, weights: Tensors, __: Any, ___: Tensors | None = None) -> Tensor:
        return (self.curvatures * weights["w"] ** 2).sum() / 2

    def reward(self, draw: Draw, weights: Tensors, batch: Any) -> float:
        return -float(self.validation_loss(draw, weights, batch))


Made = Callable[..., Reinforce | Differentiable]


def searched(variant: Made, space: Space, model: Quadratic, steps: int = 240, **options: Any) -> ParameterDistributions:
    controller = variant(ParameterDistributions(space), steps=steps, **options)
    random = torch.Generator().manual_seed(3)
    for _ in range(steps):
        controller.step(model, None, None, random)
    return controller.distributions


@pytest.mark.parametrize("variant", [Reinforce, Differentiable])
class TestBothVariants:
    @pytest.mark.parametrize(("curvature", "best"), [(1.0, 1.0), (0.5, 2.0)])
    def test_the_rate_becomes_the_one_that_minimises_the_loss_after_the_step(
        self, variant: Made, curvature: float, best: float
    ) -> None:
        candidate = searched(variant, RATES, Quadratic((curvature, curvature)), learning_rate=0.1).derived()
        assert candidate.values["lr"] == pytest.approx(best, rel=0.1)  # from 1.73

    def test_of_choices_the_best_becomes_the_likeliest(self, variant: Made) -> None:
        space = Space([Categorical("lr", (0.2, 0.9, 1.9)), Basis("decay", (0.0, 0.3))])
        controller = searched(variant, space, Quadratic(), learning_rate=0.1)
        assert controller.derived().values["lr"] == 0.9
        assert controller.by_name()["lr"].softmax(0)[1] > 0.8

    def test_the_first_quarter_leaves_the_distributions_as_they_are(self, variant: Made) -> None:
        controller = variant(ParameterDistributions(RATES), steps=20)
        random, logits = torch.Generator().manual_seed(0), []
        for step in range(8):
            report = controller.step(Quadratic(), None, None, random)
            assert report.frozen == (step < 5)
            logits.append(controller.distributions.logits[0].detach().clone())
        assert all(not one.any() for one in logits[:5])
        assert logits[5].any()

    def test_a_restored_controller_goes_on_as_if_it_had_not_been_stopped(self, variant: Made) -> None:
        whole, half = (variant(ParameterDistributions(RATES), steps=12, frozen_share=0.1) for _ in range(2))
        random, other = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
        for _ in range(6):
            whole.step(Quadratic(), None, None, random)
            half.step(Quadratic(), None, None, other)
        resumed = variant(ParameterDistributions(RATES), steps=12, frozen_share=0.1)
        resumed.restore(half.state())
        for _ in range(6):
            expected = whole.step(Quadratic(), None, None, random)
            assert resumed.step(Quadratic(), None, None, other) == expected
        assert torch.equal(whole.distributions.logits[0], resumed.distributions.logits[0])


def test_a_controller_that_scores_the_shared_weights_learns_nothing_of_the_rate() -> None:
    controller = searched(Reinforce, RATES, Quadratic(), learning_rate=0.1, look_ahead=False)
    assert controller.derived().values["lr"] == pytest.approx(5.2 / 3)  # the mean of the basis, as at the start


class TestUnrolledGradients:
    SPACE = Space([Basis("lr", (0.1, 0.5, 2.0)), Basis("decay", (0.0, 0.2, 0.7))])

    def drawn(self) -> tuple[ParameterDistributions, Draw]:
        made = ParameterDistributions(self.SPACE).double()
        made.logits[0].data = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
        return made, made.draw(torch.Generator().manual_seed(4))

    def test_they_are_the_known_ones(self) -> None:
        (made, draw), model = self.drawn(), Quadratic((1.0, 0.5))
        relaxed = made.relaxed(draw)
        loss = model.validation_loss(draw, model.look_ahead(draw, None, relaxed), None)
        of_rate, of_decay = torch.autograd.grad(loss, [relaxed["lr"], relaxed["decay"]])
        rate, decay = (relaxed[name].detach() for name in ("lr", "decay"))
        slope = (model.curvatures + decay) * model.start
        ahead = model.start - rate * slope
        torch.testing.assert_close(of_rate, -(model.curvatures * ahead * slope).sum())
        torch.testing.assert_close(of_decay, -(model.curvatures * ahead * rate * model.start).sum())

    def test_those_to_the_logits_agree_with_finite_differences(self) -> None:
        (made, draw), model = self.drawn(), Quadratic((1.0, 0.5))

        def loss(perturbed: dict[str, Tensor]) -> Tensor:
            moved = Draw(draw.candidate, perturbed)
            return model.validation_loss(moved, model.look_ahead(moved, None, made.relaxed(moved)), None)

        gradients = torch.autograd.grad(loss(dict(draw.perturbed)), list(made.logits))
        for name, gradient in zip(self.SPACE.names, gradients, strict=True):
            for option in range(3):
                step = torch.zeros(3, dtype=torch.float64)
                step[option] = 1e-6
                above, below = (
                    float(loss({**draw.perturbed, name: draw.perturbed[name] + sign * step}).detach())
                    for sign in (1.0, -1.0)
                )
                assert float(gradient[option]) == pytest.approx((above - below) / 2e-6, rel=1e-4)

    def test_reinforce_follows_the_same_gradient(self) -> None:
        """Compare gradients of the mean loss over draws: by the score function, and through the draws."""
        space = Space([Basis("lr", (0.1, 0.5, 0.9)), Basis("decay", (0.0, 0.2, 0.7))])
        made, model = ParameterDistributions(space, spread=1.0).double(), Quadratic((1.0, 0.5))
        random, scores, losses = torch.Generator().manual_seed(5), [], []
        for _ in range(600):
            draw = made.draw(random)
            losses.append(model.validation_loss(draw, model.look_ahead(draw, None, made.relaxed(draw)), None))
            scores.append(made.log_probability(draw))
        mean = torch.stack(losses).mean()
        gains = torch.stack(losses).detach() - mean.detach()
        through = torch.cat(torch.autograd.grad(mean, list(made.logits), retain_graph=True))
        by_score = torch.cat(torch.autograd.grad((gains * torch.stack(scores)).mean(), list(made.logits)))
        assert torch.cosine_similarity(through, by_score, dim=0) > 0.95
        assert float(by_score.norm()) == pytest.approx(float(through.norm()), rel=0.2)


def test_losses_that_are_not_finite_step_after_step_are_a_failure_that_names_the_values() -> None:
    space = Space([Basis("lr", (1e200, 2e200))])
    with pytest.raises(TrialFailed, match=r"100 steps in a row .*'lr'"):
        searched(Differentiable, space, Quadratic(), steps=100)


def test_draws_whose_loss_is_not_finite_are_left_out() -> None:
    space = Space([Categorical("lr", (0.5, 1e200))])
    controller = Differentiable(ParameterDistributions(space).double(), steps=1, samples=8, frozen_share=0.0)
    report = controller.step(Quadratic(), None, None, torch.Generator().manual_seed(0))
    assert report.score == pytest.approx(-0.625)
    assert all(one.isfinite().all() for one in controller.distributions.logits)


def test_the_moving_mean_is_corrected_for_its_start() -> None:
    mean = MovingMean(0.95)
    assert mean.updated(2.0) == pytest.approx(2.0)
    assert mean.updated(4.0) == pytest.approx((0.95 * 2.0 + 4.0) / 1.95)
    for _ in range(400):
        last = mean.updated(-1.0)
    assert last == pytest.approx(-1.0)


@pytest.mark.parametrize(("steps", "rate"), [(8, 0.25), (400, 0.05)])
def test_the_rate_follows_from_the_number_of_steps(steps: int, rate: float) -> None:
    state = Reinforce(ParameterDistributions(RATES), steps=steps).state()
    assert state["optimizer"]["param_groups"][0]["lr"] == pytest.approx(rate)


class TestPenalties:
    """A soft limit counts against the draws in what a step reports."""

    @pytest.mark.parametrize("variant", [Reinforce, Differentiable])
    def test_a_penalty_lowers_the_score_of_a_step_by_itself(
        self, variant: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        space = Space([Categorical("lr", (0.5,))])

        def score(penalty: float) -> float:
            controller = variant(ParameterDistributions(space).double(), steps=4, samples=3, frozen_share=0.0)
            sampler = controller._sampler
            draws = [replace(draw, penalty=penalty) for draw in sampler(3, torch.Generator().manual_seed(0))]
            monkeypatch.setattr(type(sampler), "__call__", lambda *_: draws)
            try:
                return float(controller.step(Quadratic(), None, None, torch.Generator().manual_seed(0)).score)
            finally:
                monkeypatch.undo()

        assert score(0.25) == pytest.approx(score(0.0) - 0.25)

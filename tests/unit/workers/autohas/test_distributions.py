"""Draws are as likely as the logits say, lie in the space, and have the right gradients."""

from __future__ import annotations

import math

import pytest
import torch

from searchsvc.domain import Candidate
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Basis, Categorical, Float, Integer, Space
from workers.autohas import Draw, ParameterDistributions

SPACE = Space(
    [
        Categorical("optimizer", ("sgd", "adamw", "rmsprop")),
        Basis("momentum", (0.0, 0.9, 0.99), when={"optimizer": ["sgd", "rmsprop"]}),
        Integer("depth", 1, 5, step=2),
        Basis("lr", (0.1, 0.001, 0.01)),
    ]
)


def distributions(space: Space = SPACE, **options: float) -> ParameterDistributions:
    """Return distributions with unequal logits."""
    made = ParameterDistributions(space, **options).double()
    random = torch.Generator().manual_seed(0)
    for logits in made.logits:
        logits.data = torch.randn(len(logits), generator=random, dtype=torch.float64)
    return made


def draws(made: ParameterDistributions, count: int, seed: int = 1) -> list[Draw]:
    random = torch.Generator().manual_seed(seed)
    return [made.draw(random) for _ in range(count)]


def test_draws_lie_in_the_space_and_what_is_not_active_has_no_part_in_them() -> None:
    for draw in draws(distributions(), 60):
        assert SPACE.contains(draw.candidate) is None
        assert draw.perturbed.keys() == draw.candidate.values.keys()


def test_choices_are_drawn_with_the_probabilities_of_their_logits() -> None:
    made = distributions()
    drawn = [draw.candidate.values["optimizer"] for draw in draws(made, 1500)]
    shares = [drawn.count(name) / len(drawn) for name in ("sgd", "adamw", "rmsprop")]
    expected = made.by_name()["optimizer"].softmax(0).tolist()
    assert shares == pytest.approx(expected, abs=0.05)


def test_probabilities_of_choices_sum_to_one() -> None:
    made = distributions(Space([SPACE["optimizer"], SPACE["depth"]]))
    seen = {draw.candidate.key: draw for draw in draws(made, 300)}
    assert len(seen) == 9
    assert sum(made.log_probability(one).detach().exp() for one in seen.values()) == pytest.approx(1.0)


def test_the_mean_score_of_draws_is_zero() -> None:
    """E[d log p] = 0: this makes REINFORCE's gradient unbiased for any baseline."""
    made = distributions()
    torch.autograd.backward(torch.stack([made.log_probability(one) for one in draws(made, 800)]).mean())
    for logits in made.logits:
        assert logits.grad is not None
        assert float(logits.grad.abs().max()) < 0.5  # a score of a basis has a standard deviation of 1


@pytest.mark.parametrize(("share", "spread"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.25)])
def test_the_score_of_a_basis_is_that_of_its_density_at_the_spread_of_the_moment(share: float, spread: float) -> None:
    made = distributions(Space([SPACE["lr"]]))
    made.narrow(share)
    draw, logits = draws(made, 1)[0], made.logits[0]
    density = torch.distributions.Gumbel(logits, torch.full_like(logits, spread)).log_prob(draw.perturbed["lr"]).sum()
    (expected,) = torch.autograd.grad(density, logits)
    (score,) = torch.autograd.grad(made.log_probability(draw), logits)
    torch.testing.assert_close(score, expected)


def test_relaxed_values_are_those_of_the_candidate() -> None:
    made = distributions()
    for draw in draws(made, 20):
        relaxed, values = made.relaxed(draw), draw.candidate.values
        assert relaxed["lr"].item() == pytest.approx(values["lr"])
        assert relaxed["depth"].item() == pytest.approx(values["depth"])
        chosen = [float(name == values["optimizer"]) for name in ("sgd", "adamw", "rmsprop")]
        assert relaxed["optimizer"].tolist() == pytest.approx(chosen)


def test_gradients_of_a_basis_agree_with_finite_differences() -> None:
    made = distributions(Space([SPACE["lr"]]))
    draw = draws(made, 1)[0]
    (gradient,) = torch.autograd.grad(made.relaxed(draw)["lr"], made.logits[0])
    for option in range(3):
        moved = [_moved(made, draw, option, step) for step in (1e-6, -1e-6)]
        assert float(gradient[option]) == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-4)


def _moved(made: ParameterDistributions, draw: Draw, option: int, step: float) -> float:
    """Return the learning rate with one logit changed and the same noise."""
    perturbed = draw.perturbed["lr"].clone()
    perturbed[option] += step
    return float(made.relaxed(Draw(draw.candidate, {"lr": perturbed}))["lr"].detach())


def test_the_gradient_of_a_choice_is_that_of_its_softmax() -> None:
    made = distributions(Space([SPACE["optimizer"]]), temperature=0.7)
    draw, weights = draws(made, 1)[0], torch.tensor([1.0, 3.0, -2.0], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(made.relaxed(draw)["optimizer"] @ weights, made.logits[0])
    perturbed = draw.perturbed["optimizer"].requires_grad_()
    (expected,) = torch.autograd.grad((perturbed / 0.7).softmax(0) @ weights, perturbed)
    torch.testing.assert_close(gradient, expected)


def test_what_is_derived_are_the_likeliest_choices_and_the_expectations_of_bases() -> None:
    made = ParameterDistributions(SPACE)
    for logits, values in zip(made.logits, ([0, 0, 9], [0, math.log(3), -99], [0, 2, 1], [0, 0, -99]), strict=True):
        logits.data = torch.tensor(values, dtype=torch.float32)
    derived = made.derived()
    assert SPACE.contains(derived) is None
    assert derived.values["optimizer"] == "rmsprop"
    assert derived.values["depth"] == 3
    assert derived.values["momentum"] == pytest.approx(0.675)
    assert derived.values["lr"] == pytest.approx(0.0505)


def test_entropy_falls_from_that_of_equal_options() -> None:
    uniform = ParameterDistributions(SPACE).entropies()
    assert uniform == pytest.approx(dict.fromkeys(SPACE.names, math.log(3)))
    assert all(value < uniform[name] for name, value in distributions().entropies().items())


def test_ranges_without_a_basis_are_refused_and_the_way_out_is_named() -> None:
    space = Space([Categorical("a", (1, 2)), Float("lr", 0.1, 1.0), Integer("width", 1, 10_000)])
    with pytest.raises(InvalidInput) as caught:
        ParameterDistributions(space)
    assert [fault.pointer for fault in caught.value.faults] == ["/1", "/2"]
    assert "give AutoHAS a basis" in caught.value.faults[0].message
    assert "narrow it, or make it a basis" in caught.value.faults[1].message


def test_the_same_generator_draws_the_same() -> None:
    assert [one.candidate for one in draws(distributions(), 5)] == [one.candidate for one in draws(distributions(), 5)]
    assert isinstance(draws(distributions(), 1)[0].candidate, Candidate)

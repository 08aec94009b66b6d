"""Recipes of detectors by shared weights: steps equal those of training, the search learns, resumes, and refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from searchsvc.algorithms.autohas import AutohasOptions
from searchsvc.domain import Candidate, Fidelity, Measurement, Objective, SharedSearch, TrialTask
from searchsvc.errors import InvalidInput
from searchsvc.spaces import Basis, Categorical, Float, Parameter, Space, find, networks
from searchsvc.spaces.sharing import STRUCTURAL, check_sharable, fixed_values
from tests.support.detection import SIDE, SMALLEST
from workers.autohas import Draw, ParameterDistributions, Reinforce, SupernetTrainer
from workers.autohas.detection import DetectionLosses, SceneBatch, search_setup
from workers.autohas.run import search
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.tasks.detection import TASK
from workers.training import optimizers
from workers.training.detection.augment import DetectionAugmentation
from workers.training.recipe import Recipe

CPU = torch.device("cpu")
SCENES: dict[str, Any] = {"name": "digits-scenes", "size": SIDE, "train": 50, "validation": 20, "test": 20}
SPACE = Space(
    [
        Categorical("optimizer", ("adamw", "sgd")),
        Float("lr", 1e-4, 1e-2, log=True),
        Float("qfl_beta", 1.0, 3.0),
        Float("dfl_weight", 0.1, 0.5),
        Categorical("augmentation", ("none", "S1")),
        Categorical("ema", (False, True)),
        Categorical("clip_norm", (0.0, 0.5)),
    ]
)


def a_task(directory: Path, space: Space = SPACE, *, epochs: int = 3, **options: Any) -> TrialTask:
    few = {"controller_every": 1, "scored": 2, "finalists": 2, "reward_images": 16, "basis_values": 3, **options}
    return TrialTask(
        trial_id="t",
        attempt=1,
        task="detection",
        dataset=SCENES,
        values={**SMALLEST, "batch_size": 16},
        fidelity=Fidelity(epochs=epochs),
        objective=Objective(metric="ap"),
        seed=3,
        directory=str(directory),
        search=SharedSearch(space.parameters, (), None, AutohasOptions(**few).model_dump()),
    )


def supernet_trainer(task: TrialTask, space: Space = SPACE) -> tuple[SupernetTrainer[Any], SceneBatch, SceneBatch]:
    """Return a trainer with a training batch and a validation batch, in float64."""
    made = search_setup(task, space, CPU)
    losses = made.losses
    assert isinstance(losses, DetectionLosses)
    losses._inputs = replace(losses._inputs, scale=losses._inputs.scale.double())
    made.network.widest.double()
    batches = (next(one.batches(np.arange(16), [5])) for one in (made.train, made.validation))
    return SupernetTrainer(made.network, space, losses, task.values, score="ap"), *batches


def draw_of(**values: Any) -> Draw:
    base = {"optimizer": "adamw", "lr": 0.003, "qfl_beta": 1.5, "dfl_weight": 0.4, "augmentation": "S1", "ema": False}
    return Draw(Candidate({**base, "clip_norm": 0.0, **values}), {})


@pytest.mark.parametrize("clip_norm", [0.0, 0.5])
def test_steps_on_the_shared_weights_are_those_of_training_the_detector_by_itself(
    tmp_path: Path, clip_norm: float
) -> None:
    task, draw = a_task(tmp_path), draw_of(clip_norm=clip_norm)
    trainer, batch, _ = supernet_trainer(task)
    detector = search_setup(task, SPACE, CPU).network.widest.double()
    values = networks.complete({**task.values, **draw.candidate.values}, "detection")
    optimizer, loss_of = optimizers.create(detector, Recipe.of(values)), OneStageLoss.of(values)
    seen = batch.augmented(DetectionAugmentation("S1"), 16)
    for _ in range(2):
        optimizer.zero_grad()
        outputs = detector(trainer._losses._inputs(seen.images))
        loss = torch.stack([*loss_of(outputs, detector.anchors(outputs.classes), Targets.of(seen.objects())).values()])
        loss.sum().backward()
        if clip_norm:
            assert torch.nn.utils.clip_grad_norm_(detector.parameters(), clip_norm) > clip_norm
        optimizer.step()
        assert trainer.train(draw, batch) == pytest.approx(float(loss.detach().sum()))
    weights = trainer.shared_weights(draw)
    for name, expected in detector.named_parameters():
        torch.testing.assert_close(weights[name], expected.detach())


@pytest.mark.parametrize("name", ["lr", "dfl_weight"])
def test_gradients_through_the_step_agree_with_finite_differences(tmp_path: Path, name: str) -> None:
    trainer, batch, scored = supernet_trainer(a_task(tmp_path))
    draw = draw_of(optimizer="sgd", lr=0.05)
    value = torch.tensor(draw.candidate.values[name], dtype=torch.float64, requires_grad=True)

    def loss(value: Tensor) -> Tensor:
        return trainer.validation_loss(draw, trainer.look_ahead(draw, batch, {name: value}), scored)

    (gradient,) = torch.autograd.grad(loss(value), value)
    above, below = (float(loss(value.detach() + step)) for step in (1e-5, -1e-5))
    assert float(gradient) == pytest.approx((above - below) / 2e-5, rel=1e-3)


def test_a_reward_is_by_the_same_measure_whatever_a_candidate_learns_by(tmp_path: Path) -> None:
    trainer, _, scored = supernet_trainer(a_task(tmp_path))
    draws = [draw_of(dfl_weight=weight, qfl_beta=beta) for weight, beta in ((0.1, 1.0), (0.5, 3.0))]
    first, second = (trainer.reward(one, trainer.shared_weights(one), scored) for one in draws)
    assert first == second < 0.0
    ruined = {name: one * float("nan") for name, one in trainer.shared_weights(draws[0]).items()}
    assert trainer.reward(draws[0], ruined, scored) == -40.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrialTask, list[Measurement]]:
    """A search without interruptions."""
    task = a_task(tmp_path_factory.mktemp("whole"))
    return task, list(search(task))


def metrics(measured: list[Measurement]) -> list[tuple[int, dict[str, float]]]:
    return [(one.step, dict(one.metrics)) for one in measured]


def test_the_distributions_move_and_finalists_are_recipes_of_the_space(
    whole: tuple[TrialTask, list[Measurement]],
) -> None:
    task, measured = whole
    first, last = measured[0].metrics, measured[-1].metrics
    assert last["entropy"] < first["entropy"]
    assert last["reward"] > first["reward"]
    for rank in range(2):
        row = [last.get(f"finalist/{rank}/{name}", np.nan) for name in SPACE.names]
        assert SPACE.contains(SPACE.from_matrix(np.array([row]))[0]) is None
    assert TASK.files(Path(task.directory)) == ("distributions.json",)


def test_a_search_that_was_closed_goes_on_to_the_same_bits(
    whole: tuple[TrialTask, list[Measurement]], tmp_path: Path
) -> None:
    running = search(a_task(tmp_path))
    first = next(running)
    running.close()  # type: ignore[attr-defined]
    assert metrics([first, *search(replace(a_task(tmp_path), stored_step=1))]) == metrics(whole[1])


def test_the_differentiable_variant_moves_what_a_step_has_gradients_to(tmp_path: Path) -> None:
    space = Space([Basis("lr", (1e-4, 1e-2)), Basis("dfl_weight", (0.1, 0.5)), Categorical("ema", (False, True))])
    task = a_task(tmp_path, space, epochs=1, variant="differentiable", frozen_share=0.0)
    [measured] = search(replace(task, values={**task.values, "optimizer": "sgd"}))
    moved = {name for name in space.names if abs(measured.metrics[f"p/{name}/0"] - 0.5) > 1e-3}
    assert moved == {"lr", "dfl_weight"}


def test_a_search_learns_that_a_rate_ruins_what_was_learnt(tmp_path: Path) -> None:
    space = Space([Categorical("lr", (0.003, 3.0))])
    made, task = search_setup(a_task(tmp_path), space, CPU), a_task(tmp_path)
    trainer = SupernetTrainer(made.network, space, made.losses, task.values, score="ap")
    good, random = Draw(Candidate({"lr": 0.003}), {}), torch.Generator().manual_seed(0)
    order = np.arange(16)
    for seed in range(6):
        trainer.train(good, next(made.train.batches(order, [seed])))
    controller = Reinforce(ParameterDistributions(space), steps=5, samples=2, learning_rate=0.3, frozen_share=0.0)
    for seed in range(5):
        scored = next(made.validation.batches(order, [0]))
        controller.step(trainer, next(made.train.batches(order, [seed])), scored, random)
    assert controller.distributions.by_name()["lr"].softmax(0)[0] > 0.65  # from 0.5


# ---- what is refused -------------------------------------------------------------------------------------------------


def refused(*parameters: Parameter, **constants: Any) -> dict[str, str]:
    """Return the faults: pointer -> message."""
    with pytest.raises(InvalidInput) as caught:
        check_sharable(Space(parameters), {"network": "detector-small", **constants}, "detection")
    return {fault.pointer: fault.message for fault in caught.value.faults}


def test_every_searched_gene_of_the_architecture_is_named_with_the_algorithms_that_can() -> None:
    shipped = find("detector-small")
    faults = refused(*shipped.space.parameters)
    deciding = {*networks.NETWORKS["detector-small"].defaults, "resolution", *STRUCTURAL["detection"]}
    assert {f"/{name}" for name in shipped.space.names if name in deciding} <= faults.keys()
    assert "use an algorithm that trains each candidate by itself (tpe" in faults["/neck"]
    assert "/lr" not in faults


@pytest.mark.parametrize(("name", "wanted", "able"), [("sample_weighting", "swn", "none"), ("frozen_stages", 1, 0)])
def test_what_would_learn_unlike_the_rest_is_refused_as_a_choice_and_as_a_constant(
    name: str, wanted: Any, able: Any
) -> None:
    said = f"{name} must be {able}"
    assert said in refused(Categorical(name, (able, wanted)))[f"/{name}"]
    assert said in refused(Float("lr", 0.1, 1.0), **{name: wanted})[f"/{name}"]


def test_genes_that_no_candidate_has_do_not_matter() -> None:
    """Fix the backbone: genes of the other backbone are ignored, its own keep their values."""
    shipped = find("detector-small")
    resnet: dict[str, Any] = {**networks.NETWORKS["detector-small"].parameters, "base_width": 4, "neck": "rfp"}
    ours = [one.name for one in shipped.space.parameters if not one.when or "backbone" not in one.when]
    of_resnet = [one.name for one in shipped.space.parameters if one.when.get("backbone") == ("resnet",)]
    free = {"qfl_beta", "dfl_weight", "ema", "ema_decay", "optimizer", "lr", "weight_decay", "augmentation"}
    fixed = {name: resnet[name] for name in (*ours, *of_resnet) if name not in free}
    space = shipped.space.fix({**fixed, "resolution": 128})
    values = fixed_values(space, shipped.constants, "detection")
    assert (values["base_width"], values["neck"], values["resolution"]) == (4, "rfp", 128)

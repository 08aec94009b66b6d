"""Initial weights from other networks, stages that do not learn, and stages that learn more slowly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from searchsvc.domain import TrialState, TrialTask, WeightsFile
from searchsvc.errors import InvalidInput
from searchsvc.spaces.networks import complete
from searchsvc.spaces.recipe import CLASSIFICATION
from tests.support.detection import SMALLEST, a_task, pets
from tests.unit.workers.conftest import Trained
from workers.models import build
from workers.models.published import published
from workers.models.stages import frozen, parts_of
from workers.training import optimizers
from workers.training.optimisation import Optimisation
from workers.training.recipe import Recipe
from workers.trials.run_trial import TrialRun

Train = Callable[..., Trained]
NETWORKS = ("mbconv", "fbnetv3-small", "resnet10t", "detector-small")


def network(name: str, **values: Any) -> nn.Module:
    return build(complete({"network": name, **values}), (3, 72, 72), 5)


def recipe(**values: Any) -> Recipe:
    return Recipe.of({**CLASSIFICATION.defaults, **values})


def weights_file(path: Path) -> WeightsFile:
    return WeightsFile(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def model_of(task: TrialTask) -> Path:
    return Path(task.directory) / "model.safetensors"


def report_of(task: TrialTask) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((Path(task.directory) / "pretrained.json").read_bytes())
    return report


# ---- stages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_is_in_one_part(name: str) -> None:
    made = network(name)
    parts = parts_of(made)
    identities = [id(weight) for part in parts for module in part for weight in module.parameters()]
    assert sorted(identities) == sorted(id(weight) for weight in made.parameters())
    assert len(parts) == {"mbconv": 5, "fbnetv3-small": 9}.get(name, 6)


@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_stages_keep_weights_and_statistics(name: str) -> None:
    torch.manual_seed(0)
    made = network(name)
    training = Optimisation(
        made, recipe(frozen_stages=2, optimizer="adamw"), images=4, epochs=1, device=torch.device("cpu")
    )
    before = {key: value.clone() for key, value in training.model.state_dict().items()}
    training.begin_epoch()
    outputs = training.model(torch.randn(2, 3, 72, 72))
    training.step((outputs if torch.is_tensor(outputs) else outputs.classes).square().mean())
    fixed, free = set[str](), set[str]()
    for number, part in enumerate(parts_of(training.model)):
        of_part = {id(one) for module in part for one in (*module.parameters(), *module.buffers())}
        names = {key for key, value in training.model.state_dict(keep_vars=True).items() if id(value) in of_part}
        fixed, free = (fixed | names, free) if number <= 2 else (fixed, free | names)
    after = training.model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in fixed)
    assert not all(torch.equal(before[key], after[key]) for key in free)


def test_what_follows_the_last_stage_is_never_frozen() -> None:
    made = network("mbconv")
    frozen(made, 7)
    trained = [name for name, one in made.named_parameters() if one.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"]


# ---- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_rates_fall_from_the_head_down(name: str) -> None:
    made = network("mbconv")
    optimizer = optimizers.create(made, recipe(optimizer=name, layer_decay=0.5))
    optimizers.set_learning_rate(optimizer, 0.8)
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    rates_by_part = [{rates[id(one)] for module in part for one in module.parameters()} for part in parts_of(made)]
    assert rates_by_part == [{0.05}, {0.1}, {0.2}, {0.4}, {0.8}]
    restored = optimizers.create(network("mbconv"), recipe(optimizer=name, layer_decay=0.5))
    optimizers.restore(restored, optimizer.state_dict())
    optimizers.set_learning_rate(restored, 0.4)
    assert [group["lr"] for group in restored.param_groups] == [one["lr"] / 2 for one in optimizer.param_groups]


def test_without_decay_there_are_as_few_groups_as_before() -> None:
    assert len(optimizers.create(network("mbconv"), recipe()).param_groups) == 2


def test_a_factor_of_sgd_scales_its_step() -> None:
    """Plain descent: one step moves each weight by its rate times its gradient."""
    made = network("mbconv")
    optimizer = optimizers.create(made, recipe(momentum=0.0, weight_decay=0.0, layer_decay=0.5))
    optimizers.set_learning_rate(optimizer, 1.0)
    before = [weight.detach().clone() for weight in made.parameters()]
    for weight in made.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    pairs = zip(before, made.parameters(), strict=True)
    moved = {id(weight): float((old - weight.detach()).max()) for old, weight in pairs}
    stem, *_, head = parts_of(made)
    assert moved[id(next(head[0].parameters()))] == pytest.approx(1.0)
    assert moved[id(next(stem[0].parameters()))] == pytest.approx(1.0 / 16)


# ---- trials ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def teacher(make_task: Any, train: Train) -> TrialTask:
    task: TrialTask = make_task("teacher", epochs=4)
    assert train(task).outcome.state is TrialState.SUCCEEDED
    return task


def test_a_pretrained_trial_begins_where_the_other_ended(make_task: Any, train: Train, teacher: TrialTask) -> None:
    values = {"init": "pretrained", "lr": 1e-6, "layer_decay": 0.5, "frozen_stages": 1}
    task = make_task("student", values, epochs=1, pretrained=weights_file(model_of(teacher)))
    trained = train(task)
    assert {one.name for one in trained.outcome.files} == {"model.safetensors", "predictions.npz", "pretrained.json"}
    assert trained.metrics[0]["pretrained_share"] == 1.0
    first, second = load_file(model_of(teacher)), load_file(model_of(task))
    assert torch.equal(first["stem.0.weight"], second["stem.0.weight"])
    assert torch.allclose(first["classifier.weight"], second["classifier.weight"], atol=1e-3)
    report = report_of(task)
    assert (report["missed"], report["unused"], report["misshapen"]) == ([], [], [])
    assert "100.0% of its numbers" in (Path(task.directory) / "trial.log").read_text()


def test_a_pretrained_trial_goes_on_from_its_checkpoint(make_task: Any, train: Train, teacher: TrialTask) -> None:
    fields = {"values": {"init": "pretrained"}, "pretrained": weights_file(model_of(teacher)), "epochs": 2}
    whole, parted = make_task("whole", **fields), make_task("parted", **fields)
    expected = train(whole)
    run_trial_closed_after_one_epoch(parted)
    assert train(parted).metrics == expected.metrics
    assert all(torch.equal(one, load_file(model_of(parted))[name]) for name, one in load_file(model_of(whole)).items())


def run_trial_closed_after_one_epoch(task: TrialTask) -> None:
    run = TrialRun(task)
    next(run)
    run.close()


def test_other_shapes_are_told_and_stay_random(make_task: Any, train: Train, teacher: TrialTask) -> None:
    values = {"init": "pretrained", "width_3": 24}
    task = make_task("wider", values, epochs=1, pretrained=weights_file(model_of(teacher)))
    share = train(task).metrics[0]["pretrained_share"]
    assert 0.2 < share < 0.9
    misshapen = {one["name"]: (one["file"], one["network"]) for one in report_of(task)["misshapen"]}
    assert misshapen["classifier.weight"] == ([10, 32], [10, 24])


def test_weights_made_for_coloured_pictures_are_told(make_task: Any, train: Train, teacher: TrialTask) -> None:
    state = load_file(model_of(teacher))
    colored = Path(teacher.directory) / "colored.safetensors"
    save_file({**state, "stem.0.weight": state["stem.0.weight"].expand(-1, 3, -1, -1).contiguous() / 3}, colored)
    values = {"init": "pretrained", "lr": 1e-6, "frozen_stages": 1}
    task = make_task("grey", values, epochs=1, pretrained=weights_file(colored))
    assert train(task).metrics[0]["pretrained_share"] == 1.0
    assert torch.allclose(load_file(model_of(task))["stem.0.weight"], state["stem.0.weight"], atol=1e-6)
    [adapted] = report_of(task)["adapted"]
    assert (adapted["name"], adapted["file"][1], adapted["network"][1]) == ("stem.0.weight", 3, 1)
    assert "1 adapted from other channels (stem.0.weight" in (Path(task.directory) / "trial.log").read_text()


def test_weights_that_changed_or_fit_nowhere_end_the_trial(make_task: Any, train: Train, tmp_path: Path) -> None:
    path = tmp_path / "others.safetensors"
    save_file({"nothing": torch.ones(2)}, path)
    weights = weights_file(path)
    task = make_task("student", {"init": "pretrained"}, pretrained=weights)
    assert "none of the 1 weights" in str(train(task).outcome.message)
    changed = replace(task, pretrained=replace(weights, sha256="0" * 64))
    assert "is not the file any more" in str(train(changed).outcome.message)
    assert "was given no weights" in str(train(replace(task, pretrained=None)).outcome.message)


def test_a_detector_starts_from_a_classifier_or_a_detector(make_task: Any, train: Train, tmp_path: Path) -> None:
    """If the number of classes differs, the weights of the classes are misshapen and stay random."""
    rows = {"network": "fbnetv3-small"}
    dataset = pets(tmp_path / "pets")
    classifier = tmp_path / "classifier.safetensors"
    save_file(build(complete(rows), (3, 72, 72), 10).state_dict(), classifier)
    from_classifier = {**SMALLEST, "backbone": "fbnetv3-small", "init": "pretrained", "frozen_stages": 1}
    first = a_task(dataset, tmp_path / "first", from_classifier, pretrained=weights_file(classifier))
    measured = train(first)
    assert measured.outcome.state is TrialState.SUCCEEDED, measured.outcome.message
    assert measured.metrics[0]["pretrained_share"] == 1.0
    assert {one.split(".")[0] for one in report_of(first)["unused"]} <= {"blocks", "head", "classifier"}
    trained = load_file(model_of(first))
    assert torch.equal(trained["neck.backbones.0.stem.0.weight"], load_file(classifier)["stem.0.weight"])

    other = tmp_path / "other.safetensors"
    save_file({**trained, "head.classes.weight": torch.zeros(7, 16, 3, 3), "head.classes.bias": torch.zeros(7)}, other)
    values = {**from_classifier, "frozen_stages": 0}
    second = a_task(dataset, tmp_path / "second", values, pretrained=weights_file(other))
    assert 0.5 < train(second).metrics[0]["pretrained_share"] < 1.0
    report = report_of(second)
    assert {one["name"] for one in report["misshapen"]} == {"head.classes.weight", "head.classes.bias"}
    assert report["missed"] == []


# ---- weights that others have published ------------------------------------------------------------------------------


def test_published_weights_are_found_where_timm_or_torch_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InvalidInput, match=r"not on this machine: they would be .* or .*checkpoints"):
        published("resnet18.tv_in1k")
    config = timm.models.get_pretrained_cfg("resnet18.tv_in1k")
    checkpoint = tmp_path / "checkpoints" / Path(config.url).name
    checkpoint.parent.mkdir()
    checkpoint.write_bytes(b"")
    assert published("resnet18.tv_in1k") == checkpoint
    with pytest.raises(InvalidInput, match="timm publishes no weights of 'resnet1'"):
        published("resnet1")

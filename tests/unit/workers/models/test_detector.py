"""Detectors: maps and anchors agree, extensions start as the original, losses, detections, weights of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from searchsvc.domain import Scalar
from searchsvc.errors import InvalidInput
from searchsvc.spaces import networks
from searchsvc.spaces.networks import complete
from tests.support.detectors import detector, scenes
from workers.losses import sample_weighting
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.losses.sample_weighting import SampleWeightingNet
from workers.models import build
from workers.models.blocks.non_local import NonLocal
from workers.models.boxes import Boxes
from workers.models.detector import Detector
from workers.models.pretrained import load_weights, read_weights
from workers.models.stages import frozen

RESNET: dict[str, Scalar] = {"backbone": "resnet"}
ROWS: dict[str, Scalar] = {"backbone": "fbnetv3-small"}
BOTH = pytest.mark.parametrize("backbone", [RESNET, ROWS], ids=["resnet", "rows"])
NOTHING = Targets(Boxes(torch.zeros(0, 4)), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))


def loss_terms(
    made: Detector, images: Tensor, targets: Targets, net: SampleWeightingNet | None = None, **values: Scalar
) -> dict[str, Tensor]:
    outputs = made(images)
    loss = OneStageLoss.of(networks.complete({"network": "detector-small", **values}), net)
    return loss(outputs, made.anchors(outputs.classes), targets)


@BOTH
@pytest.mark.parametrize("levels", [{"finest": 4}, {"finest": 8, "coarser": 2}], ids=["fine", "coarse"])
@pytest.mark.parametrize("shape", [(3, 65, 99), (1, 97, 70)], ids=str)
def test_outputs_have_an_anchor_each(backbone: dict[str, Any], levels: dict[str, Any], shape: Any) -> None:
    made = detector({**backbone, **levels}, shape)
    maps = made.neck(torch.randn(2, *shape))
    outputs = made.head(maps)
    expected, actual = made.head.anchors(maps), made.anchors(outputs.classes)
    assert torch.equal(expected.boxes.xyxy, actual.boxes.xyxy)
    assert expected.counts == actual.counts
    assert outputs.classes.shape == (2, len(actual.boxes), 3)


@BOTH
@pytest.mark.parametrize(
    "extension",
    [
        {"sac_c3": "plain", "sac_c4": "plain", "sac_c5": "plain"},
        {"sac_c5": "deform"},
        {"neck": "rfp"},
        {"neck": "rfp", "rfp_shared": True, "rfp_steps": 3},
        {"attention": "non_local", "attention_at": "c3"},
        {"attention": "dnl", "attention_at": "c5"},
        {"sac_c4": "plain", "neck": "rfp", "attention": "dnl"},
    ],
    ids=lambda one: "-".join(map(str, one.values())),
)
def test_extensions_start_as_what_they_extend(backbone: dict[str, Any], extension: dict[str, Any]) -> None:
    plain, made = detector(backbone), detector({**backbone, **extension})
    for module in plain.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # residual branches start as 0, and would hide what is in them
    assert sum(one.numel() for one in made.parameters()) > sum(one.numel() for one in plain.parameters())
    assert made.load_state_dict(plain.state_dict(), strict=False).unexpected_keys == []
    made.neck.equalise()
    images = torch.randn(2, 3, 96, 96)
    for training in (False, True):
        outputs, expected = made.train(training)(images), plain.train(training)(images)
        torch.testing.assert_close(outputs.classes, expected.classes, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(outputs.boxes, expected.boxes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["non_local", "dnl"])
def test_what_attention_adds_is_normalised(kind: str) -> None:
    made = detector({"attention": kind, "attention_at": "c4"})
    block = next(one for one in made.modules() if isinstance(one, NonLocal))
    assert isinstance(block.bn, nn.BatchNorm2d)


@pytest.mark.parametrize(
    ("values", "terms"),
    [
        ({"class_loss": "focal", "boxes": "dirac"}, {"classification", "boxes", "centerness"}),
        ({"class_loss": "focal", "boxes": "dfl"}, {"classification", "boxes", "centerness", "distribution"}),
        ({"class_loss": "qfl", "boxes": "dirac"}, {"classification", "boxes"}),
        ({"class_loss": "qfl", "boxes": "dfl", "dfl_bins": 9}, {"classification", "boxes", "distribution"}),
    ],
    ids=lambda one: "-".join(map(str, one.values())) if isinstance(one, dict) else "",
)
def test_the_recipe_says_what_is_learnt_by(values: dict[str, Any], terms: set[str]) -> None:
    made, (images, targets) = detector(values), scenes(2, 96)
    assert loss_terms(made, images, targets, **values).keys() == terms
    empty = torch.stack([*loss_terms(made, images, NOTHING, **values).values()]).sum()
    empty.backward()
    assert torch.isfinite(empty)


def test_the_recipe_weights_its_losses() -> None:
    made, (images, targets) = detector({}), scenes(2, 96)
    ours, theirs = (loss_terms(made, images, targets, **one) for one in ({}, {"dfl_weight": 0.5, "qfl_beta": 1.0}))
    torch.testing.assert_close(theirs["distribution"], 2 * ours["distribution"])
    assert theirs["classification"] > ours["classification"]


def test_sample_weighting_starts_at_one_and_stays_apart() -> None:
    values = networks.complete({"network": "detector-small", "sample_weighting": "swn"})
    made, plain, net = detector(values), detector({}), sample_weighting.net_of(values)
    assert net is not None
    assert sample_weighting.net_of({**values, "sample_weighting": "none"}) is None
    assert made.state_dict().keys() == plain.state_dict().keys()
    images, targets = scenes(2, 96)
    weighted, without = loss_terms(made, images, targets, net), loss_terms(made, images, targets)
    for name, term in without.items():
        torch.testing.assert_close(weighted[name], term, rtol=1e-4, atol=1e-6)
    optimizer = sample_weighting.optimizer(net)
    before = [one.clone() for one in net.parameters()]
    torch.stack([*weighted.values()]).sum().backward()
    optimizer.step()
    assert any(not torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))
    assert all(one.grad is not None for one in made.head.parameters())


@BOTH
def test_frozen_stages_are_not_trained(backbone: dict[str, Any]) -> None:
    made = detector({**backbone, "neck": "rfp"}).train()
    for module in frozen(made, 2):
        module.eval()
    images, targets = scenes(2, 96)
    torch.stack([*loss_terms(made, images, targets).values()]).sum().backward()
    for network in made.neck.backbones:
        stem, first, second, third, _ = network.parts()  # type: ignore[operator]
        for module in (*stem, *first, *second):
            assert all(weight.grad is None and not weight.requires_grad for weight in module.parameters())
            assert not any(layer.training for layer in module.modules())
        assert any(weight.grad is not None for module in third for weight in module.parameters())
    assert made.head.training


def test_detections_lie_within_what_is_not_padding() -> None:
    made = detector({}).eval()
    nn.init.constant_(made.head.classes.bias, 1.0)  # type: ignore[arg-type]
    outputs = made(torch.randn(2, 3, 96, 96))
    whole, part = made.detections(outputs)[0], made.detections(outputs, [(96, 96), (40, 96)])[1]
    assert len(whole.scores) > 10
    assert whole.boxes.xyxy.max() <= 96
    assert part.boxes.xyxy[:, 3].max() <= 40


def test_images_that_are_too_small_are_refused() -> None:
    with pytest.raises(InvalidInput, match="/resolution: a detector takes images of 65 px or more"):
        detector({"resolution": 64})


def test_it_learns_four_images_by_heart() -> None:
    made, (images, targets) = detector({}, (3, 128, 128)).train(), scenes(4, 128)
    optimizer = torch.optim.AdamW(made.parameters(), 4e-3)
    losses = []
    for _ in range(100):
        loss = torch.stack([*loss_terms(made, images, targets).values()]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.35 * losses[0]
    with torch.no_grad():
        detections = made.detections(made(images))
    for index, detected in enumerate(detections):
        mine = targets.images == index
        boxes, labels = targets.boxes[mine], targets.labels[mine]
        ious = boxes.pairwise_iou(detected.boxes) * (labels[:, None] == detected.labels) * (detected.scores > 0.3)
        assert (ious.amax(1) > 0.6).all()


class TestWeightsOfOthers:
    @BOTH
    def test_those_of_a_classifier_load_into_every_backbone(self, backbone: dict[str, Any], tmp_path: Path) -> None:
        made = detector({**backbone, "neck": "rfp", "sac_c4": "plain"})
        classifier = complete({"network": "fbnetv3-small"})
        other = detector(backbone) if backbone is RESNET else build(classifier, (3, 96, 96), 10)
        source = other.neck.backbones[0] if backbone is RESNET else other  # type: ignore[union-attr, index]
        assert isinstance(source, nn.Module)
        for weight in source.parameters():
            nn.init.normal_(weight)
        weights = {f"module.{name}": one for name, one in source.state_dict().items()}
        torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "weights.pth")
        loaded = made.load(read_weights(tmp_path / "weights.pth"))
        assert loaded.misshapen == ()
        assert {name.split(".")[0] for name in loaded.unused} <= {"head", "classifier"}
        assert all(any(part in name for part in ("switch", "context", "diff", "offset")) for name in loaded.missed)
        state = source.state_dict()
        for network in made.neck.backbones:
            assert all(torch.equal(network.state_dict()[name], state[name]) for name in loaded.matched)

    def test_what_does_not_fit_is_told(self, tmp_path: Path) -> None:
        network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        tensors = {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(4), "2.weight": torch.ones(1)}
        save_file(tensors, tmp_path / "some.safetensors")
        loaded = load_weights(network, read_weights(tmp_path / "some.safetensors"))
        assert loaded.matched == ("0.weight",)
        assert loaded.misshapen == (("0.bias", (4,), (3,)),)
        assert loaded.missed == ("1.weight", "1.bias")
        assert loaded.unused == ("2.weight",)
        assert torch.equal(network[0].weight, tensors["0.weight"])

    @pytest.mark.parametrize(("theirs", "ours"), [(3, 1), (1, 3)])
    def test_of_a_grey_picture_a_network_of_other_channels_says_the_same(self, theirs: int, ours: int) -> None:
        source, made = (nn.Sequential(nn.Conv2d(one, 4, 3)) for one in (theirs, ours))
        loaded = load_weights(made, source.state_dict())
        assert loaded.adapted == (("0.weight", (4, theirs, 3, 3), (4, ours, 3, 3)),)
        assert (loaded.misshapen, loaded.share) == ((), 1.0)
        grey = torch.rand(2, 1, 5, 5)
        assert torch.allclose(source(grey.expand(-1, theirs, -1, -1)), made(grey.expand(-1, ours, -1, -1)), atol=1e-6)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [(b"nonsense", "cannot be read as weights"), ([1, 2], "holds a list"), ({"x": torch.ones(1)}, "none of the 1")],
        ids=["bytes", "list", "others"],
    )
    def test_a_file_without_fitting_weights_is_refused(self, tmp_path: Path, content: Any, reason: str) -> None:
        path = tmp_path / "weights.pth"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        with pytest.raises(InvalidInput, match=reason):
            load_weights(nn.Linear(2, 2), read_weights(path))

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="cannot be read as weights"):
            read_weights(tmp_path / "none.pth")

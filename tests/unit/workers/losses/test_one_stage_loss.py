"""The whole loss of the head against its formula anchor by anchor; batches without objects; learning an image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from tests.support.tensors import assert_same
from workers.losses.atss import Targets, assign
from workers.losses.one_stage import OneStageLoss
from workers.losses.sample_weighting import SampleWeightingNet, Weighting
from workers.models.anchors import Anchors
from workers.models.boxes import Boxes
from workers.models.heads.detections import detections
from workers.models.heads.one_stage import HeadDesign, HeadOutputs, OneStageHead

NOTHING = (Boxes(torch.zeros(0, 4, dtype=torch.float64)), torch.zeros(0, dtype=torch.long))


def total(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


def written_out(outputs: HeadOutputs, anchors: Anchors, targets: Targets, bins: int) -> dict[str, Tensor]:
    """Compute section 3 of the paper with the weights of its code, anchor by anchor."""
    owners = assign(anchors, targets, len(outputs.classes))
    count, weights, parts = 0, [], {"classification": [], "boxes": [], "distribution": [], "centerness": []}
    for image, row in enumerate(owners.tolist()):
        count += max(1, sum(one >= 0 for one in row))
        for index, owner in enumerate(row):
            logits = outputs.classes[image, index]
            wanted = torch.zeros_like(logits)
            if owner < 0:
                parts["classification"].append(classification(logits, wanted, outputs.centerness is None))
                continue
            stride, (x, y) = anchors.strides[index], anchors.centers[index]
            raw = outputs.boxes[image, index].reshape(4, -1)
            sides = (raw.softmax(1) * torch.arange(bins)).sum(1) if bins else raw[:, 0].exp()
            low, high = torch.stack((x, y)) / stride - sides[:2], torch.stack((x, y)) / stride + sides[2:]
            box, true = torch.cat((low, high))[None], targets.boxes.xyxy[owner][None] / stride
            x0, y0, x1, y1 = targets.boxes.xyxy[owner]
            distances = torch.stack((x - x0, y - y0, x1 - x, y1 - y)) / stride
            if outputs.centerness is None:
                quality = Boxes(box).iou(Boxes(true))[0].detach()
                weights.append(logits.sigmoid().max().detach())
            else:
                left, top, right, bottom = distances
                ratios = min(left, right) / max(left, right) * min(top, bottom) / max(top, bottom)
                quality, center = torch.tensor(1.0, dtype=torch.float64), ratios.sqrt()
                weights.append(center)
                logit = outputs.centerness[image, index]
                parts["centerness"].append(F.binary_cross_entropy_with_logits(logit, center))
            wanted[targets.labels[owner]] = quality
            parts["classification"].append(classification(logits, wanted, outputs.centerness is None))
            parts["boxes"].append(weights[-1] * generalized_box_iou_loss(box, true)[0])
            if bins:
                capped = distances.clamp(0, bins - 1.1)
                left_bin = capped.long()
                to_left = F.cross_entropy(raw, left_bin, reduction="none") * (left_bin + 1 - capped)
                to_right = F.cross_entropy(raw, left_bin + 1, reduction="none") * (capped - left_bin)
                parts["distribution"].append(weights[-1] * (to_left + to_right).mean())
    divisor = max(1.0, float(sum(weights)))
    scales = {
        "classification": 1 / count,
        "boxes": 2 / divisor,
        "distribution": 0.25 / divisor,
        "centerness": 1 / count,
    }
    return {name: scales[name] * torch.stack(ones).sum() for name, ones in parts.items() if ones}


def classification(logits: Tensor, wanted: Tensor, quality: bool) -> Tensor:
    if not quality:
        return sigmoid_focal_loss(logits, wanted).sum()
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return ((wanted - logits.sigmoid()) ** 2 * entropy).sum()


FORMS = [(17, False), (8, False), (0, False), (17, True), (0, True)]


@pytest.mark.parametrize(("bins", "centerness"), FORMS)
def test_values_and_gradients_are_those_of_the_formula(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets, bins: int, centerness: bool
) -> None:
    outputs = make_outputs(bins, centerness)
    terms, wanted = OneStageLoss(bins)(outputs, anchors, targets), written_out(outputs, anchors, targets, bins)
    assert terms.keys() == wanted.keys()
    inputs = [one for one in outputs if one is not None]
    for name in terms:
        assert_near(terms[name], wanted[name])
    for mine, theirs in zip(
        torch.autograd.grad(total(terms), inputs), torch.autograd.grad(total(wanted), inputs), strict=True
    ):
        assert_near(mine, theirs)


def test_weights_that_sum_to_less_than_1_are_not_scaled_up(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets
) -> None:
    unsure = make_outputs()
    unsure = unsure._replace(classes=unsure.classes - 9)
    terms, wanted = OneStageLoss(17)(unsure, anchors, targets), written_out(unsure, anchors, targets, 17)
    assert_near(terms["boxes"], wanted["boxes"])
    assert_near(terms["distribution"], wanted["distribution"])


def assert_near(computed: Tensor, wanted: Tensor) -> None:
    """Assert equality to 1e-6: torchvision's GIoU adds 1e-7 to the denominators that ours keeps above 1e-6."""
    torch.testing.assert_close(computed, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("bins", "centerness"), FORMS)
@pytest.mark.parametrize("weighted", [True, False])
def test_a_batch_without_objects_has_finite_losses_and_gradients(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, bins: int, centerness: bool, weighted: bool
) -> None:
    outputs = make_outputs(bins, centerness)
    net = SampleWeightingNet(box_terms=1).double() if weighted else None
    terms = OneStageLoss(bins, weighting_net=net)(outputs, anchors, Targets.of([NOTHING] * 3))
    total(terms).backward()
    assert terms["classification"] > 0
    assert all(one == 0 for name, one in terms.items() if name not in ("classification", "regularizer"))
    assert all(one.grad is not None and one.grad.isfinite().all() for one in outputs if one is not None)


@pytest.mark.parametrize("centerness", [True, False])
def test_sample_weighting_changes_nothing_at_the_start(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets, centerness: bool
) -> None:
    outputs = make_outputs(17, centerness)
    plain = OneStageLoss(17)(outputs, anchors, targets)
    weighted = OneStageLoss(17, weighting_net=SampleWeightingNet(box_terms=1).double())(outputs, anchors, targets)
    assert abs(weighted.pop("regularizer").item()) < 1e-9
    assert weighted.keys() == plain.keys()
    for name in plain:
        assert_same(weighted[name], plain[name])


def test_sample_weighting_scales_the_terms_by_its_weights(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets
) -> None:
    """A network that outputs (0.3, -0.7) for every sample."""
    net = SampleWeightingNet(box_terms=1).double()
    net.predictor[2].bias.data = torch.tensor([0.3, -0.7], dtype=torch.float64)
    outputs = make_outputs()
    plain = OneStageLoss(17)(outputs, anchors, targets)
    weighted = OneStageLoss(17, weighting_net=net, weighting=Weighting(boxes=0.2))(outputs, anchors, targets)
    s = torch.tensor([0.3, -0.7], dtype=torch.float64)
    assert_same(weighted["classification"], plain["classification"] * torch.exp(-s[0]))
    assert_same(weighted["boxes"], plain["boxes"] * torch.exp(-s[1]))
    assert_same(weighted["distribution"], plain["distribution"] * torch.exp(-s[1]))
    assert_same(weighted["regularizer"], 0.5 * s[0] + 0.2 * s[1])


def test_half_precision_is_summed_in_float32(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets
) -> None:
    exact = make_outputs()
    half = HeadOutputs(exact.classes.bfloat16(), exact.boxes.bfloat16(), None)
    single = Anchors.of([(12, 16), (6, 8), (3, 4)], (8, 16, 32), half.classes)
    objects = Targets(Boxes(targets.boxes.xyxy.float()), targets.labels, targets.images)
    terms = OneStageLoss(17)(half, single, objects)
    assert all(one.dtype == torch.float32 for one in terms.values())
    assert total(terms).item() == pytest.approx(total(OneStageLoss(17)(exact, anchors, targets)).item(), rel=0.01)


def test_outputs_that_are_not_numbers_give_a_loss_that_is_none(
    make_outputs: Callable[..., HeadOutputs], anchors: Anchors, targets: Targets
) -> None:
    outputs = make_outputs()
    broken = outputs._replace(boxes=outputs.boxes * float("nan"))
    assert total(OneStageLoss(17)(broken, anchors, targets)).isnan()


@pytest.mark.parametrize(("bins", "centerness"), [(9, False), (0, False), (0, True), (9, True)])
def test_a_head_learns_the_objects_of_an_image(bins: int, centerness: bool) -> None:
    torch.manual_seed(0)
    design = HeadDesign(3, inputs=8, width=32, depth=1, groups=4, strides=(8, 16, 32), bins=bins, centerness=centerness)
    head, loss = OneStageHead(design), OneStageLoss(bins)
    maps = [torch.randn(1, 8, side, side) for side in (8, 4, 2)]
    boxes, labels = Boxes(torch.tensor([[6.0, 9.0, 33.0, 41.0], [30.0, 20.0, 61.0, 58.0]])), torch.tensor([2, 0])
    anchors, targets = head.anchors(maps), Targets.of([(boxes, labels)])
    adam = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(100):
        adam.zero_grad()
        total(loss(head(maps), anchors, targets)).backward()
        adam.step()
    (detected,) = detections(head(maps), anchors, bins, [(64, 64)])
    for box, label in zip(boxes.xyxy, labels, strict=True):
        of_class = (detected.labels == label).nonzero().flatten()
        assert detected.boxes[of_class[:1]].iou(Boxes(box[None])).item() > 0.8

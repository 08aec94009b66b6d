"""Toys of the library: an algorithm, a stopping rule, a space, a neck."""

from __future__ import annotations

from tests.architecture.toys.toy import Toy, after

ALGORITHM = Toy(
    "an algorithm",
    {
        "searchsvc/algorithms/toy.py": '''\
"""Toy: random draws that prefer one end of every range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from searchsvc.algorithms.base import BLOCK, Problem, Stream, generator
from searchsvc.algorithms.options import MethodOptions


class ToyAlgorithmOptions(MethodOptions):
    """Options of the toy."""

    example: ClassVar[Mapping[str, Any]] = {"power": 1.5}

    power: Annotated[float, Field(gt=0, le=10, description="Exponent of the uniform draws.")] = 2.0


def toy(problem: Problem, options: ToyAlgorithmOptions) -> Stream:
    """Create a stream whose candidates lie near the low ends of their ranges."""
    width = len(problem.space)
    return Stream(problem, lambda block: generator(problem.seed, block).random((BLOCK, width)) ** options.power)
'''
    },
    {
        "searchsvc/algorithms/table.py": [
            after(
                "from searchsvc.algorithms.sobol import SobolOptions, sobol\n",
                "from searchsvc.algorithms.toy import ToyAlgorithmOptions, toy\n",
            ),
            after(
                "_ENTRIES = (\n", '    AlgorithmEntry("toy", "Draws near the low ends.", toy, ToyAlgorithmOptions),\n'
            ),
        ],
        "docs/algorithms.md": [
            after(
                "# Algorithms and stopping rules\n",
                "\n## toy\n\n| option | meaning | default |\n|---|---|---|\n| `power` | exponent | 2 |\n",
            )
        ],
    },
)

STOPPING_RULE = Toy(
    "a stopping rule",
    {
        "searchsvc/algorithms/stopping/toy.py": '''\
"""The stopping rule `toy-rule`: ends trials that are far below the best trial of the same epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from searchsvc.algorithms.options import MethodOptions
from searchsvc.algorithms.stopping.rule import StoppingRule
from searchsvc.domain.metrics import Objective
from searchsvc.domain.spec import Fidelity


class ToyRuleOptions(MethodOptions):
    """Options of the toy."""

    margin: Annotated[float, Field(gt=0, le=1, description="Distance from the best.")] = 0.3


class ToyRule(StoppingRule):
    """Compares the first objective."""

    def __init__(self, objectives: Sequence[Objective], fidelity: Fidelity, options: ToyRuleOptions) -> None:
        super().__init__(objectives, fidelity)
        self._best: dict[int, float] = {}
        self._margin = options.margin

    def _stops(self, trial: int, step: int, values: tuple[float, ...]) -> bool:
        best = self._best.get(step, values[0])
        self._best[step] = max(best, values[0])
        return step < self._epochs and values[0] < best - self._margin
''',
        "tests/unit/searchsvc/algorithms/stopping/test_toy.py": '''\
"""The stopping rule `toy-rule`."""

from searchsvc.algorithms.stopping.table import create_stopping_rule
from searchsvc.domain import Decision, Fidelity, Measurement, Objective


def test_a_trial_far_below_the_best_ends() -> None:
    rule = create_stopping_rule("toy-rule", objectives=[Objective(metric="accuracy")], fidelity=Fidelity(epochs=2))
    reports = [Measurement(1, {"accuracy": accuracy}, 1.0) for accuracy in (0.9, 0.1)]
    assert [rule.report(*report) for report in enumerate(reports)] == [Decision.CONTINUE, Decision.STOP]
''',
    },
    {
        "searchsvc/algorithms/stopping/table.py": [
            after(
                "from searchsvc.algorithms.stopping.rule import StoppingRule\n",
                "from searchsvc.algorithms.stopping.toy import ToyRule, ToyRuleOptions\n",
            ),
            after(
                "_ENTRIES = (\n",
                '    StoppingRuleEntry("toy-rule", "Ends trials far below the best.", ToyRule, ToyRuleOptions),\n',
            ),
        ],
        "docs/algorithms.md": [
            after(
                "## Stopping rules\n",
                "\n### toy-rule\n\n| option | meaning | default |\n|---|---|---|\n| `margin` | distance | 0.3 |\n",
            )
        ],
    },
)

SPACE = Toy(
    "a space",
    {
        "searchsvc/spaces/toy.py": '''\
"""The space `toy`: one small network, and its learning rate."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from searchsvc.domain.parameters import Float, Integer, Scalar
from searchsvc.spaces.space import Space

CONSTANTS: Mapping[str, Scalar] = MappingProxyType({"stem_width": 8, "width_1": 8, "width_2": 16, "width_3": 32})


def toy_space() -> Space:
    """Return the shipped space."""
    return Space([Integer("depth_2", 1, 2), Float("lr", 0.01, 0.1, log=True)])
''',
        "tests/unit/searchsvc/spaces/test_toy.py": '''\
"""The space `toy`."""

from searchsvc.domain import DatasetInfo
from searchsvc.spaces import catalogue, cost_model_for


def test_the_costs_of_the_toy_are_counted() -> None:
    shipped = catalogue.find("toy")
    info = DatasetInfo("digits", tuple("0123456789"), (1, 8, 8), {})
    assert cost_model_for("classification", shipped.space, info, shipped.constants).metrics == ("flops", "params")
''',
    },
    {
        "searchsvc/spaces/catalogue.py": [
            after(
                "from searchsvc.spaces.space import Space\n", "from searchsvc.spaces.toy import CONSTANTS, toy_space\n"
            ),
            (
                '            ShippedSpace(\n                "mbconv-small",\n',
                '            ShippedSpace("toy", "two parameters", "classification", toy_space(), CONSTANTS),\n'
                '            ShippedSpace(\n                "mbconv-small",\n',
            ),
        ],
        "docs/spaces.md": [after("# Spaces\n", "\n## toy\n\n`depth_2` and `lr`.\n")],
    },
)

NECK = Toy(
    "a neck of detectors",
    {
        "searchsvc/spaces/detector/necks/toy.py": '''\
"""The neck `toy`: a feature pyramid, then `toy_steps` convolutions that all levels share."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from searchsvc.spaces.costs.gathers import Array, CostPart, Values
from searchsvc.spaces.costs.stages import CONVOLUTION, Stage
from searchsvc.spaces.detector import blocks
from searchsvc.spaces.detector.backbones.base import BackboneKind
from searchsvc.spaces.detector.blocks import Cost
from searchsvc.spaces.detector.genes import SMALL, Gene, whole
from searchsvc.spaces.detector.maps import STRIDES, Shape, levels_and_pixels
from searchsvc.spaces.detector.necks.base import NeckKind, Term
from searchsvc.spaces.detector.necks.fpn import FPNKind, pyramid_parts
from searchsvc.spaces.detector.stage_factory import StageFactory
from searchsvc.spaces.resolution import RESOLUTION


class ToyKind(NeckKind):
    """An FPN with further convolutions."""

    name = "toy"
    searched_in = (SMALL,)
    genes = (Gene.of("toy_steps", whole(1, 3), full=(1, None), small=(1, whole(1, 2))),)

    def terms(self, backbone: BackboneKind, shape: Shape) -> list[Term]:
        return [Term(pyramid_parts(backbone, shape)), Term([_shared_part(shape)], _times)]

    def stages(self, factory: StageFactory, backbone: BackboneKind) -> Iterator[Stage]:
        yield from FPNKind().stages(factory, backbone)
        width, shared = int(factory.values["neck_channels"]), [_shared_part(factory.image)]
        yield factory.stage(
            "neck", CONVOLUTION, shared, _times(factory.codes), channels=width, stride=STRIDES[-1], kernel=3
        )


def _times(values: Values) -> Cost:
    return Cost(values["toy_steps"], values["toy_steps"])


def _shared_part(shape: Shape) -> CostPart:
    return CostPart(("neck_channels", "finest", "coarser", RESOLUTION), partial(_shared_costs, shape))


def _shared_costs(shape: Shape, values: Values) -> Array:
    c, (_, px) = values["neck_channels"], levels_and_pixels(shape, values)
    return blocks.convolution(c, c, 3, px).packed
''',
        "workers/models/necks/toy.py": '''\
"""The neck `toy`: a feature pyramid, then convolutions that all levels share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from workers.models.blocks.base import Backbone, Neck
from workers.models.necks.fpn import FeaturePyramid, fpn_of


class ToyNeck(FeaturePyramid):
    """An FPN with further convolutions."""

    def __init__(self, backbone: Backbone, values: Mapping[str, Any]) -> None:
        super().__init__(backbone, fpn_of(values, backbone.outputs))
        c = values["neck_channels"]
        self.shared = nn.Sequential(*(nn.Conv2d(c, c, 3, padding=1) for _ in range(values["toy_steps"])))

    def forward(self, images: Tensor) -> list[Tensor]:
        return [self.shared(level) for level in super().forward(images)]  # (n, c, h_i, w_i) each


def build(values: Mapping[str, Any], backbone_of: Callable[[int], Backbone]) -> Neck:
    """Build the neck that complete values describe."""
    return ToyNeck(backbone_of(0), values)
''',
        "tests/unit/workers/models/necks/test_toy.py": '''\
"""The neck `toy`."""

import torch

from tests.support.detectors import detector


def test_a_detector_with_it_gives_a_row_per_anchor() -> None:
    outputs = detector({"neck": "toy", "toy_steps": 2}).eval()(torch.zeros(1, 3, 96, 96))
    assert outputs.classes.shape[0] == 1
''',
    },
    {
        "searchsvc/spaces/detector/necks/table.py": [
            after(
                "from searchsvc.spaces.detector.necks.rfp import RFPKind\n",
                "from searchsvc.spaces.detector.necks.toy import ToyKind\n",
            ),
            ("RFPKind())", "RFPKind(), ToyKind())"),
        ],
        "docs/spaces.md": [after("## detector-small\n", "\nThe neck `toy` has the gene `toy_steps`.\n")],
    },
)

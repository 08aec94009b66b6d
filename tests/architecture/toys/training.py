"""Toys of training: a loss, a metric, a dataset format, a task."""

from __future__ import annotations

from tests.architecture.toys.toy import Toy, after

LOSS = Toy(
    "a loss of classifiers",
    {
        "workers/losses/toy.py": '''\
"""The loss `toy`: twice the cross-entropy."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy


def toy_loss(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Return the loss, (), of logits (n, K) and targets (n,) or (n, K)."""
    return 2 * cross_entropy(logits, targets, label_smoothing=smoothing)
''',
        "tests/unit/workers/losses/test_toy.py": '''\
"""The loss `toy`."""

import torch

from workers.training.classification.class_loss import class_loss


def test_it_is_twice_the_cross_entropy() -> None:
    logits, labels = torch.zeros(3, 4), torch.arange(3)
    assert class_loss("toy", logits, labels, 0.0) == 2 * class_loss("softmax", logits, labels, 0.0)
''',
    },
    {
        "workers/training/classification/class_loss.py": [
            after(
                "from torch.nn import functional as F  # noqa: N812 - the field's name for it\n",
                "\nfrom workers.losses.toy import toy_loss\n",
            ),
            ('{"softmax": softmax_loss, ', '{"softmax": softmax_loss, "toy": toy_loss, '),
        ],
        "searchsvc/spaces/recipe.py": [
            (
                'ClassifierLoss("softmax", ',
                'ClassifierLoss("toy", "twice as strict"),\n            ClassifierLoss("softmax", ',
            )
        ],
        "docs/training.md": [after("## Recipe\n", "\nThe loss `toy` is twice `softmax`.\n")],
    },
)

METRIC = Toy(
    "a metric",
    {
        "tests/unit/workers/evaluation/test_toy.py": '''\
"""The metric `toy_error`."""

import torch

from workers.evaluation.classification import evaluate


def test_it_is_the_share_of_wrong_answers() -> None:
    metrics = dict(evaluate([(torch.eye(4), torch.tensor([0, 1, 2, 0]))]))
    assert (metrics["accuracy"], metrics["toy_error"]) == (0.75, 0.25)
''',
    },
    {
        "workers/evaluation/classification.py": [
            after("    yield ACCURACY.name, float(right) / count\n", "    yield TOY.name, 1 - float(right) / count\n"),
            (
                "METRICS = (ACCURACY, LOSS)\n",
                'TOY = Metric("toy_error", "minimize", "share", "share of wrong answers")\n'
                "METRICS = (ACCURACY, LOSS, TOY)\n",
            ),
        ],
        "docs/datasets.md": [after("## classification\n", "\n`toy_error` is the share of wrong answers.\n")],
    },
)

DATASET_FORMAT = Toy(
    "a dataset format",
    {
        "workers/data/classification/toy.py": '''\
"""`toy`: one array of numpy, (n, h, w) of uint8, in which dark and light images take turns."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Literal

import numpy as np

from workers.data.dataset import RawDataset, Split
from workers.data.options import DatasetFormat, SplitOptions, existing, stamps


class ToyOptions(SplitOptions):
    """Options of the format `toy`."""

    format: Literal["toy"]


def _read(options: ToyOptions) -> RawDataset:
    images = np.load(existing(options.path, folder=False))[:, None]  # (n, 1, h, w)
    labels = np.arange(len(images), dtype=np.int64) % 2
    return RawDataset(options.name, ("dark", "light"), Split(images, labels))


def _fingerprint(options: ToyOptions) -> Hashable:
    return stamps([existing(options.path, folder=False)])


TOY = DatasetFormat("one array of numpy", ToyOptions, _read, _fingerprint)
''',
        "tests/unit/workers/data/classification/test_toy.py": '''\
"""The format `toy`."""

from pathlib import Path

import numpy as np

from workers.data import classification as data


def test_every_other_image_is_light(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((40, 8, 8), np.uint8) + np.arange(40, dtype=np.uint8)[:, None, None])
    dataset = data.load({"format": "toy", "path": str(tmp_path / "images.npy")})
    assert dataset.info.shape == (1, 8, 8)
    assert (dataset.train.images[:, 0, 0, 0] % 2 == dataset.train.labels).all()
''',
    },
    {
        "workers/data/classification/__init__.py": [
            after(
                "from workers.data.classification.reassessed import label_file, read_sets\n",
                "from workers.data.classification.toy import TOY\n",
            ),
            ('"npz": NPZ,', '"npz": NPZ, "toy": TOY,'),
        ],
        "docs/datasets.md": [after("### Options of files\n", "\n### toy\n\n`path` names the array.\n")],
    },
)


def task(template: str) -> Toy:
    """Return a task as docs/tasks.md shows it, as a task of this package."""
    return Toy(
        "a task",
        {
            "workers/tasks/toy.py": template.replace('"line", "a line', '"toy", "a line'),
            "tests/unit/workers/tasks/test_toy.py": '''\
"""The task `toy`."""

from searchsvc import tasks


def test_it_is_installed() -> None:
    assert "toy" in tasks.names()
''',
        },
        {
            "pyproject.toml": [
                after('[project.entry-points."searchsvc.tasks"]\n', 'toy = "workers.tasks.toy:TASK"\n'),
            ],
            "docs/datasets.md": [
                after("# Datasets and tasks\n", "\n## toy\n\nMeasures `error`.\n\n### points\n\nPoints of a line.\n")
            ],
        },
    )

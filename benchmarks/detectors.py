"""An epoch of the space `detector-small`: forward and backward pass, assignment, losses and the optimiser's step.

Then a step compared with torchvision's detectors, and its parts (`benchmarks.detector_steps`).

Images and objects are random and in memory: reading and augmentation are not timed.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch
from torch import Tensor

from benchmarks import detector_steps
from benchmarks.report import Row
from searchsvc.domain import Candidate
from searchsvc.spaces import catalogue, networks
from workers.losses import sample_weighting
from workers.losses.atss import Targets
from workers.losses.one_stage import OneStageLoss
from workers.models import build
from workers.models.boxes import Boxes
from workers.models.detector import Detector

SPACE = catalogue.find("detector-small")
MEMBERS, IMAGES, OBJECTS, CLASSES, THREADS = 21, 200, 6, 10, 2
WARM, STEPS = 1, 4
LIMIT_SECONDS = 3.0


def run() -> list[Row]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    members = SPACE.space.from_matrix(SPACE.space.sample(MEMBERS, np.random.default_rng(5)))
    seconds = statistics.median(epoch_seconds(member) for member in members)
    steps = detector_steps.rows()
    torch.set_num_threads(before)
    return [
        Row(
            f"{SPACE.name}, median of {MEMBERS} members: {IMAGES} images",
            f"{seconds:.2f} s",
            f"{LIMIT_SECONDS:g} s",
            seconds / LIMIT_SECONDS,
            f"<= {LIMIT_SECONDS:g} s",
            seconds <= LIMIT_SECONDS,
        ),
        *steps,
    ]


def epoch_seconds(member: Candidate) -> float:
    """Estimate the seconds of an epoch from the fastest of a few steps."""
    torch.manual_seed(0)
    values = networks.complete({**SPACE.constants, **member.values})
    detector = build(values, (3, 160, 160), CLASSES)
    assert isinstance(detector, Detector)
    detector.to(memory_format=torch.channels_last).train()
    loss = OneStageLoss.of(values, sample_weighting.net_of(values))
    optimizer = torch.optim.AdamW(detector.parameters(), 1e-3, fused=True)
    batch = int(values["batch_size"])
    images = torch.randn(batch, 3, *detector.size).contiguous(memory_format=torch.channels_last)
    targets = Targets.of([_objects(detector.size[0]) for _ in range(batch)])
    times = []
    for _ in range(WARM + STEPS):
        started = time.perf_counter()
        outputs = detector(images)
        torch.stack([*loss(outputs, detector.anchors(outputs.classes), targets).values()]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - started)
    return min(times[WARM:]) * IMAGES / batch


def _objects(side: int) -> tuple[Boxes, Tensor]:
    corners, sizes = torch.rand(OBJECTS, 2) * side / 2, 16 + torch.rand(OBJECTS, 2) * side / 4
    return Boxes(torch.cat((corners, corners + sizes), 1)), torch.randint(CLASSES, (OBJECTS,))

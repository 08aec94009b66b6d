"""Random numbers of a trial. All follow from (seed, epoch), so that a resumed trial draws the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

INITIAL = 0
"""Epoch of the random numbers for the initial weights; training epochs count from 1."""


def generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the generator of draws on the host: the order of the images, mixup's lambda, shifts and flips."""
    return np.random.default_rng([seed, epoch])


def passes(random: np.random.Generator, images: int, draws: int) -> NDArray[np.intp]:
    """Return repeated random orders of the images, (draws,): entry v is image v % images, in pass v // images."""
    rounds = range(-(-draws // images))
    return np.concatenate([random.permutation(images) + images * number for number in rounds])[:draws]


def image_generator(seed: int, epoch: int, draw: int) -> np.random.Generator:
    """Return the generator for an image in one of the `passes`, independent of its process and batch."""
    return np.random.default_rng([seed, epoch, 2, draw])


def of_pseudo_labelled(seed: int) -> int:
    """Return the seed of the pseudo-labelled images of a trial, which take no draw from its labelled images."""
    return _whole(np.random.SeedSequence([seed, 3]))


@contextmanager
def torch_seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators (initial weights, dropout) by (seed, epoch), and restore them afterwards."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_whole(np.random.SeedSequence([seed, epoch, 1])))
        yield


def _whole(sequence: np.random.SeedSequence) -> int:
    """Return a whole number from 0 to 2**63 - 1."""
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

"""Random numbers of a trial: all follow from (seed, epoch), so that a resumed trial draws what it would have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

INITIAL = 0
"""The epoch whose numbers make the first weights; training epochs count from 1."""


def generator(seed: int, epoch: int) -> np.random.Generator:
    """Draws on the host: the order of the images, mixup's lambda, shifts and flips."""
    return np.random.default_rng([seed, epoch])


def passes(random: np.random.Generator, images: int, draws: int) -> NDArray[np.intp]:
    """(draws,) a random order of the images, again and again: entry v is image v % images, in pass v // images."""
    rounds = range(-(-draws // images))
    return np.concatenate([random.permutation(images) + images * one for one in rounds])[:draws]


def image_generator(seed: int, epoch: int, draw: int) -> np.random.Generator:
    """Draws for one image in one of the `passes`, whichever process makes them and whatever batch the image is in."""
    return np.random.default_rng([seed, epoch, 2, draw])


def of_pseudo_labelled(seed: int) -> int:
    """Return the seed of the pseudo-labelled images of a trial, which take no draw from its labelled ones."""
    return _whole(np.random.SeedSequence([seed, 3]))


@contextmanager
def torch_seeded(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Within: torch's global generators (initial weights, dropout) start from (seed, epoch). After: as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(_whole(np.random.SeedSequence([seed, epoch, 1])))
        yield


def _whole(sequence: np.random.SeedSequence) -> int:
    """From 0 to 2**63 - 1."""
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

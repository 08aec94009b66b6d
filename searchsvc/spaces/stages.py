"""Stages: what a network is made of, from the image on, with what each costs.

The cost models of the spaces sum the same pieces: FLOPs and parameters of all stages are those of the network.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

CONVOLUTION = "convolution"
INVERTED_RESIDUAL = "inverted residual"
CLASSIFIER = "classifier"


@dataclass(frozen=True, slots=True)
class Stage:
    """Equal blocks, one after another; `name` is that of the stage they belong to."""

    name: str
    block: str
    _: KW_ONLY
    channels: int
    """Of the output."""
    height: int
    width: int
    """Of the output, in pixels."""
    flops: float
    """Multiply-adds of all blocks together, for one image."""
    params: float
    count: int = 1
    kernel: int | None = None
    stride: int = 1
    expansion: float | None = None
    squeezes: bool = False
    """Whether they have squeeze-and-excitation."""
    note: str = ""
    """What else there is to say, on a line."""

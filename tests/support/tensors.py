"""Comparison of tensors in float64, in which equivalent formulas agree to the last digits."""

from __future__ import annotations

import torch
from torch import Tensor

TOLERANCE = 1e-9
REFERENCE_EPSILON = float(torch.finfo(torch.float32).eps)  # what mmdet adds to every number that it divides by


def assert_same(computed: Tensor, wanted: Tensor) -> None:
    """Assert equal shape and type, and values equal to 1e-9, absolute or relative."""
    torch.testing.assert_close(computed, wanted, rtol=TOLERANCE, atol=TOLERANCE)

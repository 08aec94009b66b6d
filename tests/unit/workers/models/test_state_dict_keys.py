"""Weights that earlier versions stored load: the names, the order and the shapes of a detector's tensors."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.detectors import detector

RECORDED = [
    ({}, 125, "570c04c2b5571b62"),
    ({"neck": "rfp"}, 243, "5f91999b7740013c"),
    ({"neck": "rfp", "rfp_steps": 3, "rfp_shared": True, "sac_c4": "plain"}, 150, "3a46b94806dec0a4"),
    (
        {"neck": "rfp", "rfp_steps": 3, "attention": "non_local", "attention_at": "c5", "finest": 4},
        391,
        "79b1e390ab2c4510",
    ),
    (
        {"sac_c3": "plain", "sac_c5": "deform", "attention": "dnl", "standardised": True, "coarser": 2},
        195,
        "454fac8d660ce5cb",
    ),
    ({"class_loss": "focal", "boxes": "dirac"}, 127, "620fcd5c0a49cf3d"),
    ({"backbone": "fbnetv3-small"}, 267, "a2495245a2b4cb26"),
    ({"backbone": "fbnetv3-small", "neck": "rfp", "attention": "dnl"}, 555, "483cc0f0c1b20aea"),
    ({"backbone": "fbnetv3", "neck": "rfp", "rfp_shared": True, "sac_c3": "plain"}, 301, "c955ed7c72271bf0"),
]
"""Values that differ from `detector-small`'s defaults, number of tensors, digest of their names and shapes in order."""


@pytest.mark.parametrize(("values", "count", "digest"), RECORDED, ids=lambda value: str(value)[:60])
def test_tensors_keep_their_names_order_and_shapes(values: dict[str, Any], count: int, digest: str) -> None:
    tensors = [(name, tuple(tensor.shape)) for name, tensor in detector(values).state_dict().items()]
    assert (len(tensors), hashlib.sha256(repr(tensors).encode()).hexdigest()[:16]) == (count, digest)

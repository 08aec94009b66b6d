"""The operations per image and their largest strengths, for classifiers and detectors (arXiv 1909.13719)."""

from __future__ import annotations

import numpy as np

LAYERS = 2
"""Operations per image."""
SHEAR, TRANSLATION, RADIANS, ENHANCEMENT, BITS = 0.3, 150.0 / 331.0, np.pi / 6, 0.9, 4
"""At the largest magnitude: px per px, share of the side, angle, distance of a factor from 1, bits that are dropped."""

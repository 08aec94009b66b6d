"""RandAugment (arXiv 1909.13719) of a whole batch on the device: no image passes through Python.

Each image gets LAYERS operations, drawn uniformly from OPERATIONS. All have the same magnitude; signed operations have
a random sign. Operations and ranges are torchvision's. Operations that move pixels become an affine map per image,
sampled together; operations that map each value by itself become a table per image, looked up together; two others
mix an image with a grey or a blurred image.

| symbol | meaning | shape |
|---|---|---|
| x | images, uint8 from black (0) to white (255) | (n, c, h, w) |
| s | strength: magnitude as a share of LARGEST_MAGNITUDE; from -1 to 1 if the operation is signed | (n,) |
| A | affine map from a pixel of the result to a pixel of x, in px from the middle of the image | (n, 2, 3) |
| T | the new value of every value | (n, c or 1, 256) |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the field's name for it

from workers.training.magnitudes import BITS, ENHANCEMENT, LAYERS, RADIANS, SHEAR, TRANSLATION

LARGEST_MAGNITUDE = 10.0
_GREY = (0.2989, 0.587, 0.114)
_BYTE = 255.0

Numbers = NDArray[np.float64]


def randaugment(images: Tensor, magnitude: float, random: np.random.Generator) -> Tensor:
    """Augment images (n, c, h, w) uint8; operations are drawn on the host. `magnitude`: 0 to 10."""
    n = len(images)
    for _ in range(LAYERS):
        chosen = random.integers(len(OPERATIONS), size=n)
        signs = np.where(random.random(n) < 0.5, -1.0, 1.0)
        images = augmented(images, chosen, signs * magnitude / LARGEST_MAGNITUDE)
    return images


def augmented(images: Tensor, chosen: NDArray[np.int64], strengths: Numbers) -> Tensor:
    """Apply OPERATIONS[chosen[i]] to image i.

    Images are sorted by operation, so that each operation has a contiguous slice.
    """
    order = np.argsort(chosen, kind="stable")
    forth, inverse = torch.from_numpy(np.stack([order, np.argsort(order)])).to(images.device)  # (n,), (n,)
    images, chosen, strengths = images[forth], chosen[order], strengths[order]
    ends = np.searchsorted(chosen, np.arange(len(OPERATIONS) + 1)).tolist()
    rows = {name: slice(ends[k], ends[k + 1]) for k, name in enumerate(OPERATIONS) if ends[k] < ends[k + 1]}
    on_device = torch.from_numpy(strengths.astype(np.float32)).to(images.device)[:, None, None]  # (n, 1, 1)
    parts = [images[rows[name]] for name in UNCHANGED if name in rows]
    if warped := [name for name in AFFINE if name in rows]:
        some = slice(rows[warped[0]].start, rows[warped[-1]].stop)
        first = len(UNCHANGED)
        parts.append(sampled(images[some], affine_maps(chosen[some] - first, strengths[some], images.shape[2:])))
    if pointwise := [name for name in TABLES if name in rows]:
        tables = [TABLES[name](images[rows[name]], on_device[rows[name]]) for name in pointwise]
        parts.append(_looked_up(images[rows[pointwise[0]].start : rows[pointwise[-1]].stop], tables))
    parts += [MIXES[name](images[rows[name]], on_device[rows[name]]) for name in MIXES if name in rows]
    return torch.cat(parts)[inverse]


# ---- pixels that move ------------------------------------------------------------------------------------------------


def affine_maps(which: NDArray[np.int64], strengths: Numbers, size: tuple[int, ...]) -> Numbers:
    """Return A of image i for AFFINE[which[i]]; shears keep the upper left corner, translations are in whole px."""
    height, width = size
    own = np.zeros((len(AFFINE), len(which)))  # (5, n)
    own[which, np.arange(len(which))] = strengths  # all but one of an image's five strengths are 0
    shear_x, shear_y = SHEAR * own[0], SHEAR * own[1]
    right, down = np.trunc(TRANSLATION * width * own[2]), np.trunc(TRANSLATION * height * own[3])
    sine, cosine = np.sin(RADIANS * own[4]), np.cos(RADIANS * own[4])
    across = np.stack([cosine, shear_x - sine, 0.5 * height * shear_x - right], 1)
    along = np.stack([shear_y + sine, cosine, 0.5 * width * shear_y - down], 1)
    return np.stack([across, along], 1)  # (n, 2, 3)


def sampled(images: Tensor, maps: Numbers) -> Tensor:
    """Return bilinear samples of each image at the pixels of its map; black beyond its edges."""
    n, _, height, width = images.shape
    halves = 0.5 * np.array([[width], [height]])
    theta = torch.from_numpy((maps / halves).astype(np.float32)).to(images.device)  # (n, 2, 3), to -1 ... 1
    columns = torch.arange(width, device=images.device, dtype=torch.float32) - 0.5 * (width - 1)
    lines = torch.arange(height, device=images.device, dtype=torch.float32) - 0.5 * (height - 1)
    pixels = torch.ones(height, width, 3, device=images.device)  # (x, y, 1)
    pixels[..., 0], pixels[..., 1] = columns, lines[:, None]
    grid = (pixels.view(1, -1, 3) @ theta.mT).view(n, height, width, 2)
    sampled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.round_().to(torch.uint8)


# ---- values that change, each by itself ------------------------------------------------------------------------------


def _levels(images: Tensor) -> Tensor:
    return torch.arange(256, device=images.device, dtype=torch.float32)  # (256,)


def _brightness(images: Tensor, strengths: Tensor) -> Tensor:
    return _levels(images) * (1.0 + ENHANCEMENT * strengths)


def _contrast(images: Tensor, strengths: Tensor) -> Tensor:
    """Move values away from, or towards, the mean grey of the image."""
    factor = 1.0 + ENHANCEMENT * strengths
    return _levels(images) * factor + _grey(images).mean((1, 2, 3))[:, None, None] * (1.0 - factor)


def _posterize(images: Tensor, strengths: Tensor) -> Tensor:
    step = torch.exp2((BITS * strengths.abs()).round())
    return (_levels(images) / step).floor() * step


def _solarize(images: Tensor, strengths: Tensor) -> Tensor:
    levels = _levels(images)
    return torch.where(levels >= _BYTE * (1.0 - strengths.abs()), _BYTE - levels, levels)


def _autocontrast(images: Tensor, strengths: Tensor) -> Tensor:  # noqa: ARG001 - has no strength
    """Map the darkest value of each channel to 0, the lightest to 255."""
    values = images.flatten(2).float()  # (m, c, h w)
    least, largest = values.amin(2, keepdim=True), values.amax(2, keepdim=True)
    flat = least == largest
    scale = torch.where(flat, 1.0, (largest - least) * (1.0 / _BYTE))
    return (_levels(images) - torch.where(flat, 0.0, least)) / scale


def _equalize(images: Tensor, strengths: Tensor) -> Tensor:  # noqa: ARG001 - has no strength
    """Make each channel's values as equally frequent as whole steps allow, by Pillow's rule."""
    index = images.flatten(2).long()  # (m, c, h w)
    counts = index.new_zeros((*index.shape[:2], 256)).scatter_add_(2, index, torch.ones_like(index))
    below = counts.cumsum(2)  # (m, c, 256)
    most = images.flatten(2).amax(2, keepdim=True).long()
    step = (index.shape[2] - counts.gather(2, most)) // 255
    table = (F.pad(below[..., :-1], (1, 0)) + step // 2) // step.clamp(min=1)
    table[..., 0] = 0
    return torch.where(step == 0, _levels(images), table.float())


def _looked_up(images: Tensor, tables: list[Tensor]) -> Tensor:
    """T: some of all images, in their order."""
    channels = images.shape[1]
    table = torch.cat([one.expand(-1, channels, -1) for one in tables]).clamp_(0.0, _BYTE).to(torch.uint8)
    return table.gather(2, images.flatten(2).long()).view_as(images)


# ---- mixtures with another image -------------------------------------------------------------------------------------


def _grey(images: Tensor) -> Tensor:
    """(n, 1, h, w) float32, whole numbers: the luma of three channels, the mean of any other number of them."""
    if images.shape[1] != 3:
        return images.float().mean(1, keepdim=True).floor_()
    red, green, blue = (images[:, channel, None] for channel in range(3))
    return red.mul(_GREY[0]).add_(green, alpha=_GREY[1]).add_(blue, alpha=_GREY[2]).floor_()


def _color(images: Tensor, strengths: Tensor) -> Tensor:
    return _mixed(images.float(), _grey(images), strengths) if images.shape[1] > 1 else images


def _sharpness(images: Tensor, strengths: Tensor) -> Tensor:
    """Mix with a blurred image; the border, for which there is no blur, stays."""
    channels, height, width = images.shape[1:]
    if min(height, width) < 3:
        return images
    kernel = torch.full((channels, 1, 3, 3), 1.0 / 13.0, device=images.device)
    kernel[:, :, 1, 1] = 5.0 / 13.0  # Pillow's SMOOTH filter
    values = images.float()
    blurred = values.clone()
    blurred[..., 1:-1, 1:-1] = F.conv2d(values, kernel, groups=channels).round_()
    return _mixed(values, blurred, strengths)


def _mixed(values: Tensor, other: Tensor, strengths: Tensor) -> Tensor:
    factor = (1.0 + ENHANCEMENT * strengths)[..., None]  # (m, 1, 1, 1)
    return (values * factor + other * (1.0 - factor)).clamp_(0.0, _BYTE).to(torch.uint8)


Change = Callable[[Tensor, Tensor], Tensor]
"""(images of this operation (m, c, h, w), their strengths (m, 1, 1)) -> T, or the images changed."""

UNCHANGED = ("identity",)
AFFINE = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
TABLES: Mapping[str, Change] = MappingProxyType(
    {
        "brightness": _brightness,
        "contrast": _contrast,
        "posterize": _posterize,
        "solarize": _solarize,
        "autocontrast": _autocontrast,
        "equalize": _equalize,
    }
)
MIXES: Mapping[str, Change] = MappingProxyType({"color": _color, "sharpness": _sharpness})
OPERATIONS = (*UNCHANGED, *AFFINE, *TABLES, *MIXES)

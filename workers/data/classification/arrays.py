"""Arrays of images and labels, as numpy files hold them, converted to uint8 images and indices of classes.

An array is converted only if its values say exactly which image is meant; otherwise the error names the expression of
numpy that converts it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from searchsvc.errors import InvalidInput
from workers.data.classification.classes import similar_classes
from workers.data.dataset import RawDataset, Split
from workers.data.imagefiles import printable
from workers.data.notes import note
from workers.data.options import LARGEST_SIDE, SMALLEST_SIDE, ReassessedOptions, SplitOptions, check_classes
from workers.data.splits import SplitName, split_of

Array = NDArray[Any]

_IMAGES: Final = frozenset({"x", "image", "images", "img", "imgs", "data", "features", "inputs"})
_LABELS: Final = frozenset({"y", "label", "labels", "target", "targets", "class"})
_SHORT: Final[Mapping[SplitName, str]] = {"train": "train", "validation": "val", "test": "test"}
_MOST_CHANNELS = 4
_CLOSE = 0.2
"""Largest distance of a value of 0..1, times 255, from a whole number: what float16 rounds."""
_CHUNK = 1024
"""Images that are checked at a time."""


class ArrayOptions(SplitOptions, ReassessedOptions):
    """Options of formats of arrays."""

    classes: Annotated[tuple[str, ...], Field(min_length=2, max_length=10_000)] | None = None
    """Names of the classes, in the order of their labels."""


@dataclass(frozen=True, slots=True)
class Role:
    """The split that an array belongs to, and whether it holds its images or its labels."""

    split: SplitName
    images: bool

    @property
    def usual(self) -> str:
        return f"{'x' if self.images else 'y'}_{_SHORT[self.split]}"


def role_of(name: str) -> Role | None:
    """Return the role of an array by its name, such as `x_train`, `val_labels` or `images`; None if it has none."""
    parts = [part for part in re.split(r"[_\-./ ]+", name.casefold()) if part]
    kinds = [part for part in parts if part in _IMAGES | _LABELS]
    splits = [split for part in parts if (split := split_of(part)) is not None]
    if len(kinds) != 1 or len(splits) > 1 or len(parts) != 1 + len(splits):
        return None
    return Role(splits[0] if splits else "train", kinds[0] in _IMAGES)


def roles_of(names: Sequence[str]) -> tuple[dict[Role, str], tuple[str, ...]]:
    """Return the name of the array of each role, and a note on the other arrays. Raises InvalidInput for namesakes."""
    roles: dict[Role, str] = {}
    for name in names:
        if (role := role_of(name)) is None:
            continue
        if role in roles:
            raise _wrong(f"the arrays {roles[role]} and {name} are both called like {role.usual}: remove one of them")
        roles[role] = name
    others = [name for name in names if name not in roles.values()]
    return roles, note(others, "array is not read", "arrays are not read")


def dataset_of(named: Mapping[Role, tuple[str, Array]], options: ArrayOptions, notes: tuple[str, ...]) -> RawDataset:
    """Return the dataset of named arrays. Raises InvalidInput that names the array and says what to do."""
    splits: list[SplitName] = [
        split for split in _SHORT if split == "train" or any(role.split == split for role in named)
    ]
    images = {split: _array(named, Role(split, images=True)) for split in splits}
    labels = {split: labels_of(*_array(named, Role(split, images=False))) for split in images}
    for split, (label, array) in images.items():
        if len(array) != len(labels[split][0]):
            what = f"{len(array):,} images but {named[Role(split, images=False)][0]} {len(labels[split][0]):,} labels"
            moved = array.ndim > 1 and array.shape[-1] == len(labels[split][0])
            raise _wrong(f"{label} has {what}" + (f": save np.moveaxis({label}, -1, 0)" if moved else ""))
    pixels, conversions = images_of_arrays(list(images.values()))
    values = np.unique(labels["train"][0])  # (K,)
    names = _names(options.classes, values)
    check_classes(np.searchsorted(values, labels["train"][0]), names, options.min_images, options.path)
    parts = {}
    for (split, (label, _)), shown in zip(images.items(), pixels, strict=True):
        if shown.shape[1:] != pixels[0].shape[1:]:
            own, other = shown.shape[1:], pixels[0].shape[1:]
            raise _wrong(f"images of {label} are {own} as (channels, height, width), those of train {other}")
        unknown = np.setdiff1d(labels[split][0], values)
        if len(unknown):
            raise _wrong(
                f"label {unknown[0]} is in {named[Role(split, images=False)][0]} but not in the labels of train"
            )
        parts[split] = Split(shown, np.searchsorted(values, labels[split][0]).astype(np.int64))
    said = (*notes, *conversions, *(line for _, lines in labels.values() for line in lines), *similar_classes(names))
    missing = tuple(
        line
        for split, part in parts.items()
        for line in note(
            [names[one] for one in np.setdiff1d(np.arange(len(names)), part.labels)],
            f"class has no image in {split}",
            f"classes have no image in {split}",
        )
    )
    return RawDataset(
        options.name, names, parts["train"], parts.get("test"), parts.get("validation"), (*said, *missing)
    )


def images_of_arrays(named: Sequence[tuple[str, Array]]) -> tuple[list[NDArray[np.uint8]], tuple[str, ...]]:
    """Return images (n, c, h, w) of uint8, and notes on how they were converted: all arrays by the same rule.

    Raises InvalidInput.
    """
    kinds = {array.dtype.kind.replace("i", "u") for _, array in named}
    if len(kinds) > 1:
        listed = " and ".join(f"{name} {array.dtype}" for name, array in named)
        raise _wrong(f"the arrays hold values of different kinds ({listed}): save all as uint8")
    ordered = [_channels_first(name, array) for name, array in named]
    values, notes = _as_bytes([(name, array) for (name, _), array in zip(named, ordered, strict=True)])
    first = [name for name, array in named if array.ndim == 4 and not _is_last(array.shape)]
    said = note(first, "array is read as (n, c, h, w)", "arrays are read as (n, c, h, w)")
    return values, (*notes, *said)


def labels_of(name: str, array: Array) -> tuple[Array, tuple[str, ...]]:
    """Return labels (n,) of whole numbers or text, and notes. Raises InvalidInput that says what to do."""
    if array.ndim == 2 and 1 in array.shape:
        array = array.ravel()
    if array.ndim == 2 and array.dtype.kind in "biuf":
        if not (np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all()):
            raise _wrong(f"{name} is {array.shape} and not one-hot; an image has one class: save {name}.argmax(1)")
        return array.argmax(1), note([name], "array is one-hot", "")
    if array.ndim != 1 or array.dtype.kind not in "biufUS":
        raise _wrong(f"{name} must be (n,) whole numbers or names, not {array.shape} of {array.dtype}")
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and (array == np.round(array)).all() and (np.abs(array) < 2**53).all()):
            raise _wrong(f"{name} must hold whole numbers, not fractions or NaN: a classifier has classes")
        return array.astype(np.int64), note([name], f"array holds whole numbers as {array.dtype}", "")
    if array.dtype.kind == "S":
        try:
            array = np.char.decode(array, "utf-8")
        except UnicodeDecodeError:
            raise _wrong(f"{name} holds names that are not UTF-8") from None
    if array.dtype.kind == "U" and (
        strange := [one for one in np.unique(array) if not one.strip() or not one.isprintable()]
    ):
        raise _wrong(f"{name} holds the name {printable(repr(strange[0]))}, which is empty or cannot be printed")
    return array, ()


def _channels_first(name: str, images: Array) -> Array:
    """Return images as (n, c, h, w)."""
    if images.ndim == 3:
        images = images[:, None]
    if (
        images.ndim == 2
        and round(images.shape[1] ** 0.5) ** 2 == images.shape[1]
        and images.shape[1] >= SMALLEST_SIDE**2
    ):
        side = round(images.shape[1] ** 0.5)
        raise _wrong(
            f"{name} must be (n, h, w) or (n, h, w, c), not {images.shape}: save {name}.reshape(-1, {side}, {side})"
        )
    if images.ndim != 4:
        raise _wrong(f"{name} must be (n, h, w) or (n, h, w, c) with c from 1 to {_MOST_CHANNELS}, not {images.shape}")
    last, first = _is_last(images.shape), _is_first(images.shape)
    if last and first:
        raise _wrong(f"{name} is {images.shape}, channels first or last: save np.moveaxis({name}, 1, -1) if first")
    if not last and not first:
        sizes = images.shape[2:4] if images.shape[1] <= _MOST_CHANNELS else images.shape[1:3]
        if min(images.shape[1], images.shape[3]) <= _MOST_CHANNELS:
            sides = f"sides must be from {SMALLEST_SIDE} to {LARGEST_SIDE} px"
            raise _wrong(f"{name} has {sizes[0]}x{sizes[1]} px; {sides}")
        raise _wrong(f"{name} must be (n, h, w) or (n, h, w, c) with c from 1 to {_MOST_CHANNELS}, not {images.shape}")
    return images.transpose(0, 3, 1, 2) if last else images


def _is_last(shape: Sequence[int]) -> bool:
    return 1 <= shape[3] <= _MOST_CHANNELS and all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in shape[1:3])


def _is_first(shape: Sequence[int]) -> bool:
    return 1 <= shape[1] <= _MOST_CHANNELS and all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in shape[2:4])


def _as_bytes(named: Sequence[tuple[str, Array]]) -> tuple[list[NDArray[np.uint8]], tuple[str, ...]]:
    """Return the values as uint8, and notes."""
    names, dtypes = [name for name, _ in named], sorted({str(array.dtype) for _, array in named})
    if dtypes == ["uint8"]:
        return [np.ascontiguousarray(array) for _, array in named], ()
    kind, held = named[0][1].dtype.kind, " and ".join(dtypes)
    if kind == "b":
        said = note(
            names, "array of True and False is read as 255 and 0", "arrays of True and False are read as 255 and 0"
        )
        return [np.ascontiguousarray(array).astype(np.uint8) * np.uint8(255) for _, array in named], said
    if kind not in "iuf":
        raise _wrong(f"{names[0]} must hold uint8 (0 to 255), not {held}")
    for name, array in named:
        if kind == "f" and (bad := int((~np.isfinite(array)).sum())):
            raise _wrong(
                f"{name} holds {bad:,} values that are NaN or infinite: save np.nan_to_num({name}) or remove them"
            )
    low = min(float(array.min()) for _, array in named)
    high = max(float(array.max()) for _, array in named)
    scale = 255.0 if kind == "f" and high <= 1 else 1.0
    if low < 0 or high > 255 or not all(_is_exact(array, scale, kind) for _, array in named):
        raise _wrong(
            f"{names[0]} must hold uint8 (0 to 255), not {held} from {low:g} to {high:g}: {_way(names[0], low, high)}"
        )
    how = "0 to 1, times 255" if scale > 1 else "whole numbers"
    said = note(names, f"array of {held} is read as {how}", f"arrays of {held} are read as {how}")
    return [np.ascontiguousarray(_scaled(array, scale)) for _, array in named], said


def _is_exact(array: Array, scale: float, kind: str) -> bool:
    """Return whether the values times `scale` are whole, but for rounding."""
    if kind != "f":
        return True
    tolerance = _CLOSE if array.dtype.itemsize == 2 else 1e-3
    for start in range(0, len(array), _CHUNK):
        part = array[start : start + _CHUNK].astype(np.float64) * scale
        if (np.abs(part - np.round(part)) > (tolerance if scale > 1 else 0)).any():
            return False
    return True


def _scaled(array: Array, scale: float) -> NDArray[np.uint8]:
    result = np.empty(array.shape, np.uint8)
    for start in range(0, len(array), _CHUNK):
        part = array[start : start + _CHUNK]
        result[start : start + _CHUNK] = np.round(part.astype(np.float64) * scale) if scale > 1 else part
    return result


def _way(name: str, low: float, high: float) -> str:
    """Return the expression that converts values of a range."""
    if low >= 0 and high <= 1:
        return f"save np.round({name} * 255).astype('uint8')"
    if low >= 0 and high <= 255:
        return f"save np.round({name}).astype('uint8')"
    if low >= -1 and high <= 1:
        return f"save np.round(({name} + 1) * 127.5).astype('uint8')"
    if low >= 0 and high <= 65535:
        return f"save np.round({name} / 257).astype('uint8') if they are 16-bit images"
    if low >= -128 and high <= 127:
        return f"save ({name}.astype(int) + 128).astype('uint8')"
    return "save the images as they were before they were normalised"


def _array(named: Mapping[Role, tuple[str, Array]], role: Role) -> tuple[str, Array]:
    if role not in named:
        have = ", ".join(printable(name) for name, _ in named.values()) or "no array with a known name"
        needs = "it needs x_train and y_train, and x_val with y_val, x_test with y_test"
        raise _wrong(f"the file has no array {role.usual}; {needs}. It has {have}")
    name, array = named[role]
    if not np.atleast_1d(array).size:
        raise _wrong(f"{name} is empty")
    return name, np.atleast_1d(array)


def _names(chosen: tuple[str, ...] | None, values: Array) -> tuple[str, ...]:
    if chosen is None:
        return tuple(str(value) for value in values)
    if len(chosen) != len(values):
        raise InvalidInput.at("/classes", f"{len(chosen)} names for {len(values)} labels in y_train")
    return chosen


def _wrong(message: str) -> InvalidInput:
    return InvalidInput.at("/path", message)


def unlabelled_of(named: Mapping[Role, tuple[str, NDArray[Any]]]) -> NDArray[np.uint8] | None:
    """Return the images for training (n, c, h, w) without labels; None if they have labels. Raises InvalidInput."""
    images = named.get(Role("train", images=True))
    if images is None or Role("train", images=False) in named:
        return None
    return images_of_arrays([images])[0][0]

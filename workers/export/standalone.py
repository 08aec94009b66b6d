"""Trains a network by a recipe, both found by a search, on your own images. It only needs torch and timm.

::

    python FILE.py images.npz                                        # train, and keep the weights of the best epoch
    python FILE.py images.npz --epochs 0 --weights model.safetensors  # measure exported weights
    python FILE.py folder --weights model.safetensors                 # continue from these weights

Images come from a .npz file of numpy, with x_train (n, h, w) or (n, h, w, c) of uint8, y_train (n,) and optionally
x_val, y_val, x_test and y_test, or from a folder with a folder per class, optionally below train, val and test.
Images in files are decoded as in the search: upright, with 8 bits. Arrays may have any size: the network sees them
resized.

On such a file or folder, with as many threads as the trial had, the CPU trains exactly the weights of the trial. A
dataset in another format must first be saved as a .npz file, its images and labels in the order of the dataset.
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from searchsvc.spaces.resolution import shape_at
from workers.data.dataset import split_positions
from workers.data.imagemodes import formats_of, has_image_ending, upright
from workers.data.splits import split_of
from workers.data.walk import is_passed_over
from workers.export.networks import mbconv_net
from workers.models.inputs import Inputs
from workers.training.classification.augment import Augmentation, mixup, smoothed
from workers.training.classification.class_loss import class_loss, start_rare
from workers.training.depthwise import with_strips
from workers.training.ema import WeightAverage
from workers.training.optimizers import create, set_learning_rate
from workers.training.precision import Precision
from workers.training.recipe import ClassifierRecipe
from workers.training.schedule import Schedule
from workers.training.seeds import INITIAL, generator, torch_seeded

# `workers.export.script` replaces these constants.
ARCHITECTURE: dict[str, Any] = {}
RECIPE: dict[str, Any] = {}
EPOCHS = 1
SEED = 0
SHAPE = (1, 8, 8)
"""Channels, height and width of an image."""
CLASSES: tuple[str, ...] = ()
MEAN: tuple[float, ...] = ()
"""Mean of each channel of the images, whose values are 0 to 255; STD is the deviation."""
STD: tuple[float, ...] = ()
SPLIT: dict[str, Any] = {}
"""Shares of the images, and the seed of the split."""
MEMORY_BYTES = 2**31
"""Largest size of the decoded images of a folder in memory; more are decoded during training."""
DROPPED: tuple[int, ...] = ()
"""Positions of training images that are omitted because their labels are doubtful."""
MEASURED: dict[str, float] = {}
"""Metrics of the exported weights on the validation images of the search."""
INDEPENDENT = False
"""True if the network gives each class its own probability."""
NETWORK: Callable[[Mapping[str, Any], Mapping[str, Any], tuple[int, int, int], int], nn.Module] = mbconv_net
"""Builds the network from architecture, recipe, shape of an image resized for the network, and number of classes."""

INPUT_SHAPE = shape_at(SHAPE, RECIPE.get("resolution", 0))
"""Shape of an image resized for the network."""
DECODERS = 4
"""Processes that decode images from files."""


class Files(Dataset[Tensor]):
    """Images that are decoded on access, a batch at a time."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __getitem__(self, rows: NDArray[np.intp]) -> Tensor:
        """Return images (m, c, h, w) of uint8."""
        return torch.stack([decoded(self.paths[row]) for row in rows])


@dataclass(frozen=True)
class LabelledImages:
    """Images (n, c, h, w) of uint8, in memory or in files, and the index of each image's class (n,)."""

    images: Tensor | Files
    labels: Tensor
    peak: int = 255
    """The largest value of a training image; 255 for images in files."""

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.intp]) -> LabelledImages:
        images = self.images
        chosen = Files([images.paths[row] for row in rows]) if isinstance(images, Files) else images[rows]
        return replace(self, images=chosen, labels=self.labels[rows])

    def to(self, device: torch.device) -> LabelledImages:
        """Move images in memory, and the labels, to a device."""
        images = self.images
        if isinstance(images, Tensor):
            images = images.to(device, memory_format=torch.channels_last)
        return replace(self, images=images, labels=self.labels.to(device))

    def batches(self, order: NDArray[np.intp], count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield `count` parts of almost equal size, in order: images (m, c, h, w) on the device, labels (m,)."""
        rows, device = np.array_split(order, count), self.labels.device
        loaded: Iterable[Tensor]
        if isinstance(self.images, Files):
            # A generator of its own: otherwise it would draw a seed from the global one, which dropout uses.
            own = torch.Generator()
            loaded = DataLoader(self.images, batch_size=None, sampler=rows, num_workers=DECODERS, generator=own)
            loaded = (images.to(device).contiguous(memory_format=torch.channels_last) for images in loaded)
        else:
            loaded = map(self.images.__getitem__, map(torch.from_numpy, rows))
        for some, images in zip(rows, loaded, strict=True):
            yield images, self.labels[torch.from_numpy(some)]


def decoded(path: Path) -> Tensor:
    """Decode a file to (c, h, w) of uint8, as `upright` describes."""
    channels, height, width = SHAPE
    try:
        with Image.open(path, formats=formats_of(path.name)) as image:
            shown = upright(image, color=channels == 3)
    except Exception as error:
        raise SystemExit(f"{path} cannot be decoded: {error}") from error
    resized = shown.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized, np.uint8).reshape(height, width, channels)).permute(2, 0, 1).contiguous()


def read(path: Path) -> dict[str, LabelledImages]:
    """Return the images for training, validation and test, split as in the search, unless files have these parts."""
    own = read_folder(path) if path.is_dir() else read_npz(path)
    shares = {name: None if name in own else SPLIT[name] for name in ("validation", "test")}
    rows = split_positions(own["train"].labels.numpy(), **shares, seed=SPLIT["seed"])
    parts = {name: own["train"].take(some) for name, some in rows.items()}
    train = parts["train"]
    peak = int(train.images.max()) if isinstance(train.images, Tensor) else 255
    kept = np.delete(np.arange(len(train)), list(DROPPED))
    parts["train"] = replace(train.take(kept), peak=peak)
    return {**parts, **{name: part for name, part in own.items() if name != "train"}}


def read_npz(path: Path) -> dict[str, LabelledImages]:
    """Return the images by part: train, and validation and test if the file has them."""
    arrays = np.load(path)
    known = [f"{kind}_{split}" for kind in "xy" for split in ("train", "val", "test")]
    if strange := [name for name in arrays.files if name not in known and any(map(split_of, name.split("_")))]:
        raise SystemExit(f"{path} has {', '.join(strange)}: rename such arrays to {', '.join(known)}")
    labels = np.unique(arrays["y_train"])
    if len(labels) != len(CLASSES):
        raise SystemExit(f"{path} has {len(labels)} classes; the network tells {len(CLASSES)} apart")

    def part(name: str) -> LabelledImages:
        images = arrays[f"x_{name}"]
        if images.dtype != np.uint8:
            raise SystemExit(f"x_{name} of {path} holds {images.dtype}: save it as uint8, from 0 to 255")
        images = images[..., None] if images.ndim == 3 else images
        if images.ndim != 4 or images.shape[3] != SHAPE[0]:
            wanted = "(n, h, w)" if SHAPE[0] == 1 else f"(n, h, w, {SHAPE[0]})"
            raise SystemExit(f"x_{name} of {path} is {images.shape}; the network takes images {wanted}")
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2)  # of any size: the network sees them resized
        own = arrays[f"y_{name}"].reshape(len(images))  # (n, 1) is (n,)
        return LabelledImages(pixels, torch.from_numpy(np.searchsorted(labels, own)))

    names = {"train": "train", "validation": "val", "test": "test"}
    return {split: part(name) for split, name in names.items() if f"x_{name}" in arrays}


def read_folder(path: Path) -> dict[str, LabelledImages]:
    """Return the images by part, as `read_npz`, from folders of classes or of splits, followed by classes."""

    def part(folder: Path) -> LabelledImages:
        files = [file for file in sorted(visible(folder)) if has_image_ending(file.name)]
        files = [file for file in files if file.parent != folder]
        classes = [file.relative_to(folder).parts[0] for file in files]
        if unknown := set(classes) - set(CLASSES):
            raise SystemExit(
                f"{folder} has images of {', '.join(sorted(unknown))}; the classes are {', '.join(CLASSES)}"
            )
        labels = torch.tensor([CLASSES.index(name) for name in classes], dtype=torch.int64)
        if len(files) * math.prod(SHAPE) > MEMORY_BYTES:
            return LabelledImages(Files(files), labels)
        with ThreadPoolExecutor(DECODERS or 1) as pool:
            return LabelledImages(torch.stack(list(pool.map(decoded, files))), labels)

    if all((path / name).is_dir() for name in CLASSES):
        return {"train": part(path)}
    splits = {split_of(folder.name): folder for folder in path.iterdir() if folder.is_dir()}
    parts = {
        split: part(folder)
        for split, folder in splits.items()
        if split is not None and any((folder / name).is_dir() for name in CLASSES)
    }
    if "train" not in parts:
        raise SystemExit(f"{path} has neither a folder for each class nor a folder train with folders of classes")
    return {str(split): one for split, one in parts.items()}


def visible(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, links followed; hidden files and folders are passed over."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_passed_over(name)]
        yield from (Path(parent, name) for name in files if not is_passed_over(name))


class TrainingRun:
    """A network on a device, trained and measured."""

    def __init__(self, device: torch.device, weights: Path | None) -> None:
        with torch_seeded(SEED, INITIAL, torch.device("cpu")):  # the same weights on every device
            self.network = NETWORK(ARCHITECTURE, RECIPE, INPUT_SHAPE, len(CLASSES))
        if INDEPENDENT:
            start_rare(self.network, len(CLASSES))
        if weights is not None:
            self.network.load_state_dict(load_file(weights))
        self.network = with_strips(self.network) if device.type == "cpu" else self.network.to(device)
        self.network.to(memory_format=torch.channels_last)
        self.recipe = ClassifierRecipe.of(RECIPE)
        self.inputs = Inputs.of(MEAN, STD, SHAPE, INPUT_SHAPE, device)
        self.precision = Precision.of(device)
        self.device = device

    def train(self, part: LabelledImages, epochs: int) -> Iterator[tuple[float, nn.Module]]:
        """Yield after each epoch its mean loss, and the network to use: averaged weights if the recipe averages them.
        """
        recipe, steps = self.recipe, math.ceil(len(part) / self.recipe.batch_size)
        schedule = Schedule.of(recipe, epochs, steps)
        augmentation = Augmentation.of(recipe, part.peak)
        optimizer = create(self.network, recipe)
        average = WeightAverage(self.network, recipe.ema_decay) if recipe.ema else None
        step = 0
        for epoch in range(1, epochs + 1):
            random, total = generator(SEED, epoch), torch.zeros((), device=self.device)
            self.network.train()
            with torch_seeded(SEED, epoch, self.device):
                for images, labels in part.batches(random.permutation(len(part)), steps):
                    set_learning_rate(optimizer, schedule.rate(step))
                    loss = self.loss(self.inputs(augmentation(images, random)), labels, random)
                    self.precision.step(loss, optimizer, clip_norm=recipe.clip_norm)
                    step += 1
                    if average:
                        average.update(step)
                    total += loss.detach() * len(labels)
            yield float(total) / len(part), average.module if average else self.network

    def loss(self, inputs: Tensor, labels: Tensor, random: np.random.Generator) -> Tensor:
        """Return the mean loss, with mixup and label smoothing."""
        targets, smoothing = labels, self.recipe.label_smoothing
        if self.recipe.mixup:
            weight = float(random.beta(self.recipe.mixup, self.recipe.mixup))
            inputs, targets = mixup(inputs, smoothed(labels, len(CLASSES), smoothing), weight)
            smoothing = 0.0
        with self.precision.autocast():
            logits = self.network(inputs)
        return class_loss(self.recipe.class_loss, logits.float(), targets, smoothing)

    @torch.inference_mode()
    def accuracy(self, network: nn.Module, part: LabelledImages) -> float:
        """Return the share of a part that is classified correctly."""
        network.eval()
        right = 0
        for images, labels in part.batches(np.arange(len(part)), math.ceil(len(part) / self.inputs.batch)):
            with self.precision.autocast():
                logits = network(self.inputs(images))
            right += int((logits.argmax(1) == labels).sum())
        return right / len(part)


def main() -> None:
    """Train, print a line per epoch, keep the best, and measure it on the test part."""
    options = arguments()
    device = torch.device(options.device)
    run = TrainingRun(device, options.weights)
    parts = {name: part.to(device) for name, part in read(options.data).items()}
    best, best_weights = 0.0, weights_of(run.network)
    if options.weights:
        best = run.accuracy(run.network, parts["validation"])
        print(f"{options.weights}: validation accuracy {best:.6g}")
    for epoch, (loss, network) in enumerate(run.train(parts["train"], options.epochs), 1):
        accuracy = run.accuracy(network, parts["validation"])
        print(
            f"epoch {epoch}/{options.epochs}: training loss {loss:.6g}, validation accuracy {accuracy:.6g}", flush=True
        )
        if accuracy > best:
            best, best_weights = accuracy, weights_of(network)
            save_file(best_weights, options.output)
    run.network.load_state_dict(best_weights)
    print(f"test accuracy of the best: {run.accuracy(run.network, parts['test']):.6g}")


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the weights in the form of a file."""
    return {
        name: one.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, one in network.state_dict().items()
    }


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description="Trains one network by one recipe.")
    parser.add_argument("data", type=Path, help="a .npz file, or a folder of images")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="0: only measure (default: %(default)s)")
    parser.add_argument("--weights", type=Path, help="start from these (a .safetensors file of this network)")
    parser.add_argument("--output", type=Path, default=Path("trained.safetensors"), help="default: %(default)s")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    main()

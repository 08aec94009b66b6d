"""`coco`: a folder of images and annotations in COCO's format.

The images of `annotations` are split into train, validation and test; a split with its own file, named by
`validation_annotations` or `test_annotations`, is not drawn from them. Categories become the classes 0 to K - 1 in the
order of their ids, which may have gaps. Images keep their aspect ratio; an image whose longest side is larger than
`size` is resized when it is decoded. Decoded images that fit into `memory_bytes` are kept in memory; if a split has
more, its images stay in their files, which are decoded during training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from searchsvc.errors import Fault, InvalidInput
from workers.data.detection import instances
from workers.data.detection.dataset import RawScenes, Scenes, Truth, images_of_classes
from workers.data.detection.instances import FAULTS_LISTED, Instances
from workers.data.detection.picturefiles import PictureFiles, bytes_of, check_sizes
from workers.data.options import DatasetFormat, ImagesOptions, SplitOptions, existing, stamps

SMALLEST_SIDE, LARGEST_SIDE = 32, 2048
_RelativePath = Annotated[str, Field(min_length=1, max_length=4096)]


class CocoOptions(SplitOptions):
    """Options of the format `coco`; paths of files and folders are relative to `path`."""

    format: Literal["coco"]
    annotations: _RelativePath = "instances.json"
    images: _RelativePath = "images"
    validation_annotations: _RelativePath | None = None
    validation_images: _RelativePath | None = None
    """The folder of the images of `validation_annotations`; None: `images`."""
    test_annotations: _RelativePath | None = None
    test_images: _RelativePath | None = None
    size: Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)] = 320
    """Side in px of the square into which images are fitted for a network."""
    memory_bytes: Annotated[int, Field(ge=0, le=2**50)] = 2**31
    """Largest size of the decoded images of a split in memory."""
    min_images: Annotated[int, Field(ge=1)] = 1
    """Least number of images per class among the images to split."""


_OPTIONS = {
    "annotations": "images",
    "validation_annotations": "validation_images",
    "test_annotations": "test_images",
}
"""Options that name a file of annotations, with the options that name the folders of their images."""


@dataclass(frozen=True, slots=True)
class _AnnotatedImages:
    """Annotations, and the folder of their images."""

    option: str
    annotations: Path
    images: Path


def _sources(options: CocoOptions) -> Iterator[_AnnotatedImages]:
    """Yield the images to split, followed by the validation and test images if they have files of their own."""
    root = existing(options.path, folder=True, within=options.within)
    for option, images in _OPTIONS.items():
        path, folder = getattr(options, option), getattr(options, images)
        if path is not None:
            images, folder = ("images", options.images) if folder is None else (images, folder)
            annotations = _below(root, path, option, options)
            yield _AnnotatedImages(option, annotations, _below(root, folder, images, options, folder=True))


def _below(root: Path, path: str, option: str, options: CocoOptions, *, folder: bool = False) -> Path:
    location = root / path
    if Path(path).is_absolute() or ".." in Path(path).parts or "\0" in path:
        raise InvalidInput.at(f"/{option}", "must not lead out of the dataset's folder")
    if not (location.is_dir() if folder else location.is_file()):
        raise InvalidInput.at(f"/{option}", f"there is no {'folder' if folder else 'file'} {location}")
    return existing(location, folder=folder, pointer=f"/{option}", within=options.within)


def _fingerprint(options: CocoOptions) -> Hashable:
    sources = list(_sources(options))
    folders = sorted({source.images for source in sources})
    images = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return stamps(source.annotations for source in sources), stamps(images)


def _read(options: CocoOptions) -> RawScenes:
    sources = {source.option: source for source in _sources(options)}
    first = sources["annotations"]
    read = {"annotations": instances.read(first.annotations, "/annotations", within=options.within)}
    classes = read["annotations"].classes
    for option, source in sources.items():
        if source is not first:
            read[option] = instances.read(source.annotations, f"/{option}", classes, within=options.within)
    names = tuple(classes.values())
    _check_classes(read["annotations"].truths, names, options.min_images)
    _check_apart(sources, read)
    scenes = {option: _scenes(sources[option], annotated, options) for option, annotated in read.items()}
    counts: Counter[str] = Counter()
    for annotated in read.values():
        counts.update(annotated.counts)
    return RawScenes(
        options.name,
        names,
        options.size,
        scenes["annotations"],
        scenes.get("validation_annotations"),
        scenes.get("test_annotations"),
        counts,
    )


def _scenes(source: _AnnotatedImages, annotated: Instances, options: CocoOptions) -> Scenes:
    paths = tuple(source.images / name for name in annotated.files)
    check_sizes(paths, annotated.sizes, options.within)
    files = PictureFiles(paths, options.size, options.within)
    fits = bytes_of(annotated.sizes, options.size) <= options.memory_bytes
    return Scenes(files.decoded() if fits else files, annotated.sizes, annotated.truths, annotated.files)


def _check_classes(truths: tuple[Truth, ...], names: tuple[str, ...], least: int) -> None:
    counts = dict(zip(names, images_of_classes(truths, len(names)), strict=True))
    few = [f"{name!r} is in {count}" for name, count in counts.items() if count < least]
    if few:
        listed = ", ".join(few[:10])
        message = f"each class needs boxes in {least} image(s) or more (min_images): {listed}"
        raise InvalidInput.at("/annotations", message)


def _check_apart(sources: Mapping[str, _AnnotatedImages], read: Mapping[str, Instances]) -> None:
    """Raise InvalidInput if an image is in two splits, as it would be used for both training and evaluation."""
    owner: dict[Path, str] = {}
    faults = []
    for option, annotated in read.items():
        for name in annotated.files:
            path = sources[option].images / name
            if owner.setdefault(path, option) != option:
                faults.append(Fault(f"/{option}", f"{name} is also among the images of {owner[path]}"))
    if faults:
        raise InvalidInput(faults[:FAULTS_LISTED])


def _unlabelled_folder(options: CocoOptions) -> ImagesOptions | None:
    """Return the folder of images if the section names no annotations and the default file does not exist."""
    root = Path(options.path).expanduser()
    if "annotations" in options.model_fields_set or (root / options.annotations).is_file():
        return None
    folder = root / options.images
    return ImagesOptions(
        format="images",
        path=str(folder if folder.is_dir() else root),
        memory_bytes=options.memory_bytes,
        within=options.within,
    )


COCO = DatasetFormat(
    "a folder of images and annotations in COCO's form (instances json); images keep their ratio",
    CocoOptions,
    _read,
    _fingerprint,
    fitted=lambda shape: {"size": shape[1]},
    unlabelled_folder=_unlabelled_folder,
)

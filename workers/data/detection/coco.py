"""`coco`: a folder of images and annotations in COCO's format.

The images of `annotations` are split into train, validation and test; a split with its own file, named by
`validation_annotations` or `test_annotations`, is not drawn from them. If the section names no annotations and the
default file is missing, the files are found in the layouts of `annotationfiles`. Categories become the classes 0 to
K - 1 in the order of their ids, which may have gaps. Images keep their aspect ratio; an image whose longest side is
larger than `size` is resized when it is decoded. Decoded images that fit into `memory_bytes` are kept in memory; if a
split has more, its images stay in their files, which are decoded during training.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from workers.data.detection import instances
from workers.data.detection.annotated import AnnotatedImages, raw_scenes, remark_unused
from workers.data.detection.annotationfiles import (
    FileKind,
    annotation_files,
    files_of_kind,
    image_folder,
    no_annotations,
)
from workers.data.detection.dataset import RawScenes
from workers.data.detection.imagenames import ImageFolder
from workers.data.detection.options import BoxFilesOptions, RelativePath, below
from workers.data.detection.remarks import Remarks
from workers.data.options import DatasetFormat, ImagesOptions, existing, stamps
from workers.data.recognition import head_of
from workers.data.splits import SplitName
from workers.data.walk import contents_of

_JSON: Final = FileKind(
    ".json", ("captions", "person_keypoints", "image_info", "panoptic", "stuff", "package", "info.")
)
_KEYS: Final = (b'"images"', b'"annotations"', b'"categories"', b'"licenses"')


class CocoOptions(BoxFilesOptions):
    """Options of the format `coco`; paths of files and folders are relative to `path`."""

    format: Literal["coco"]
    annotations: RelativePath = "instances.json"
    images: RelativePath = "images"
    validation_annotations: RelativePath | None = None
    validation_images: RelativePath | None = None
    """The folder of the images of `validation_annotations`; None: `images`."""
    test_annotations: RelativePath | None = None
    test_images: RelativePath | None = None


_OPTIONS: Final[dict[SplitName, tuple[str, str]]] = {
    "train": ("annotations", "images"),
    "validation": ("validation_annotations", "validation_images"),
    "test": ("test_annotations", "test_images"),
}
"""The options that name a split's file of annotations and the folder of its images."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The annotations of a split, and the folder of their images; None: to be found by the names of the images."""

    split: SplitName
    option: str
    annotations: Path
    images: Path | None


def _root(options: CocoOptions) -> Path:
    return existing(options.path, folder=True, within=options.within)


def _is_named(root: Path, options: CocoOptions) -> bool:
    """Return whether the section, or its defaults, name the annotations."""
    named = {option for option, _ in _OPTIONS.values()} & options.model_fields_set
    return bool(named) or (root / options.annotations).is_file()


def _sources(root: Path, options: CocoOptions, remarks: Remarks) -> Iterator[_Source]:
    """Yield the images to split, followed by the validation and test images if they have files of their own."""
    if not _is_named(root, options):
        given = below(root, options.images, "images", options, folder=True) if _has_images(options) else None
        found = annotation_files(root, _JSON, options.within, remarks)
        if not found:
            raise no_annotations(root, _JSON)
        for split, path in found.items():
            yield _Source(split, "annotations", existing(path, folder=False, within=options.within), given)
        return
    for split, (option, images) in _OPTIONS.items():
        path, folder = getattr(options, option), getattr(options, images)
        if path is not None:
            images, folder = ("images", options.images) if folder is None else (images, folder)
            named = images in options.model_fields_set or (root / folder).is_dir()
            place = below(root, folder, images, options, folder=True) if named else None
            yield _Source(split, option, below(root, path, option, options), place)


def _has_images(options: CocoOptions) -> bool:
    return "images" in options.model_fields_set


def _fingerprint(options: CocoOptions) -> Hashable:
    root = _root(options)
    sources = list(_sources(root, options, Remarks()))
    folders = sorted({root if source.images is None else source.images for source in sources})
    files = (path for folder in folders for path in contents_of(folder, options.within).files)
    return stamps(source.annotations for source in sources), stamps(files)


def _read(options: CocoOptions) -> RawScenes:
    remarks, root = Remarks(), _root(options)
    sources = list(_sources(root, options, remarks))
    folders: dict[Path, ImageFolder] = {}
    parts = {source.split: _annotated(root, source, options, folders, remarks) for source in sources}
    used = {path for part in parts.values() for path in part.paths} | {source.annotations for source in sources}
    remark_unused([*folders.values(), ImageFolder(root, options.within)], used, remarks)
    return raw_scenes(options, parts, remarks)


def _annotated(
    root: Path, source: _Source, options: CocoOptions, folders: dict[Path, ImageFolder], remarks: Remarks
) -> AnnotatedImages:
    content = instances.read(source.annotations, f"/{source.option}", remarks, within=options.within)
    images = source.images
    if images is None:
        images = image_folder(root, source.annotations, source.split, content.files, options.within).path
    folder = folders.setdefault(images, ImageFolder(images, options.within))
    paths = tuple(folder.find(name, remarks) or folder.path / name for name in content.files)
    return AnnotatedImages(f"/{source.option}", content.classes, paths, content.files, content.stated, content.objects)


def _unlabelled_folder(options: CocoOptions) -> ImagesOptions | None:
    """Return the folder of images if the section names no annotations and there are none."""
    root = Path(options.path).expanduser()
    if not root.is_dir() or _is_named(root, options):
        return None
    if annotation_files(_root(options), _JSON, options.within, Remarks()):
        return None
    folder = root / options.images
    return ImagesOptions(
        format="images",
        path=str(folder if folder.is_dir() else root),
        memory_bytes=options.memory_bytes,
        within=options.within,
    )


def _detect(path: Path) -> Mapping[str, Any] | None:
    """Recognise a folder with annotations, and such a file itself, which the section then names."""
    if path.is_file():
        root = path.parent.parent if path.parent.name.casefold() == "annotations" else path.parent
        named = {"path": str(root), "annotations": path.relative_to(root).as_posix()}
        return named if path.suffix.lower() == _JSON.ending and _looks_like(path) else None
    return {"path": str(path)} if any(map(_looks_like, files_of_kind(path, _JSON))) else None


def _looks_like(path: Path) -> bool:
    head = head_of(path)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") and any(key in head for key in _KEYS)


COCO = DatasetFormat(
    "a folder of images and annotations in COCO's form (instances json); images keep their ratio",
    CocoOptions,
    _read,
    _fingerprint,
    fitted=lambda shape: {"size": shape[1]},
    unlabelled_folder=_unlabelled_folder,
    detect=_detect,
)

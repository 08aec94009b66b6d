"""Annotated images as tools write them: what is read from each input, or the words of its refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from workers.data import detection as data
from workers.data.detection import RawScenes, Scenes

SIZE = 60, 40
"""Width and height of most images, in px."""
CAT, DOG = [4.0, 6.0, 14.0, 26.0], [20.5, 8.0, 32.5, 23.5]
"""Boxes x0, y0, x1, y1 of a cat in each of the images a, b, c, and of a dog in a."""
Document = dict[str, Any]
Boxes = dict[str, list[tuple[str, list[float]]]]
"""Class and box of each object, by the name of the image."""
USUAL: Boxes = {"a.png": [("cat", CAT), ("dog", DOG)], "b.png": [("cat", CAT)], "c.png": [("cat", CAT)]}


@dataclass(frozen=True)
class Row:
    """An input, and the expected outcome."""

    id: str
    build: Callable[[Path], object]
    """Writes the files into a folder."""
    options: Document = field(default_factory=dict)
    boxes: Boxes | None = None
    """All objects that are read, without crowds; None: the input is refused."""
    says: tuple[str, ...] = ()
    """Parts of notes, or of the faults of a refusal."""
    crowds: int = 0
    sizes: tuple[int, int | None, int | None] | None = None
    """Images of train, validation and test that are stated by the files."""


def row(name: str, build: Callable[[Path], object], *says: str, **more: Any) -> Row:
    """Return an input that is read as USUAL unless `boxes` say otherwise."""
    return Row(name, build, says=says, **{"boxes": USUAL, **more})


def refused(name: str, build: Callable[[Path], object], *says: str, **more: Any) -> Row:
    return Row(name, build, says=says, **more)


def picture(path: Path, size: tuple[int, int] = SIZE, **more: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(len(path.name) + sum(map(ord, path.name)))
    Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path, **more)


def turned(path: Path, orientation: int = 6) -> None:
    """Write a picture that is 60x40 as it is stored, and 40x60 as it is displayed."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture(path, exif=exif)


def text(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def read(folder: Path, options: Document) -> RawScenes:
    return data.raw({"name": "pets", "path": str(folder), **options})


def parts_of(scenes: RawScenes) -> list[Scenes]:
    return [part for part in (scenes.all, scenes.validation, scenes.test) if part is not None]


def boxes_of(scenes: RawScenes) -> Boxes:
    found: Boxes = {}
    for part in parts_of(scenes):
        for name, truth in zip(part.names, part.truths, strict=True):
            kept = ~truth.crowd
            boxes = np.round(truth.boxes[kept], 3).tolist()
            labels = [scenes.classes[label] for label in truth.labels[kept]]
            found[Path(name).name] = sorted(zip(labels, boxes, strict=True))
    return found


def check(case: Row, folder: Path, options: Document) -> None:
    case.build(folder)
    if case.boxes is None:
        with pytest.raises(InvalidInput) as caught:
            read(folder, options)
        faults = "\n".join(map(str, caught.value.faults))
        assert all(words in faults for words in case.says), faults
        return
    scenes = read(folder, options)
    assert boxes_of(scenes) == case.boxes
    assert scenes.counts["crowd_regions"] == case.crowds
    notes = "\n".join(scenes.notes)
    assert all(words in notes for words in case.says), notes
    if case.sizes is not None:
        own = (scenes.all, scenes.validation, scenes.test)
        assert tuple(None if part is None else len(part) for part in own) == case.sizes


# ---- coco ------------------------------------------------------------------------------------------------------------


def document(*, numbers: str = "abc") -> Document:
    """Return annotations of the images a.png, b.png, ... with nothing that needs care."""
    images = [
        {"id": number, "file_name": f"{name}.png", "width": SIZE[0], "height": SIZE[1]}
        for number, name in enumerate(numbers, 1)
    ]
    boxes = [(number, 1, CAT) for number in range(1, len(numbers) + 1)] + ([(1, 2, DOG)] if "a" in numbers else [])
    return {
        "info": None,
        "licenses": None,
        "images": images,
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                "area": 100.0,
                "iscrowd": 0,
            }
            for number, (image, category, box) in enumerate(boxes, 1)
        ],
    }


def coco(
    change: Callable[[Document], object] = lambda _: None,
    *,
    annotations: str = "instances.json",
    images: str = "images",
    encoding: str = "utf-8",
    numbers: str = "abc",
) -> Callable[[Path], None]:
    """Return what writes the annotations, after a change, and their images."""

    def build(folder: Path) -> None:
        content = document(numbers=numbers)
        for image in content["images"]:
            picture(folder / images / image["file_name"])
        change(content)
        text(folder / annotations, json.dumps(content).encode(encoding))

    return build


def every(key: str, **values: Any) -> Callable[[Document], None]:
    """Return a change that sets values in all entries of a list; `...` removes a key."""

    def change(content: Document) -> None:
        for entry in content[key]:
            for name, value in values.items():
                entry.pop(name) if value is ... else entry.update({name: value})

    return change


def first(key: str, **values: Any) -> Callable[[Document], None]:
    return lambda content: every(key, **values)({key: content[key][:1]})


def both(*changes: Callable[[Document], object]) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        for one in changes:
            one(content)

    return change


def all_of(*builders: Callable[[Path], object]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for builder in builders:
            builder(folder)

    return build


def categories(*more: Document) -> Callable[[Document], object]:
    return lambda content: content["categories"].extend(more)


def renamed(name: str, **more: Any) -> Callable[[Document], object]:
    """Return a change of the name of image a in the annotations only."""
    return first("images", file_name=name, **more)


POLYGON = [[4, 6, 14, 6, 14, 26, 4, 26]]
RUNS = [4 * 40 + 6, *[20, 20] * 9, 20, 46 * 40 + 14]
"""A mask of 60x40 px with the cat's box, uncompressed."""
NO_BOX = first("annotations", bbox=...)
SPREAD = {"a.png": USUAL["a.png"]}


def small(path: Path) -> None:
    """Write a turned photograph a.jpg of 60x40 px as stored."""
    turned(path / "images" / "a.jpg")


def photograph(width: int, height: int, box: list[float]) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        turned(folder / "images" / "a.jpg")
        content = document(numbers="a")
        content["annotations"] = content["annotations"][:1]
        content["annotations"][0]["bbox"] = box
        content["images"] = [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}]
        text(folder / "instances.json", json.dumps(content))

    return build


def roboflow(folder: Path) -> None:
    for split, numbers in (("train", "abc"), ("valid", "d"), ("test", "e")):
        change = categories({"id": 0, "name": "pets", "supercategory": "none"})
        coco(change, annotations=f"{split}/_annotations.coco.json", images=split, numbers=numbers)(folder)
    text(folder / "README.dataset.txt", "exported")


def official(folder: Path) -> None:
    for split, numbers in (("train", "abc"), ("val", "d")):
        coco(annotations=f"annotations/instances_{split}2017.json", images=f"{split}2017", numbers=numbers)(folder)
    text(folder / "annotations" / "captions_train2017.json", "{}")


SPLIT_USUAL: Boxes = {**USUAL, "d.png": [("cat", CAT)]}

COCO = [
    row(
        "U7 a parent category of Roboflow",
        coco(categories({"id": 0, "name": "pets"})),
        "1 class without a box is left out: pets",
    ),
    row(
        "U7 eighty categories of which two are used",
        coco(categories(*({"id": number, "name": f"class {number}"} for number in range(3, 81)))),
        "78 classes without a box are left out: class 3, class 4",
    ),
    row(
        "U7 a parent category with the name of its child",
        coco(categories({"id": 0, "name": "cat", "supercategory": "none"})),
        "1 repetition of a category without a box is left out: instances.json cat (/categories/2)",
    ),
    refused(
        "two categories of a name, both with boxes",
        coco(both(categories({"id": 9, "name": "cat"}), first("annotations", category_id=9))),
        "/categories/2/name: 'cat' is already at /categories/0/name",
    ),
    row("U8 no ids of annotations", coco(every("annotations", id=...)), "4 annotations have no id"),
    row("U8 ids of annotations are null", coco(every("annotations", id=None)), "4 annotations have no id"),
    row("U8 no area", coco(every("annotations", area=...)), "4 annotations state no area"),
    row("area null", coco(first("annotations", area=None)), "1 annotation states no area"),
    row("area -1", coco(first("annotations", area=-1)), "1 annotation states no area"),
    row("U8 iscrowd null", coco(every("annotations", iscrowd=None)), "4 annotations have `iscrowd: null`"),
    row("iscrowd false", coco(every("annotations", iscrowd=False))),
    row("no iscrowd", coco(every("annotations", iscrowd=...))),
    row(
        "iscrowd true",
        coco(lambda content: content["annotations"][1].update(iscrowd=True)),
        boxes={**USUAL, "b.png": []},
        crowds=1,
    ),
    refused("iscrowd 2", coco(first("annotations", iscrowd=2)), "/annotations/0/iscrowd: must be 0 or 1, not 2"),
    row("U8 area in a list", coco(first("annotations", area=[9])), "1 value is a number in another form"),
    row("area as text", coco(first("annotations", area="9")), "1 value is a number in another form"),
    row(
        "bbox as text", coco(first("annotations", bbox=["4", "6.0", "10", "20"])), "4 values are numbers in other forms"
    ),
    row(
        "U8 a polygon without a box",
        coco(both(NO_BOX, first("annotations", segmentation=POLYGON))),
        "1 annotation has no usable box",
    ),
    row(
        "a flat polygon without a box",
        coco(both(NO_BOX, first("annotations", segmentation=POLYGON[0]))),
        "no usable box",
    ),
    row(
        "a mask without a box",
        coco(both(NO_BOX, first("annotations", segmentation={"size": [40, 60], "counts": RUNS}))),
        "no usable box",
    ),
    row(
        "a box of zeros with a polygon",
        coco(first("annotations", bbox=[0, 0, 0, 0], segmentation=POLYGON)),
        "no usable box",
    ),
    row("an empty box with a polygon", coco(first("annotations", bbox=[], segmentation=POLYGON)), "no usable box"),
    row(
        "a box of NaN with a polygon",
        coco(first("annotations", bbox=[float("nan")] * 4, segmentation=POLYGON)),
        "no usable box",
    ),
    row("an empty segmentation", coco(every("annotations", segmentation=[]))),
    refused("neither box nor polygon", coco(NO_BOX), "/annotations/0/bbox: is missing"),
    refused(
        "a broken mask without a box",
        coco(both(NO_BOX, first("annotations", segmentation={"size": [40, 60], "counts": [1, 2]}))),
        "/annotations/0/segmentation: the runs of a mask must be at least 0 and fill its size",
    ),
    refused(
        "a box of NaN",
        coco(first("annotations", bbox=[float("nan"), 1, 2, 3])),
        "/annotations/0/bbox/0: must be a finite",
    ),
    refused(
        "a box of words",
        coco(first("annotations", bbox=["left", 1, 2, 3])),
        "/annotations/0/bbox/0: must be a number, not 'left'",
    ),
    refused("a box of three", coco(first("annotations", bbox=[1, 2, 3])), "/annotations/0/bbox: must be four numbers"),
    refused(
        "enormous coordinates",
        coco(first("annotations", bbox=[10**400, 1, 2, 3])),
        "/annotations/0/bbox/0: must be a number",
    ),
    row("a negative width", coco(first("annotations", bbox=[4, 6, -10, 20])), boxes={**USUAL, "a.png": [("dog", DOG)]}),
    row("U8 width -1", coco(first("images", width=-1)), "1 image has no usable size in the annotations"),
    row(
        "no width and height",
        coco(every("images", width=..., height=...)),
        "3 images have no usable size in the annotations",
    ),
    row("width 0", coco(first("images", width=0)), "1 image has no usable size"),
    row("width null", coco(first("images", width=None)), "1 image has no usable size"),
    row("width as text", coco(first("images", width="60")), "1 value is a number in another form"),
    row("width as float", coco(first("images", width=60.0))),
    refused("another width", coco(first("images", width=61)), "60x40 px upright, but the annotations say 61x40"),
    row(
        "a size before the EXIF turn, and boxes with it",
        photograph(60, 40, [30, 6, 20, 10]),
        "1 image is annotated as it is stored; its boxes are turned upright with it: a.jpg",
        "1 image is turned upright",
        boxes={"a.jpg": [("cat", [24.0, 30.0, 34.0, 50.0])]},
    ),
    row(
        "a size before the EXIF turn, and boxes after it",
        photograph(60, 40, [6, 30, 10, 28]),
        "1 image has the size before its EXIF turn",
        boxes={"a.jpg": [("cat", [6.0, 30.0, 16.0, 58.0])]},
    ),
    row(
        "a size after the EXIF turn",
        photograph(40, 60, [6, 30, 10, 28]),
        boxes={"a.jpg": [("cat", [6.0, 30.0, 16.0, 58.0])]},
    ),
    row(
        "ids as text",
        coco(
            both(
                every("categories", id="x"),
                lambda content: content["categories"].pop(),
                every("annotations", category_id="x"),
            )
        ),
        boxes={**USUAL, "a.png": [("cat", CAT), ("cat", DOG)]},
    ),
    row("ids of images as text here, as numbers there", coco(first("images", id="1"))),
    refused("an id that is a list", coco(first("images", id=[1])), "/images/0/id: must be a whole number or text"),
    refused("no id of an image", coco(first("images", id=...)), "/images/0/id: is missing"),
    row("a byte order mark", coco(encoding="utf-8-sig")),
    row("UTF-16", coco(encoding="utf-16")),
    row(
        "repeated annotations",
        coco(lambda content: content["annotations"].append({**content["annotations"][0], "id": 99})),
        "1 object is the exact repetition of another and is left out: a.png",
    ),
    row(
        "the same annotation twice, with its id",
        coco(lambda content: content["annotations"].append(content["annotations"][0].copy())),
        "1 object is the exact repetition",
    ),
    refused(
        "an id for two annotations",
        coco(lambda content: content["annotations"][1].update(id=1)),
        "/annotations/1/id: 1 is already at /annotations/0/id",
    ),
    refused("no annotations", coco(lambda content: content.update(annotations=[])), "no class has a box"),
    refused("no categories", coco(lambda content: content.pop("categories")), "/categories: is missing"),
    refused("a list of results", coco(annotations="x.json"), "there is no file", options={"annotations": "y.json"}),
    refused(
        "results instead of annotations",
        lambda folder: all_of(coco(), lambda path: text(path / "instances.json", "[]"))(folder),
        "must be an object with `images`",
    ),
    row(
        "images without annotations",
        all_of(coco(), lambda folder: picture(folder / "images" / "z.png")),
        "1 image has no annotations and is not used: z.png",
    ),
    row(
        "a listed image without objects",
        coco(lambda content: content.update(annotations=content["annotations"][::2] + content["annotations"][3:])),
        boxes={**USUAL, "b.png": []},
    ),
    row(
        "other files among the images",
        all_of(
            coco(),
            lambda folder: text(folder / "images" / "notes.txt", "x"),
            lambda folder: text(folder / "images" / ".DS_Store", "x"),
        ),
        "1 file is not an image and is not read: notes.txt",
        "1 hidden or system entry is passed over: .DS_Store",
    ),
    row(
        "names in folders",
        lambda folder: (
            picture(folder / "images" / "in" / "a.png"),
            coco(renamed("in/a.png"))(folder),
            (folder / "images" / "a.png").unlink(),
        ),
    ),
    row(
        "names with backslashes",
        lambda folder: (
            picture(folder / "images" / "in" / "a.png"),
            coco(renamed("in\\a.png"))(folder),
            (folder / "images" / "a.png").unlink(),
        ),
        "1 image is named with backslashes",
        boxes={"in\\a.png": USUAL["a.png"], "b.png": USUAL["b.png"], "c.png": USUAL["c.png"]},
    ),
    row(
        "names that are percent-encoded",
        lambda folder: (
            picture(folder / "images" / "a b.png"),
            coco(renamed("a%20b.png"))(folder),
            (folder / "images" / "a.png").unlink(),
        ),
        "1 image's name is percent-encoded",
        boxes={"a%20b.png": USUAL["a.png"], "b.png": USUAL["b.png"], "c.png": USUAL["c.png"]},
    ),
    row(
        "names in other case",
        coco(renamed("A.PNG")),
        "1 image's name differs from its file in upper and lower case",
        boxes={"A.PNG": USUAL["a.png"], "b.png": USUAL["b.png"], "c.png": USUAL["c.png"]},
    ),
    refused("names that lead out", coco(renamed("../a.png")), "/images/0/file_name: must be a path inside"),
    row(
        "only an address",
        coco(first("images", file_name=..., coco_url="http://example.org/train/a.png")),
        "1 image is named by its address only: instances.json a.png",
    ),
    refused("an image that is missing", coco(renamed("d.png")), "there is no image", "d.png"),
    refused(
        "corners instead of sizes",
        coco(
            lambda content: (
                [
                    one.update(bbox=[30 + place, 20, 58, 38])
                    for place, one in enumerate([*content["annotations"], *map(dict, content["annotations"])])
                ]
                and content["annotations"].extend(
                    {**content["annotations"][0], "id": 50 + place, "bbox": [20 + place, 20, 50, 39]}
                    for place in range(4)
                )
            )
        ),
        "write each `bbox` as left, top, width, height",
    ),
    row(
        "Roboflow",
        roboflow,
        "train/_annotations.coco.json (train)",
        "valid/_annotations.coco.json (validation)",
        "class without a box is left out: pets",
        boxes={**SPLIT_USUAL, "e.png": [("cat", CAT)]},
        sizes=(3, 1, 1),
    ),
    row(
        "COCO's own layout",
        official,
        "annotations/instances_val2017.json (validation)",
        "1 other file of annotations is not read: annotations/captions_train2017.json",
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row("Label Studio", coco(annotations="result.json"), "annotations are read from result.json (train)"),
    row("CVAT", coco(annotations="annotations/instances_default.json"), "annotations/instances_default.json (train)"),
    row("FiftyOne", coco(annotations="labels.json", images="data"), "labels.json (train)"),
    row("images beside the annotations", coco(annotations="annotations.json", images="."), "annotations.json (train)"),
    refused(
        "two files for one split",
        all_of(coco(annotations="train_a.json"), coco(annotations="train_b.json")),
        "train_a.json, train_b.json may be annotations of train: name one",
    ),
    refused(
        "no annotations at all",
        lambda folder: picture(folder / "images" / "a.png"),
        "there is no file of annotations (*.json)",
    ),
    refused(
        "images that are nowhere",
        lambda folder: text(folder / "annotations.json", json.dumps(document())),
        "such as a.png, are in none of",
    ),
    refused(
        "all faults at once",
        coco(
            both(
                first("annotations", bbox=[1]),
                lambda content: content["annotations"][1].update(iscrowd=3),
                renamed("/a.png"),
            )
        ),
        "/annotations/0/bbox",
        "/annotations/1/iscrowd",
        "/images/0/file_name",
    ),
    refused(
        "a class that is only validated on",
        all_of(
            coco(),
            coco(
                both(every("annotations", category_id=3), categories({"id": 3, "name": "cow"})),
                annotations="val.json",
                numbers="d",
            ),
        ),
        "class 'cow' is in 1 image(s) of the validation split, but in none to train on",
        options={"validation_annotations": "val.json"},
    ),
    row(
        "categories with other ids in another file",
        all_of(
            coco(),
            coco(
                both(
                    every("annotations", category_id=7),
                    lambda content: content.update(categories=[{"id": 7, "name": "cat"}]),
                ),
                annotations="val.json",
                numbers="d",
            ),
        ),
        options={"validation_annotations": "val.json"},
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
]


@pytest.mark.parametrize("case", COCO, ids=lambda case: case.id)
def test_coco(case: Row, tmp_path: Path) -> None:
    check(case, tmp_path, {"format": "coco", **case.options})


# ---- voc -------------------------------------------------------------------------------------------------------------


def voc_object(name: str, box: list[float], more: str = "") -> str:
    """Return an object whose box is counted from pixel 1, to the last pixel."""
    sides = (box[0] + 1, box[1] + 1, box[2], box[3])
    return f"<object><name>{name}</name>{more}<bndbox>{corner_tags(sides)}</bndbox></object>"


def corner_tags(sides: tuple[float, ...]) -> str:
    return "".join(
        f"<{tag}>{side:g}</{tag}>" for tag, side in zip(("xmin", "ymin", "xmax", "ymax"), sides, strict=True)
    )


def voc_file(name: str, *objects: str, size: tuple[int, int] = SIZE) -> str:
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{sides}{''.join(objects)}</annotation>"


CAT_XML, DOG_XML = voc_object("cat", CAT), voc_object("dog", DOG)


def voc(
    annotations: str = "Annotations", images: str = "JPEGImages", numbers: str = "abc", **files: str
) -> Callable[[Path], None]:
    """Return what writes an xml file per image; `files` replace the content of some."""

    def build(folder: Path) -> None:
        for name in numbers:
            picture(folder / images / f"{name}.png")
            usual = voc_file(f"{name}.png", CAT_XML, *([DOG_XML] if name == "a" else []))
            text(folder / annotations / f"{name}.xml", files.get(name, usual))

    return build


def lists(**names: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for name, stems in names.items():
            text(folder / "ImageSets" / "Main" / f"{name}.txt", "\n".join(stems) + "\n")

    return build


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
ENTITY = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'

VOC = [
    row("U13 the devkit without lists", voc(), "coordinates count pixels from 1"),
    row("U13 xml beside the images", voc("in", "in")),
    row("annotations and images in folders of other names", voc("annotations", "images")),
    row("Roboflow", all_of(voc("train", "train"), voc("valid", "valid", "d")), boxes=SPLIT_USUAL, sizes=(3, 1, None)),
    row(
        "the devkit with lists",
        all_of(voc(numbers="abcd"), lists(train="abc", val="d", trainval="abcd", test="z")),
        "1 listed image of the test split has no annotations: z",
        "train.txt, val.txt",
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row(
        "a list of trainval and test",
        all_of(voc(numbers="abcd"), lists(trainval="abc", test="d")),
        boxes=SPLIT_USUAL,
        sizes=(3, None, 1),
    ),
    refused(
        "a list of images without annotations",
        all_of(voc(), lists(train="abz", val="c")),
        "train.txt lists images without annotations: z",
    ),
    row("VOCdevkit around a year", lambda folder: voc()(folder / "VOCdevkit" / "VOC2007")),
    refused(
        "several years",
        lambda folder: all_of(voc("VOC2007/Annotations"), voc("VOC2012/Annotations"))(folder),
        "several years",
    ),
    row(
        "difficult objects",
        voc(a=voc_file("a.png", CAT_XML, DOG_XML, voc_object("cat", [1, 1, 9, 9], "<difficult>1</difficult>"))),
        "1 image has difficult objects",
        crowds=1,
    ),
    row(
        "truncated objects",
        voc(b=voc_file("b.png", voc_object("cat", CAT, "<truncated>1</truncated><pose>Left</pose>"))),
    ),
    row(
        "coordinates from 0",
        voc(b=voc_file("b.png", f"<object><name>cat</name><bndbox>{corner_tags((0, 6, 14, 26))}</bndbox></object>")),
        "coordinates count pixels from 0, as boxes begin at 0",
        boxes={
            "a.png": [("cat", [5.0, 7.0, 14.0, 26.0]), ("dog", [21.5, 9.0, 32.5, 23.5])],
            "b.png": [("cat", [0.0, 6.0, 14.0, 26.0])],
            "c.png": [("cat", [5.0, 7.0, 14.0, 26.0])],
        },
    ),
    row(
        "no size", voc(b=f"<annotation><filename>b.png</filename>{CAT_XML}</annotation>"), "1 image has no usable size"
    ),
    row("a size of 0", voc(b=voc_file("b.png", CAT_XML, size=(0, 0))), "1 image has no usable size"),
    refused("another size", voc(b=voc_file("b.png", CAT_XML, size=(61, 40))), "but the annotations say 61x40"),
    row("another filename", voc(b=voc_file("x.jpg", CAT_XML)), "1 image is found by the name of its xml file"),
    row("a filename without its ending", voc(b=voc_file("b", CAT_XML))),
    refused(
        "a filename of another image", voc(b=voc_file("c.png", CAT_XML)), "may be about", "rename it like its image"
    ),
    row(
        "names with spaces",
        voc(b=voc_file("b.png", voc_object("traffic light", CAT))),
        boxes={**USUAL, "b.png": [("traffic light", CAT)]},
    ),
    row("an image without objects", voc(b=voc_file("b.png")), boxes={**USUAL, "b.png": []}),
    row(
        "an image without xml",
        all_of(voc(), lambda folder: picture(folder / "JPEGImages" / "z.png")),
        "1 image has no annotations and is not used: z.png",
    ),
    row(
        "a polygon without a box",
        voc(
            b=voc_file(
                "b.png",
                "<object><name>cat</name><polygon><x1>4</x1><y1>6</y1><x2>14</x2><y2>6</y2><x3>14</x3><y3>26</y3></polygon></object>",
            )
        ),
        "1 image has objects with polygons",
    ),
    row(
        "parts of a person",
        voc(
            b=voc_file("b.png", voc_object("cat", CAT, "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"))
        ),
    ),
    refused(
        "an entity bomb",
        voc(b=BOMB + voc_file("b.png", CAT_XML)),
        "b.xml is no annotation of Pascal VOC: it declares entities",
    ),
    refused(
        "an external entity",
        voc(b=ENTITY + voc_file("&a;", CAT_XML)),
        "b.xml is no annotation of Pascal VOC: it declares entities",
    ),
    refused("deep xml", voc(b="<annotation>" * 100_000), "its elements are more than 50 deep"),
    refused("another root", voc(b="<annotations></annotations>"), "its root is <annotations>"),
    refused("broken xml", voc(b="<annotation>"), "b.xml is no annotation"),
    refused(
        "no box",
        voc(b=voc_file("b.png", "<object><name>cat</name></object>")),
        "object 1 has neither a <bndbox> nor a <polygon>",
    ),
    refused(
        "a coordinate that is no number",
        voc(b=voc_file("b.png", CAT_XML.replace(">5<", ">five<"))),
        "xmin of object 1 is 'five'",
    ),
    refused("two faulty files at once", voc(a="x", b="<annotation>"), "a.xml is no", "b.xml is no"),
    refused("no xml", lambda folder: picture(folder / "a.png"), "there is no file of annotations (*.xml)"),
]


@pytest.mark.parametrize("case", VOC, ids=lambda case: case.id)
def test_voc(case: Row, tmp_path: Path) -> None:
    check(case, tmp_path, {"format": "voc", **case.options})


# ---- yolo ------------------------------------------------------------------------------------------------------------


def yolo_line(label: int, box: list[float]) -> str:
    """Return the line of an object in an image of the usual size."""
    x, y, width, height = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
    return f"{label} {x / SIZE[0]:.8f} {y / SIZE[1]:.8f} {width / SIZE[0]:.8f} {height / SIZE[1]:.8f}"


CAT_LINE, DOG_LINE = yolo_line(0, CAT), yolo_line(1, DOG)
CORNERS = [(4, 6), (14, 6), (14, 26), (4, 26)]
POLYGON_LINE = "0 " + " ".join(f"{x / SIZE[0]:.8f} {y / SIZE[1]:.8f}" for x, y in CORNERS)
DATA = "train: images/train\nval: images/val\nnc: 2\nnames: [cat, dog]\n"


def yolo(
    images: str = "images/train",
    labels: str = "labels/train",
    numbers: str = "abc",
    yaml: str | None = None,
    **files: str | None,
) -> Callable[[Path], None]:
    """Return what writes a label file per image; `files` replace the content of some, None: no file."""

    def build(folder: Path) -> None:
        for name in numbers:
            picture(folder / images / f"{name}.png")
            usual = "\n".join([CAT_LINE, *([DOG_LINE] if name == "a" else [])])
            if (content := files.get(name, usual)) is not None:
                text(folder / labels / f"{name}.txt", content)
        if yaml is not None:
            text(folder / "data.yaml", yaml)

    return build


VALIDATED = yolo("images/val", "labels/val", "d")
NAMES = "names: [cat, dog]\n"

YOLO = [
    row(
        "U13 images and labels in folders of splits",
        all_of(yolo(yaml=DATA), VALIDATED),
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row(
        "names by number",
        all_of(yolo(yaml=DATA.replace("[cat, dog]", "{0: cat, 1: dog}")), VALIDATED),
        boxes=SPLIT_USUAL,
    ),
    row(
        "names that YAML would convert",
        yolo(yaml="names: [yes, 1]\n"),
        boxes={"a.png": [("1", DOG), ("yes", CAT)], "b.png": [("yes", CAT)], "c.png": [("yes", CAT)]},
    ),
    row(
        "Roboflow",
        all_of(
            yolo(
                "train/images",
                "train/labels",
                yaml="train: ../train/images\nval: ../valid/images\ntest: ../test/images\n" + NAMES,
            ),
            yolo("valid/images", "valid/labels", "d"),
            yolo("test/images", "test/labels", "e"),
        ),
        boxes={**SPLIT_USUAL, "e.png": [("cat", CAT)]},
        sizes=(3, 1, 1),
    ),
    row(
        "places of another machine",
        all_of(yolo(yaml="train: /content/pets/images/train\nval: /content/pets/images/val\n" + NAMES), VALIDATED),
        "data.yaml names /content/pets/images/train; read is images/train",
        boxes=SPLIT_USUAL,
    ),
    row("a base of another machine", all_of(yolo(yaml="path: /content/pets\n" + DATA), VALIDATED), boxes=SPLIT_USUAL),
    row(
        "lists of folders",
        all_of(yolo(yaml="train: [images/train, images/val]\n" + NAMES), VALIDATED),
        boxes=SPLIT_USUAL,
        sizes=(4, None, None),
    ),
    row(
        "a file that lists images",
        all_of(
            yolo(yaml="train: train.txt\nval:\n" + NAMES),
            lambda folder: text(folder / "train.txt", "./images/train/a.png\n/x/images/train/b.png\n"),
        ),
        "1 image has no annotations and is not used: images/train/c.png",
        boxes={name: USUAL[name] for name in ("a.png", "b.png")},
    ),
    row(
        "the same place for both",
        yolo(yaml="train: images/train\nval: images/train\n" + NAMES),
        "1 split has the same place as train and is not used: validation",
        sizes=(3, None, None),
    ),
    row("no data.yaml but classes.txt", all_of(yolo(), lambda folder: text(folder / "classes.txt", "cat\ndog\n"))),
    row("classes of the section", yolo(), options={"classes": ["cat", "dog"]}),
    row("labels beside the images", yolo("in", "in", yaml=NAMES)),
    row("a class without a box", yolo(yaml="names: [cat, dog, cow]\n"), "1 class without a box is left out: cow"),
    row("polygons", yolo(yaml=NAMES, b=POLYGON_LINE), "1 label file has lines of 7 or more", "taken as polygons"),
    row("a confidence", yolo(yaml=NAMES, b=CAT_LINE + " 0.9"), "1 label file has a sixth column"),
    row(
        "keypoints",
        yolo(yaml=NAMES + "kpt_shape: [2, 3]\n", b=CAT_LINE + " 0.1 0.1 2 0.2 0.2 2"),
        "1 label file has keypoints",
    ),
    row(
        "keypoints without visibility",
        yolo(yaml=NAMES + "kpt_shape: [2, 2]\n", b=CAT_LINE + " 0.1 0.1 0.9 0.9"),
        "1 label file has keypoints",
    ),
    row(
        "keypoints and classes of the section",
        yolo(yaml="kpt_shape: [2, 2]\n", b=CAT_LINE + " 0.1 0.1 0.9 0.9"),
        "1 label file has keypoints",
        options={"classes": ["cat", "dog"]},
    ),
    row(
        "keypoints inside the box without kpt_shape",
        yolo(yaml=NAMES, b="0 0.5 0.5 0.2 0.2 0.45 0.45 0.55 0.55"),
        "which are taken as polygons or oriented boxes",
        "need `kpt_shape`",
        boxes={**USUAL, "b.png": [("cat", [12.0, 8.0, 33.0, 22.0])]},
    ),
    row("kpt_shape of null", yolo(yaml=NAMES + "kpt_shape: null\n", b=POLYGON_LINE), "taken as polygons"),
    row(
        "nc without names",
        yolo(yaml="nc: 2\n"),
        "data.yaml names no class; they are called class_0, class_1",
        boxes={
            name: [(label.replace("cat", "class_0").replace("dog", "class_1"), box) for label, box in objects]
            for name, objects in USUAL.items()
        },
    ),
    row("classes of the section for nc", yolo(yaml="nc: 2\n"), options={"classes": ["cat", "dog"]}),
    row(
        "no label file",
        yolo(yaml=NAMES, b=None),
        "1 image has no label file and counts as without objects: images/train/b.png",
        boxes={**USUAL, "b.png": []},
    ),
    row("an empty label file", yolo(yaml=NAMES, b="\n"), boxes={**USUAL, "b.png": []}),
    row(
        "a label file without an image",
        all_of(yolo(yaml=NAMES), lambda folder: text(folder / "labels" / "train" / "z.txt", CAT_LINE)),
        "1 label file has no image and is not used: labels/train/z.txt",
    ),
    row("a byte order mark and other ends of lines", yolo(yaml=NAMES, b="\ufeff" + CAT_LINE + "\r\n")),
    row(
        "a box beyond the border",
        yolo(yaml=NAMES, b="0 0.95 0.5 0.2 0.5"),
        boxes={**USUAL, "b.png": [("cat", [51.0, 10.0, 60.0, 30.0])]},
    ),
    refused(
        "keypoints without kpt_shape",
        yolo(yaml=NAMES, b=CAT_LINE + " 0.1 0.1 2 0.2 0.2"),
        "labels/train/b.txt, line 1: 10 number(s) are no object",
    ),
    refused(
        "keypoints with visibility without kpt_shape",
        yolo(yaml=NAMES, b=CAT_LINE + " 0.1 0.1 2 0.2 0.2 2"),
        "line 1: 2 is no coordinate of a polygon",
        "keypoints need `kpt_shape`",
    ),
    refused(
        "other keypoints than kpt_shape",
        yolo(yaml=NAMES + "kpt_shape: [3, 2]\n", b=CAT_LINE + " 0.1 0.1 0.2 0.2"),
        "line 1: 9 number(s) are no object: by `kpt_shape`, it has 11, or 5",
    ),
    refused("a broken kpt_shape", yolo(yaml=NAMES + "kpt_shape: 17\n"), "`kpt_shape` must be the number of points"),
    refused("an nc of words", yolo(yaml="nc: two\n" + NAMES), "`nc` has 'two' in the place of a whole number"),
    refused("an nc without end", yolo(yaml="nc: 999999999\n"), "without `names`, it must be 1 to 10,000"),
    refused("an nc of 0", yolo(yaml="nc: 0\n"), "`nc` is 0"),
    refused("words as numbers of classes", yolo(yaml="names: {a: cat}\n"), "`names` has 'a' in the place of a whole"),
    refused("four numbers", yolo(yaml=NAMES, b="0 0.5 0.5 0.1"), "labels/train/b.txt, line 1: 4 number(s)"),
    refused("pixels", yolo(yaml=NAMES, b="0 9 16 10 20"), "line 1: 20 is no share of an image"),
    refused(
        "a number of a class out of range",
        yolo(yaml=NAMES, b="2 0.5 0.5 0.1 0.1"),
        "line 1: there is no class 2: the 2 classes have the numbers 0 to 1",
    ),
    refused("words", yolo(yaml=NAMES, b="cat 0.5 0.5 0.1 0.1"), "line 1: 'cat' is no finite number"),
    refused("NaN", yolo(yaml=NAMES, b="0 nan 0.5 0.1 0.1"), "line 1: 'nan' is no finite number"),
    refused("commas", yolo(yaml=NAMES, b="0,0.5,0.5,0.1,0.1"), "numbers with spaces between them"),
    refused("nc that differs", yolo(yaml="nc: 3\n" + NAMES), "`nc` is 3, but `names` has 2"),
    refused("names with gaps", yolo(yaml="names: {0: cat, 2: dog}"), "must be 0, 1, 2, ... without gaps"),
    refused("a name twice", yolo(yaml="names: [cat, cat]"), "classes 0 and 1 have the same name, cat"),
    refused("no names", yolo(yaml="train: images/train"), "data.yaml has no `names`"),
    refused("deep yaml", yolo(yaml="[" * 100_000), "is no description of a dataset"),
    refused(
        "a place that is missing",
        yolo(yaml="train: images/all\nval: images/none\n" + NAMES),
        "names images/all, which is not there",
        "names images/none",
    ),
    refused("no classes at all", yolo(), "neither data.yaml nor classes.txt"),
    refused("two faulty files at once", yolo(yaml=NAMES, a="x", b="y"), "a.txt, line 1", "b.txt, line 1"),
]


@pytest.mark.parametrize("case", YOLO, ids=lambda case: case.id)
def test_yolo(case: Row, tmp_path: Path) -> None:
    check(case, tmp_path, {"format": "yolo", **case.options})


def test_places_out_of_the_roots_are_refused_for_a_service(tmp_path: Path) -> None:
    yolo("secret/train", "secret/train")(tmp_path / "other")
    yolo(yaml=f"train: {tmp_path}/other/secret/train\n" + NAMES)(tmp_path / "root")
    options = {"format": "yolo", "within": [str(tmp_path / "root")]}
    with pytest.raises(InvalidInput, match="is not there, or leads out of"):
        read(tmp_path / "root", options)


# ---- csv -------------------------------------------------------------------------------------------------------------

TF = "filename,width,height,class,xmin,ymin,xmax,ymax"


def table(
    content: str | bytes, name: str = "annotations.csv", images: str = "images", numbers: str = "abc"
) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        for number in numbers:
            picture(folder / images / f"{number}.png")
        text(folder / name, content)

    return build


def lines(
    header: str | None = "file,xmin,ymin,xmax,ymax,label",
    form: str = "{file},{0:g},{1:g},{2:g},{3:g},{label}",
    numbers: str = "abc",
) -> str:
    """Return a row per object of the usual images."""
    rows = [(f"{number}.png", "cat", CAT) for number in numbers] + ([("a.png", "dog", DOG)] if "a" in numbers else [])
    body = [form.format(*box, file=name, label=label, stem=name[0]) for name, label, box in rows]
    return "\n".join([*([] if header is None else [header]), *body]) + "\n"


OPEN_IMAGES = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsGroupOf"


def open_images() -> str:
    rows = [("a", "cat", CAT), ("b", "cat", CAT), ("c", "cat", CAT), ("a", "dog", DOG)]
    body = [
        f"{stem},xclick,{label},1,{box[0] / 60:.8f},{box[2] / 60:.8f},{box[1] / 40:.8f},{box[3] / 40:.8f},0,0"
        for stem, label, box in rows
    ]
    return "\n".join([OPEN_IMAGES, *body, "b,xclick,dog,1,0.1,0.2,0.1,0.2,0,1"]) + "\n"


CSV = [
    row("U13 corners", table(lines()), "annotations are read from annotations.csv (train)"),
    row("TensorFlow", table(lines(TF, "{file},60,40,{label},{0:g},{1:g},{2:g},{3:g}"))),
    row("x1 to y2", table(lines("image,x1,y1,x2,y2,class"))),
    row("x0 to y1", table(lines("image,x0,y0,x1,y1,class"))),
    row("left, top, right, bottom", table(lines("path,left,top,right,bottom,name"))),
    row("names with blanks and capitals", table(lines("File Name,X_Min,Y_Min,X_Max,Y_Max,Class Name"))),
    row("RetinaNet without a header", table(lines(None)), "has no header"),
    row(
        "RetinaNet with an image without objects",
        table(lines(None) + "d.png,,,,,\n", numbers="abcd"),
        boxes={**USUAL, "d.png": []},
    ),
    row(
        "Open Images",
        table(open_images()),
        "shares of width and height",
        "are not read: annotations.csv Source",
        crowds=1,
    ),
    row("semicolons", table(lines().replace(",", ";"))),
    row("tabs", table(lines().replace(",", "\t"))),
    row("bars", table(lines().replace(",", "|"))),
    row("a named delimiter", table("sep=^\n" + lines().replace(",", "^"))),
    row("a chosen delimiter", table(lines().replace(",", "^")), options={"delimiter": "^"}),
    row("blanks before quotes", table(lines(form='"{file}", {0:g}, {1:g}, {2:g}, {3:g}, "{label}"'))),
    row("a byte order mark", table(lines().encode("utf-8-sig"))),
    row("UTF-16", table(lines().encode("utf-16"))),
    row("ends of lines of Windows", table(lines().replace("\n", "\r\n"))),
    row("quotes", table(lines(form='"{file}",{0:g},{1:g},{2:g},{3:g},"{label}"'))),
    row(
        "sides",
        table(
            "image,x,y,w,h,label\na.png,4,6,10,20,cat\na.png,20.5,8,12,15.5,dog\nb.png,4,6,10,20,cat\nc.png,4,6,10,20,cat\n"
        ),
    ),
    row(
        "a column of splits",
        table(
            lines("file,xmin,ymin,xmax,ymax,label,split", "{file},{0:g},{1:g},{2:g},{3:g},{label},train")
            + "d.png,4,6,14,26,cat,Valid\n",
            numbers="abcd",
        ),
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row(
        "a table per split",
        all_of(table(lines(), "train.csv"), table(lines(numbers="d"), "val.csv", numbers="d")),
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row(
        "Roboflow",
        all_of(
            table(lines(), "train/_annotations.csv", "train"),
            table(lines(numbers="d"), "valid/_annotations.csv", "valid", "d"),
        ),
        boxes=SPLIT_USUAL,
        sizes=(3, 1, None),
    ),
    row(
        "paths of another machine",
        table(lines(form="/home/me/pets/{file},{0:g},{1:g},{2:g},{3:g},{label}")),
        "3 images are found by the last parts of their names",
    ),
    row(
        "a further column",
        table(lines("file,xmin,ymin,xmax,ymax,label,who", "{file},{0:g},{1:g},{2:g},{3:g},{label},me")),
        "1 column is not read: annotations.csv who",
    ),
    row("a size of 0", table(lines(TF, "{file},0,0,{label},{0:g},{1:g},{2:g},{3:g}")), "3 images have no usable size"),
    row("repeated rows", table(lines() + "b.png,4,6,14,26,cat\n"), "1 object is the exact repetition"),
    row("corners the wrong way round", table(lines() + "b.png,14,26,4,6,cat\n")),
    refused(
        "another size",
        table(lines(TF, "{file},61,40,{label},{0:g},{1:g},{2:g},{3:g}")),
        "but the annotations say 61x40",
    ),
    refused(
        "sizes that contradict each other",
        table(f"{TF}\na.png,60,40,cat,1,2,3,4\na.png,61,40,cat,1,2,3,4\n"),
        "a.png has different sizes",
    ),
    refused("no column of classes", table("file,xmin,ymin,xmax,ymax\na.png,1,2,3,4\n"), "no column names the classes"),
    refused("no columns of a box", table("file,label\na.png,cat\n"), "no four columns are a box"),
    refused("a column twice", table("file,file,label\na,b,c\n"), "columns 1 and 2 have the same name"),
    refused(
        "words for numbers",
        table("file,xmin,ymin,xmax,ymax,label\na.png,one,2,3,4,cat\n"),
        "line 2: 'one' is no finite number",
    ),
    refused("half a box", table("file,xmin,ymin,xmax,ymax,label\na.png,1,2,,,cat\n"), "line 2: '' is no finite number"),
    refused("a box without a class", table("file,xmin,ymin,xmax,ymax,label\na.png,1,2,3,4,\n"), "line 2: its class"),
    refused(
        "an unknown split",
        table("file,xmin,ymin,xmax,ymax,label,split\na.png,1,2,3,4,cat,hidden\n"),
        "line 2: 'hidden' is none of train, validation, test",
    ),
    refused(
        "rows of other lengths",
        table("file,xmin,ymin,xmax,ymax,label\na.png,1,2,3\n"),
        "line 2 has 4 cell(s), line 1 has 6",
    ),
    refused("an image that is missing", table(lines() + "z.png,1,2,3,4,cat\n"), "there is no image", "z.png"),
    refused("Latin-1", table(lines().replace("cat", "k\xe4tzchen").encode("latin-1")), "is not text in UTF-8 (line 2)"),
    refused("UTF-16 without its mark", table(lines().encode("utf-16-le")), "has a zero byte in line 1"),
    refused(
        "commas in numbers",
        table("file;xmin;ymin;xmax;ymax;label\na.png;1;2;3,5;4;cat\n"),
        "line 2: '3,5' is no finite number",
    ),
    refused(
        "two delimiters that fit",
        table("a.png;1,5;2,5;3,5;4,5;cat\n"),
        "can be divided by each of ',', ';': set `delimiter`",
    ),
    refused("an open quote", table(lines() + 'b.png,1,2,3,4,"cat\n'), "cannot be read at line 6"),
    refused("a single column", table("file\na.png\n"), "has a single column"),
    refused("a letter as delimiter", table(lines()), "delimiter", options={"delimiter": "a"}),
    refused("an empty table", table(""), "is empty"),
    refused("no table", lambda folder: picture(folder / "a.png"), "there is no file of annotations (*.csv)"),
]


@pytest.mark.parametrize("case", CSV, ids=lambda case: case.id)
def test_csv(case: Row, tmp_path: Path) -> None:
    check(case, tmp_path, {"format": "csv", **case.options})


@pytest.mark.parametrize("name", ["coco", "voc", "yolo", "csv"])
def test_whatever_else_a_folder_holds_is_named(name: str, tmp_path: Path) -> None:
    SAME[name](tmp_path)
    text(tmp_path / "README.md", "by hand")
    picture(tmp_path / "spare" / "z.png")
    notes = "\n".join(read(tmp_path, {"format": name}).notes)
    assert "is not an image and is not read: README.md" in notes
    assert "1 image has no " in notes
    assert "spare/z.png" in notes


def test_lists_and_annotations_are_named_once(tmp_path: Path) -> None:
    all_of(voc(numbers="abcd"), lists(train="abc", val="d", test="z"))(tmp_path / "voc")
    assert ".txt:" not in (notes := "\n".join(read(tmp_path / "voc", {"format": "voc"}).notes))
    assert "not read" not in notes
    all_of(table(lines(), "train.csv"), table("a,b", "classes.csv"))(tmp_path / "csv")
    notes = "\n".join(read(tmp_path / "csv", {"format": "csv"}).notes)
    assert notes.count("classes.csv") == 1


def test_a_table_is_a_path_of_its_own(tmp_path: Path) -> None:
    table(lines())(tmp_path)
    assert boxes_of(read(tmp_path / "annotations.csv", {"format": "csv"})) == USUAL


# ---- all formats -----------------------------------------------------------------------------------------------------

SAME = {
    "coco": coco(),
    "voc": voc(),
    "yolo": yolo(yaml=NAMES),
    "csv": table(lines()),
}


def test_the_same_scenes_are_the_same_in_every_format(tmp_path: Path) -> None:
    for name, build in SAME.items():
        build(tmp_path / name)
        scenes = read(tmp_path / name, {"format": name})
        assert boxes_of(scenes) == USUAL
        assert scenes.classes == ("cat", "dog")
        assert dict(scenes.counts) == {**dict.fromkeys(scenes.counts, 0), "boxes": 4}


@pytest.mark.parametrize("name", SAME)
def test_a_dataset_is_read_again_if_a_file_changes(name: str, tmp_path: Path) -> None:
    SAME[name](tmp_path)
    section = {"name": "pets", "format": name, "path": str(tmp_path)}
    before = data.fingerprint(section)
    assert data.fingerprint(section) == before
    file = next(path for path in sorted(tmp_path.rglob("*")) if path.suffix in (".json", ".xml", ".txt", ".csv"))
    text(file, file.read_bytes() + b"\n")
    assert data.fingerprint(section) != before


@pytest.mark.parametrize("name", SAME)
def test_links_out_of_the_roots_are_refused_for_a_service(name: str, tmp_path: Path) -> None:
    SAME[name](tmp_path / "root")
    image = next((tmp_path / "root").rglob("b.png"))
    image.rename(tmp_path / "outside.png")
    image.symlink_to(tmp_path / "outside.png")
    assert boxes_of(read(tmp_path / "root", {"format": name})) == USUAL
    with pytest.raises(InvalidInput, match="it leads out of"):
        read(tmp_path / "root", {"format": name, "within": [str(tmp_path / "root")]})

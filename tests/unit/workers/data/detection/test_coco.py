"""Datasets in COCO's format: reading, counting, splitting, and refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from searchsvc.errors import InvalidInput
from tests.support.scenes import Change, add, document, section, write
from workers.data.detection import DetectionDataset, load
from workers.data.detection.dataset import Decoded, Scenes, strata
from workers.data.detection.digits_scenes import CLASSES, generated
from workers.data.detection.picturefiles import PictureFiles

NOTHING = ("crowd_regions", "images_without_boxes", "boxes_cut", "boxes_outside", "boxes_degenerate")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images of cats and dogs."""
    write(tmp_path, document())
    return tmp_path


def changed(folder: Path, change: Change, **options: Any) -> dict[str, Any]:
    """Return the section for the folder, after a change of its annotations."""
    content = document()
    change(content)
    (folder / "instances.json").write_text(json.dumps(content))
    return section(folder, **options)


def fault(dataset: dict[str, Any]) -> tuple[str, str]:
    """Return (pointer, message) of the first fault."""
    with pytest.raises(InvalidInput) as caught:
        load(dataset)
    return caught.value.faults[0].pointer, caught.value.faults[0].message


def everything(dataset: DetectionDataset) -> list[Scenes]:
    return [dataset.train, dataset.validation, dataset.test]


def scene(dataset: DetectionDataset, name: str) -> tuple[Scenes, int]:
    """Return the split that has the image, and its position there."""
    [match] = [(part, part.names.index(name)) for part in everything(dataset) if name in part.names]
    return match


# ---- what is read ----------------------------------------------------------------------------------------------------


def test_categories_become_classes_in_the_order_of_their_ids(folder: Path) -> None:
    dataset = load(section(folder))
    part, position = scene(dataset, "1.png")
    assert dataset.classes == ("cat", "dog")
    assert part.truths[position].labels.tolist() == [0, 1]


def test_boxes_are_corners_and_keep_the_stated_area(folder: Path) -> None:
    part, position = scene(load(section(folder)), "1.png")
    truth = part.truths[position]
    assert truth.boxes.tolist() == [[4, 6, 14, 26], [20.5, 8, 32.5, 23.5]]
    assert truth.areas.tolist() == [200, 90]
    assert part.sizes[position].tolist() == [60, 40]


def test_boxes_that_need_care_are_handled_and_counted(folder: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["annotations"] = [one for one in content["annotations"] if one["image_id"] not in (100, 103)]
        add(content, 0, [-5, 30, 15, 40], 3, area=600.0)  # of 40x60 px: cut on the left and below
        add(content, 1, [10, 70, 20, 20], 3)  # below the image
        add(content, 1, [10, 10, 0, 20], 3)
        add(content, 1, [10, 10, 5, -2], 7)
        add(content, 2, [0, 0, 30, 30], 7, iscrowd=1)
        add(content, 2, [30, 30, 18.01, 18], 3)  # 0.01 px too far: rounding

    dataset = load(changed(folder, change))
    assert dataset.info.counts == {
        "boxes": 12 + 6 - 3 + 2,
        "crowd_regions": 1,
        "images_without_boxes": 1,
        "boxes_cut": 1,
        "boxes_outside": 1,
        "boxes_degenerate": 2,
    }
    part, position = scene(dataset, "0.png")
    assert part.truths[position].boxes.tolist() == [[0, 30, 10, 40]]
    assert part.truths[position].areas.tolist() == [100]
    part, position = scene(dataset, "2.png")
    assert part.truths[position].crowd.tolist() == [False, True, False]
    assert part.truths[position].boxes.max() == 48
    part, position = scene(dataset, "3.png")
    assert part.truths[position].boxes.shape == (0, 4)


def test_a_sound_file_counts_its_boxes_and_nothing_else(folder: Path) -> None:
    assert load(section(folder)).info.counts == {"boxes": 18, **dict.fromkeys(NOTHING, 0)}


def test_images_keep_their_ratio_and_are_only_made_smaller(folder: Path) -> None:
    part, position = scene(load(section(folder, size=32)), "0.png")
    assert part.pictures[position].shape == (3, 21, 32)
    part, position = scene(load(section(folder, size=320)), "0.png")
    with Image.open(folder / "images" / "0.png") as image:
        assert np.array_equal(part.pictures[position], np.asarray(image).transpose(2, 0, 1))


def test_a_photograph_is_turned_upright(folder: Path) -> None:
    with Image.open(folder / "images" / "0.png") as image:
        upright = np.asarray(image)
        exif = Image.Exif()
        exif[0x0112] = 6  # shown after a quarter turn clockwise
        image.transpose(Image.Transpose.ROTATE_90).save(folder / "images" / "0.png", exif=exif)
    part, position = scene(load(section(folder)), "0.png")
    assert np.array_equal(part.pictures[position], upright.transpose(2, 0, 1))


def test_images_beyond_the_memory_stay_in_their_files_and_are_the_same(folder: Path) -> None:
    needed = 3 * 4 * (40 * 60 + 60 * 40 + 48 * 48)
    in_memory, in_files = load(section(folder, memory_bytes=needed)), load(section(folder, memory_bytes=needed - 1))
    for decoded, undecoded in zip(everything(in_memory), everything(in_files), strict=True):
        assert isinstance(decoded.pictures, Decoded)
        assert isinstance(undecoded.pictures, PictureFiles)
        assert decoded.names == undecoded.names
        assert all(np.array_equal(decoded.pictures[place], undecoded.pictures[place]) for place in range(len(decoded)))
    assert (in_memory.mean, in_memory.std) == (in_files.mean, in_files.std)


def test_mean_and_deviation_are_those_of_the_train_split(folder: Path) -> None:
    dataset = load(section(folder))
    pixels = np.concatenate([dataset.train.pictures[k].reshape(3, -1) for k in range(len(dataset.train))], 1)
    assert dataset.mean == pytest.approx(pixels.mean(1))
    assert dataset.std == pytest.approx(pixels.std(1))


def test_a_dataset_is_read_once_until_a_file_changes(folder: Path) -> None:
    first = load(section(folder))
    assert load(section(folder)) is first
    os.utime(folder / "images" / "4.png", ns=(1, 1))
    assert load(section(folder)) is not first


def test_scenes_written_as_files_are_read_as_they_were(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    shades, labels = random.integers(0, 17, (40, 8, 8)).astype(float), np.arange(40) % 10
    images, content = generated(shades, labels, 40, 96, random)
    (tmp_path / "images").mkdir()
    for image, pixels in zip(content["images"], images, strict=True):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "images" / image["file_name"])
    (tmp_path / "instances.json").write_text(json.dumps(content))
    dataset = load(section(tmp_path, size=96))
    assert dataset.classes == CLASSES
    for number, image in enumerate(content["images"]):
        part, position = scene(dataset, image["file_name"])
        assert np.array_equal(part.pictures[position], images[number])
        boxes = [note["bbox"] for note in content["annotations"] if note["image_id"] == image["id"]]
        assert [[x, y, x + w, y + h] for x, y, w, h in boxes] == part.truths[position].boxes.tolist()


def test_playing_cards_are_read(shared: Path) -> None:
    path = str(shared / "data/detection/playing_cards_320")
    own = {"annotations": "instances_train.json", "test_annotations": "instances_val.json"}
    dataset = load({"name": "cards", "format": "coco", "path": path, **own})
    assert dataset.classes == ("ace", "jack", "king", "nine", "queen", "ten")
    assert dataset.info.shape == (3, 320, 320)
    assert dict(dataset.info.sizes) == {"train": 237, "validation": 59, "test": 67}
    assert dataset.info.counts == {"boxes": 527 + 143, **dict.fromkeys(NOTHING, 0)}


# ---- splits ----------------------------------------------------------------------------------------------------------


def test_splits_share_no_image_and_cover_all(folder: Path) -> None:
    names = [part.names for part in everything(load(section(folder)))]
    assert sorted(name for part in names for name in part) == sorted(f"{number}.png" for number in range(12))
    assert [len(part) for part in names] == [8, 2, 2]


def test_the_split_follows_from_its_seed(folder: Path) -> None:
    first, again = (load(section(folder, split_seed=4, name=name)) for name in ("one", "other"))
    others = [load(section(folder, split_seed=seed)).test.names for seed in range(5, 9)]
    assert first.test.names == again.test.names
    assert any(names != first.test.names for names in others)


def test_every_split_has_a_share_of_a_rare_class(folder: Path) -> None:
    content = document(60)
    content["annotations"] = [
        one for one in content["annotations"] if one["category_id"] == 3 or one["image_id"] >= 154
    ]
    write(folder, content)
    for seed in range(5):
        for part in everything(load(section(folder, split_seed=seed))):
            assert any(1 in truth.classes for truth in part.truths)


def test_an_image_belongs_to_its_rarest_class(folder: Path) -> None:
    content = document(6)
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != 104]
    write(folder, content)
    dataset = load(section(folder))
    rarest = {
        name: int(stratum)
        for part in everything(dataset)
        for name, stratum in zip(part.names, strata(part.truths, 2), strict=True)
    }
    assert {name for name, stratum in rarest.items() if stratum == 2} == {"4.png"}


def test_smaller_fractions_are_subsets_of_larger_ones(folder: Path) -> None:
    write(folder, document(90))
    dataset = load(section(folder))
    smaller: set[str] = set()
    for fraction in (0.05, 0.3, 0.8, 1.0):
        part = dataset.subset(fraction)
        assert smaller <= set(part.names)
        assert abs(len(part) - fraction * len(dataset.train)) <= 2
        smaller = set(part.names)


def test_files_of_their_own_are_validation_and_test(folder: Path) -> None:
    parts = {"instances.json": range(8), "validation.json": range(8, 10), "test.json": range(10, 12)}
    for name, numbers in parts.items():
        content = document()
        for key, identity in (("images", "id"), ("annotations", "image_id")):
            content[key] = [one for one in content[key] if one[identity] - 100 in numbers]
        (folder / name).write_text(json.dumps(content))
    own = {"validation_annotations": "validation.json", "test_annotations": "test.json"}
    dataset = load(section(folder, **own))
    assert dict(dataset.info.sizes) == {"train": 8, "validation": 2, "test": 2}
    assert dataset.test.names == ("10.png", "11.png")
    assert dataset.info.counts["boxes"] == 18
    partly = load(section(folder, test_annotations="test.json"))
    assert dict(partly.info.sizes) == {"train": 6, "validation": 2, "test": 2}


def test_a_folder_of_its_own_holds_the_images_of_a_split(folder: Path, tmp_path: Path) -> None:
    content = document(3)
    write(tmp_path / "other", content)
    (folder / "val.json").write_text(json.dumps(content))
    own = {"validation_annotations": "val.json", "validation_images": "other/images"}
    assert load(section(folder, **own)).validation.names == ("0.png", "1.png", "2.png")


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("annotations"), "/annotations: is missing"),
        (lambda content: content.update(images=[]), "/images: must be a list with at least 1 entry"),
        (lambda content: content["annotations"][3].pop("bbox"), "/annotations/3/bbox: is missing, and so is"),
        (lambda content: content["annotations"][3].update(bbox=[1, 2, 3]), "/annotations/3/bbox"),
        (lambda content: content["annotations"][3].update(bbox=[1, 2, 3, float("nan")]), "/annotations/3/bbox/3"),
        (lambda content: content["annotations"][3].update(image_id=9), "/annotations/3/image_id: there is no image 9"),
        (lambda content: content["annotations"][3].update(category_id=4), "/annotations/3/category_id: .*category 4"),
        (
            lambda content: content["annotations"][3].update(id=2),
            "/annotations/3/id: 2 is already at /annotations/1/id",
        ),
        (lambda content: content["images"][5].update(id=100), "/images/5/id: 100 is already at /images/0/id"),
        (
            lambda content: content["images"][5].update(file_name="./3.png"),
            "/images/5/file_name: '3.png' is already at",
        ),
        (
            lambda content: content["images"][5].update(file_name="../a.png"),
            "/images/5/file_name: must be a path inside",
        ),
        (lambda content: content["images"][5].update(file_name="/a.png"), "/images/5/file_name: must be a path inside"),
        (lambda content: content["images"][5].update(width="wide"), "/images/5/width: must be a number, not 'wide'"),
        (lambda content: content["categories"][1].update(name="dog"), "/categories/1/name: 'dog' is already at"),
        (lambda content: content.update(annotations=[]), "no class has a box: the annotations name cat, dog"),
    ],
)
def test_annotations_that_do_not_fit_are_pointed_at(folder: Path, change: Change, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        load(changed(folder, change))
    assert {one.pointer for one in caught.value.faults} == {"/annotations"}


def _without_dogs(content: dict[str, Any]) -> None:
    content["annotations"] = [one for one in content["annotations"] if one["category_id"] == 3]


def _only_crowds_of_dogs(content: dict[str, Any]) -> None:
    for annotation in content["annotations"]:
        annotation["iscrowd"] = int(annotation["category_id"] == 7)


@pytest.mark.parametrize("change", [_without_dogs, _only_crowds_of_dogs])
def test_a_category_without_an_object_is_left_out_and_named(folder: Path, change: Change) -> None:
    dataset = load(changed(folder, change))
    assert dataset.classes == ("cat",)
    assert dataset.info.counts["boxes"] == 12
    assert dataset.info.counts["crowd_regions"] == 0
    assert "1 class without a box is left out: dog" in dataset.info.notes


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"[]", b'"text"'])
def test_a_file_that_is_no_json_of_instances_is_a_fault_of_its_option(folder: Path, content: bytes) -> None:
    (folder / "instances.json").write_bytes(content)
    pointer, message = fault(section(folder))
    assert pointer == "/annotations"
    assert str(folder / "instances.json") in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "there is no image"),
        (lambda path: path.write_bytes(b"no image"), "cannot be decoded"),
        (lambda path: path.write_bytes(path.read_bytes()[:300]), "cannot be decoded"),
        (lambda path: Image.new("RGB", (61, 40)).save(path), "61x40 px upright, but the annotations say 60x40"),
    ],
    ids=["missing", "text", "cut", "size"],
)
def test_an_image_that_cannot_be_used_is_named(folder: Path, change: Any, message: str) -> None:
    bad = folder / "images" / "3.png"
    change(bad)
    pointer, reported = fault(section(folder))
    assert pointer == "/path"
    assert str(bad) in reported
    assert message in reported


def test_an_image_that_is_also_tested_on_is_refused(folder: Path) -> None:
    (folder / "test.json").write_text(json.dumps(document(1)))
    pointer, message = fault(section(folder, test_annotations="test.json"))
    assert (pointer, message) == ("/test_annotations", "0.png is also among the images of annotations")


@pytest.mark.parametrize(("name", "known"), [("horse", False), ("dog", True)])
def test_categories_must_be_the_same_in_every_file(folder: Path, name: str, known: bool) -> None:
    content = document(2)
    content["categories"][0]["name"] = name
    for number, image in enumerate(content["images"]):
        image["file_name"] = f"other{number}.png"
    write(folder, content, "val.json")
    dataset = section(folder, validation_annotations="val.json")
    if known:
        assert load(dataset).classes == ("cat", "dog")
    else:
        pointer, message = fault(dataset)
        assert pointer == "/validation_annotations"
        assert "class 'horse' is in 1 image(s) of the validation split, but in none to train on" in message


def test_too_few_images_to_measure_on_are_refused(folder: Path) -> None:
    write(folder, document(2))
    assert fault(section(folder)) == (
        "/validation",
        "the 0 image(s) of the validation split have no box to measure on; it needs more images, or its own files",
    )


def test_a_split_of_its_own_without_a_box_is_refused(folder: Path) -> None:
    content = document(2) | {"annotations": []}
    for number, image in enumerate(content["images"]):
        image["file_name"] = f"empty{number}.png"
    write(folder, content, "test.json")
    pointer, message = fault(section(folder, test_annotations="test.json"))
    assert pointer == "/test"
    assert "the 2 image(s) of the test split have no box" in message


def test_each_class_needs_as_many_images_as_is_asked_for(folder: Path) -> None:
    assert "in 7 image(s) or more (min_images): 'dog' is in 6" in fault(section(folder, min_images=7))[1]


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"format": "boxes"}, "/format"),
        ({"path": "/no/such/folder"}, "/path"),
        ({"annotations": "no.json"}, "/annotations"),
        ({"annotations": "../instances.json"}, "/annotations"),
        ({"images": "no"}, "/images"),
        ({"test_annotations": "no.json"}, "/test_annotations"),
        ({"test_annotations": "instances.json", "test_images": "/"}, "/test_images"),
        ({"size": 8}, "/size"),
        ({"test": 1.0}, "/test"),
        ({"split_seed": -1}, "/split_seed"),
        ({"colour": True}, "/colour"),
    ],
)
def test_what_a_section_may_not_say_is_pointed_at(folder: Path, options: dict[str, Any], pointer: str) -> None:
    assert fault(section(folder, **options))[0] == pointer

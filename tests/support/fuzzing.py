"""Damaged files for the readers of data and specs: each must be read, or refused in our own words.

`python -m tests.support.fuzzing COUNT SEED [KIND ...]` damages the file of each kind COUNT times, and prints how many
were read and refused as JSON. It limits its own memory and the time of each reading, so it needs a process of its own.
An error that is no InvalidInput ends it; the message names the file and the seed that repeat the error.
"""

from __future__ import annotations

import faulthandler
import json
import random
import re
import resource
import shutil
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from searchsvc.domain.spec import JobSpec
from searchsvc.errors import InvalidInput
from searchsvc.service.documents.documents import load_document
from tests.support import box_files, scenes
from workers.data import classification, detection

MOST_BYTES: Final = 2**30
"""Memory that reading a damaged file may take, in addition to that of the process before."""
_LONGEST_SECONDS: Final = 120
_EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "fbnetv3.yaml"
_STRANGE: Final = (
    *(b"-1", b"0", b"1e309", b"-1e-320", b"NaN", b"Infinity", b"99999999999999999999", b"4294967296", b"1.5", b"true"),
    *(b"null", b'""', b"[]", b"{}", b"[[[[[[[[", b"\x00", b"\xff\xfe", b"\xed\xa0\x80"),
    *(b"<![CDATA[", b"&lol;", b"../../x"),
)
_TOKEN: Final = re.compile(rb"[-+.\w]+")

Damage: TypeAlias = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True, slots=True)
class FuzzedKind:
    """A kind of file to damage."""

    write: Callable[[Path], object]
    """Writes an undamaged example into a folder."""
    file: str
    """The file to damage."""
    read: Callable[[Path], object]
    """Reads the folder. Raises InvalidInput."""


def explore(kind: FuzzedKind, count: int, seed: int) -> Counter[str]:
    """Read an example `count` times, each time with other damage, and count what was read and refused."""
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        original = Path(folder, "original")
        original.mkdir()
        kind.write(original)
        kind.read(original)
        content = (original / kind.file).read_bytes()
        for number in range(seed, seed + count):
            damaged = Path(folder, str(number))
            shutil.copytree(original, damaged)
            (damaged / kind.file).write_bytes(_damaged(content, random.Random(number)))
            results[_outcome(kind, damaged, number)] += 1
            shutil.rmtree(damaged)
    return results


def _outcome(kind: FuzzedKind, folder: Path, seed: int) -> str:
    try:
        with _limited_time():
            kind.read(folder)
    except InvalidInput as refusal:
        return "refused" if all(fault.message.strip() for fault in refusal.faults) else "refused without a word"
    except BaseException as error:
        error.add_note(f"{kind.file}, damaged by the seed {seed}")
        raise
    return "read"


@contextmanager
def _limited_time() -> Iterator[None]:
    """End the process with a traceback if the body hangs."""
    faulthandler.dump_traceback_later(_LONGEST_SECONDS, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _damaged(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        content = chance.choice(DAMAGES)(content, chance)
    return content


def _cut(content: bytes, chance: random.Random) -> bytes:
    return content[: chance.randrange(len(content) + 1)]


def _flip(content: bytes, chance: random.Random) -> bytes:
    if not content:
        return content
    place = chance.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << chance.randrange(8)]) + content[place + 1 :]


def _remove(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[min(end, start + 64) :]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:end] * chance.choice((1, 1, 50)) + content[end:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content) + 1)
    return content[:place] + chance.choice((*_STRANGE, chance.randbytes(8))) + content[place:]


def _replace(content: bytes, chance: random.Random) -> bytes:
    """Replace a word or a number by something strange, or by another word of the file."""
    words = list(_TOKEN.finditer(content))
    if not words:
        return content
    word = chance.choice(words)
    other = chance.choice(words)[0] if chance.random() < 0.5 else chance.choice(_STRANGE)
    return content[: word.start()] + other + content[word.end() :]


DAMAGES: Final[tuple[Damage, ...]] = (_cut, _flip, _remove, _repeat, _insert, _replace, _replace, _replace)


def _read_boxes(name: str, folder: Path) -> object:
    return detection.raw({"name": "scenes", "format": name, "path": str(folder), "size": 64})


def _write_arrays(folder: Path) -> None:
    chance = np.random.default_rng(0)
    arrays: dict[str, Any] = {
        "x_train": chance.integers(0, 256, (20, 8, 8, 3), np.uint8),
        "y_train": np.arange(20) % 2,
        "x_test": chance.integers(0, 256, (6, 8, 8, 3), np.uint8),
        "y_test": np.arange(6) % 2,
    }
    np.savez(folder / "arrays.npz", **arrays)
    np.save(folder / "x_train.npy", arrays["x_train"])
    np.save(folder / "y_train.npy", arrays["y_train"])


def _read_arrays(name: str, path: str, folder: Path) -> object:
    return classification.raw({"name": "arrays", "format": name, "path": str(folder / path)})


def _read_packed(folder: Path) -> object:
    """Read the arrays of a folder from an archive: damage inside an archive does not reach the parser of arrays."""
    with zipfile.ZipFile(folder / "packed.npz", "w") as archive:
        for name in ("x_train.npy", "y_train.npy"):
            archive.write(folder / name, name)
    return _read_arrays("npz", "packed.npz", folder)


def _write_labels(folder: Path) -> None:
    box_files.write_csv(folder)
    rows = ["file,label", *(f"{number:02}.png,{'cat' if number % 2 else 'dog'}" for number in range(box_files.IMAGES))]
    (folder / "labels.csv").write_text("\n".join(rows))


def _read_labels(folder: Path) -> object:
    path, images = str(folder / "labels.csv"), str(folder / "images")
    return classification.raw({"name": "pets", "format": "csv", "path": path, "images": images})


def _read_spec(folder: Path) -> object:
    _, faults = JobSpec.read(load_document((folder / "spec.yaml").read_bytes()))
    if faults:
        raise InvalidInput(faults)
    return None


def _write_image(folder: Path) -> None:
    for label in box_files.CLASSES:
        box_files.write_csv(folder / label)
        (folder / label / "boxes.csv").unlink()


def _read_images(folder: Path) -> object:
    return classification.raw({"name": "pets", "format": "imagefolder", "path": str(folder), "size": 16})


KINDS: Final[dict[str, FuzzedKind]] = {
    "coco": FuzzedKind(
        lambda folder: scenes.write(folder, scenes.document()), "instances.json", partial(_read_boxes, "coco")
    ),
    "voc": FuzzedKind(box_files.write_voc, "Annotations/05.xml", partial(_read_boxes, "voc")),
    "yolo": FuzzedKind(box_files.write_yolo, "labels/05.txt", partial(_read_boxes, "yolo")),
    "data.yaml of yolo": FuzzedKind(box_files.write_yolo, "data.yaml", partial(_read_boxes, "yolo")),
    "csv of boxes": FuzzedKind(box_files.write_csv, "boxes.csv", partial(_read_boxes, "csv")),
    "csv of labels": FuzzedKind(_write_labels, "labels.csv", _read_labels),
    "npz": FuzzedKind(_write_arrays, "arrays.npz", partial(_read_arrays, "npz", "arrays.npz")),
    "array in npz": FuzzedKind(_write_arrays, "x_train.npy", _read_packed),
    "npy": FuzzedKind(_write_arrays, "x_train.npy", partial(_read_arrays, "npy", "")),
    "image": FuzzedKind(_write_image, "cat/images/05.png", _read_images),
    "spec": FuzzedKind(lambda folder: shutil.copy(_EXAMPLE, folder / "spec.yaml"), "spec.yaml", _read_spec),
}


def main() -> None:
    count, seed = (int(word) for word in sys.argv[1:3])
    kinds = {name: KINDS[name] for name in sys.argv[3:] or KINDS}
    for kind in kinds.values():  # imports and caches are not counted
        explore(kind, 1, seed)
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()  # data and stack
    resource.setrlimit(resource.RLIMIT_DATA, (used + MOST_BYTES, resource.RLIM_INFINITY))
    print(json.dumps({name: explore(kind, count, seed) for name, kind in kinds.items()}))


if __name__ == "__main__":
    main()

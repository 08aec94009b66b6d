"""TIFF files of kinds that Pillow reads but does not write: an uncompressed strip and the tags that describe it."""

from __future__ import annotations

import struct
from collections.abc import Mapping

SHORT, LONG = 3, 4
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS, ORIENTATION = 256, 257, 258, 259, 262, 273, 274
SAMPLES, ROWS, COUNTS, PLANES, EXTRA, SAMPLE_FORMAT, SUBSAMPLING = 277, 278, 279, 284, 338, 339, 530
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, YCBCR = 0, 1, 2, 6


def tiff(data: bytes, size: tuple[int, int], tags: Mapping[int, tuple[int, ...]], order: str = "<") -> bytes:
    """Return a file with the bytes of its only strip. `size`: (width, height); `order`: `<` or `>`, as in struct."""
    stated = {
        WIDTH: (size[0],),
        HEIGHT: (size[1],),
        BITS: (8,),
        COMPRESSION: (1,),
        PHOTOMETRIC: (BLACK_IS_ZERO,),
        SAMPLES: (1,),
        ROWS: (size[1],),
        COUNTS: (len(data),),
        **tags,
    }
    planes = stated[SAMPLES][0] if stated.get(PLANES) == (2,) else 1
    stated[OFFSETS] = tuple(8 + plane * (len(data) // planes) for plane in range(planes))
    stated[COUNTS] = (len(data) // planes,) * planes
    start, entries, behind = 8 + len(data), b"", b""
    free = start + 2 + 12 * len(stated) + 4  # where values that do not fit into their entries go
    for number, values in sorted(stated.items()):
        kind = LONG if number in (OFFSETS, COUNTS) else SHORT
        packed = struct.pack(f"{order}{len(values)}{'I' if kind == LONG else 'H'}", *values)
        if len(packed) > 4:
            field, behind = struct.pack(f"{order}I", free + len(behind)), behind + packed
        else:
            field = packed.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", number, kind, len(values)) + field
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + data + struct.pack(f"{order}H", len(stated)) + entries + bytes(4) + behind

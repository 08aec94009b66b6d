"""A contact sheet: pictures in rows, each with a caption below it."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Image as PillowImage

_GAP, _TEXT = 8, 18
_MOST_COLUMNS = 10


def contact_sheet(pictures: Iterable[tuple[PillowImage, str]], side: int) -> bytes:
    """Return the PNG of pictures, enlarged by whole factors or reduced so that they fit into squares of `side` px."""
    tiles = list(pictures)
    columns = min(_MOST_COLUMNS, max(1, math.ceil(math.sqrt(len(tiles)))))
    rows = math.ceil(len(tiles) / columns)
    size = columns * (side + _GAP) + _GAP, rows * (side + _TEXT + _GAP) + _GAP
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place, (picture, caption) in enumerate(tiles):
        row, column = divmod(place, columns)
        x, y = _GAP + column * (side + _GAP), _GAP + row * (side + _TEXT + _GAP)
        tile = _fitted(picture, side)
        sheet.paste(tile, (x + (side - tile.width) // 2, y + (side - tile.height) // 2))
        pen.text((x, y + side + 2), _shortened(caption, side, font), fill="black", font=font)
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _fitted(picture: PillowImage, side: int) -> PillowImage:
    colours = picture.convert("RGB")
    longest = max(picture.size)
    if longest <= side:
        factor = side // longest
        return colours.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    size = tuple(max(1, round(edge * side / longest)) for edge in picture.size)
    return colours.resize((size[0], size[1]), Image.Resampling.LANCZOS)


def _shortened(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return the end of a caption that is as long as the width in px allows."""
    text = caption
    while len(text) > 1 and font.getlength(text) > width:
        text = "…" + text[2:]
    return text

"""A picture cut into numbered patches, a flat vector as a strip, filters in colour, the tokens in a line."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfsss.figures.color import HATCH, Theme, meaning
from tfsss.figures.scales import levels, lut

CHANNELS = ((213, 48, 48), (34, 139, 60), (37, 99, 214))  # red, green, blue, as marks beside numbers
GROUND = {"light": "#FFFFFF", "dark": "#14171B"}
SMALLEST_LABEL = 18  # pixels between neighbours, below which a number does not fit


def numbered(pixels: np.ndarray, boxes: np.ndarray, *, chosen: int | None = None, side: int = 1024) -> bytes:
    """The picture with the outline of every patch, its sequence number where there is room, and the chosen one in blue.
    Pixels that lie in no patch are hatched.

    Args:    pixels: (H, W, 3) uint8. boxes: (n, 4) left, top, right, bottom, rows outer; they may overlap.
             chosen: sequence number. side: the longer side of the result is about this, a whole multiple of the source.
    Returns: PNG bytes.
    """
    zoom = max(1, round(side / max(pixels.shape[:2])))
    sheet = enlarged(unseen_hatched(pixels, boxes), zoom)
    pen = ImageDraw.Draw(sheet, "RGBA")
    corners = boxes * zoom - [0, 0, 1, 1]
    for box in corners.tolist():
        pen.rectangle(box, outline=(255, 255, 255, 110))
    steps = [np.diff(np.unique(boxes[:, axis])).min(initial=boxes[0, axis + 2] - boxes[0, axis]) for axis in (0, 1)]
    if (room := min(steps) * zoom) >= SMALLEST_LABEL:
        font = ImageFont.load_default(min(18, max(8, room * 0.36)))
        for number, (left, top_, right, bottom) in enumerate(corners.tolist()):
            pen.text(((left + right) / 2, (top_ + bottom) / 2), str(number), "white", font, anchor="mm", stroke_width=1,
                     stroke_fill="black")
    if chosen is not None:
        box = corners[chosen]
        pen.rectangle((box + [-1, -1, 1, 1]).tolist(), outline="white", width=6)
        pen.rectangle(box.tolist(), outline=meaning("query"), width=4)
    return png(sheet)


def unseen_hatched(pixels: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The picture with a hatch where no patch lies.  Args: as in `numbered`.  Returns: (H, W, 3) uint8."""
    seen = np.zeros(pixels.shape[:2], bool)
    for left, top, right, bottom in boxes:
        seen[top:bottom, left:right] = True
    return np.where(seen[..., None], pixels, _hatch(pixels.shape[:2], 4))


def patch_png(pixels: np.ndarray, side: int = 128) -> bytes:
    """One patch with its pixels as blocks.  Args: pixels: (p, q, 3) uint8; side: of the result, about."""
    return png(enlarged(pixels, max(1, round(side / max(pixels.shape[:2])))))


def strip(values: np.ndarray, *, columns: int, vmax: float, channels: np.ndarray | None = None,
          size: tuple[int, int] = (784, 60)) -> bytes:
    """A flat vector on the signed scale, wrapped into lines like text, first value top left.

    Args:    values: (v,); columns: values a line; vmax: the scale runs from -vmax to vmax.
             channels: (v,) 0, 1, 2: a red, green or blue mark above each value. None = no marks.
             size: width and height of the result, about.
    Returns: PNG bytes.
    """
    rows = -(-len(values) // columns)
    width = max(1, size[0] // columns)
    height = max(2, size[1] // rows)
    mark = 0 if channels is None else max(1, height // 5)
    sheet = np.zeros((rows, height + mark + 1, columns, width, 4), np.uint8)  # the last line of each row stays clear
    colours = lut("signed")[levels(values, scale="signed", vmax=vmax, count=256)]
    places = divmod(np.arange(len(values)), columns)
    sheet[places[0], mark:-1, places[1]] = _opaque(colours)[:, None, None]
    if channels is not None:
        sheet[places[0], :mark, places[1]] = _opaque(np.array(CHANNELS, np.uint8)[channels])[:, None, None]
    return png(Image.fromarray(sheet.reshape(rows * (height + mark + 1), columns * width, 4)))


def color_tiles(pictures: np.ndarray, *, across: int, zoom: int = 2, gap: int = 2) -> bytes:
    """Small colour pictures in a grid, first one top left, transparent between them.

    Args:    pictures: (k, p, q, 3) in 0..1.
    Returns: PNG bytes.
    """
    tiles = np.round(pictures * 255).astype(np.uint8).repeat(zoom, axis=1).repeat(zoom, axis=2)
    count, height, width, _ = tiles.shape
    down = -(-count // across)
    sheet = np.zeros((down, height + gap, across, width + gap, 4), np.uint8)
    places = divmod(np.arange(count), across)
    sheet[places[0], :height, places[1], :width] = _opaque(tiles)
    flat = sheet.reshape(down * (height + gap), across * (width + gap), 4)
    return png(Image.fromarray(flat[:-gap, :-gap] if gap else flat))


def token_line(pixels: np.ndarray, boxes: np.ndarray, prefix: Sequence[str], *, across: int = 24, lines: int = 3,
               side: int = 34, theme: Theme = "light") -> bytes:
    """The tokens in their order, wrapped like text: prefix tokens as lettered squares, patches as themselves, each
    with its index in the sequence under it. When there are too many, the middle lines are left out, and dots say so.

    Args:    prefix: short names (ASCII) of the tokens before the patches. lines: at most so many, one of them the last.
    Returns: PNG bytes.
    """
    total = len(prefix) + len(boxes)
    needed = -(-total // across)
    shown = list(range(needed)) if needed <= lines else [*range(lines - 1), needed - 1]
    font, cell = ImageFont.load_default(11), (side + 4, side + 18)
    dots = 12 if needed > lines else 0
    sheet = Image.new("RGB", (min(total, across) * cell[0], len(shown) * cell[1] + dots), GROUND[theme])
    pen, picture = ImageDraw.Draw(sheet), Image.fromarray(pixels)
    for place, line in enumerate(shown):
        top_ = place * cell[1] + (dots if place == len(shown) - 1 else 0)
        for index in range(line * across, min(total, (line + 1) * across)):
            left = (index - line * across) * cell[0] + 2
            if index < len(prefix):
                purple = meaning("class_token" if prefix[index] in ("cls", "dist") else "quiet", theme)
                pen.rectangle((left, top_, left + side - 1, top_ + side - 1), purple)
                pen.text((left + side / 2, top_ + side / 2), prefix[index], GROUND[theme], font, anchor="mm")
            else:
                patch = picture.crop(boxes[index - len(prefix)].tolist())
                sheet.paste(patch.resize((side, side), Image.Resampling.BOX), (left, top_))
            pen.text((left + side / 2, top_ + side + 2), str(index), meaning("text", theme), font, anchor="mt")
    if dots:
        at = (lines - 1) * cell[1] + 4
        for dot in range(3):
            pen.ellipse((6 + 12 * dot, at - 2, 10 + 12 * dot, at + 2), meaning("quiet", theme))
    return png(sheet)


def color_grid(colours: np.ndarray, *, side: int = 240) -> bytes:
    """One colour a patch; where there is none (NaN), the hatch.

    Args:    colours: (gy, gx, 3) in 0..1; side: the longer side of the result, about.
    Returns: PNG bytes.
    """
    zoom = max(1, round(side / max(colours.shape[:2])))
    missing = np.isnan(colours[..., :1]).repeat(zoom, axis=0).repeat(zoom, axis=1)
    blocks = np.round(np.nan_to_num(colours) * 255).astype(np.uint8).repeat(zoom, axis=0).repeat(zoom, axis=1)
    return png(Image.fromarray(np.where(missing, _hatch(blocks.shape[:2], 8), blocks)))


def side_by_side(pictures: Sequence[bytes], *, gap: int = 12) -> bytes:
    """PNG pictures in one row, their tops aligned.  Returns: PNG bytes."""
    opened = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    width = sum(picture.width for picture in opened) + gap * (len(opened) - 1)
    sheet = Image.new("RGB", (width, max(picture.height for picture in opened)), "white")
    left = 0
    for picture in opened:
        sheet.paste(picture, (left, 0))
        left += picture.width + gap
    return png(sheet)


def line_length(patch_size: int, most: int = 256) -> int:
    """Values a line for a flat patch: one channel's p*p values, or an even part of them when that is too long."""
    parts = 1
    while patch_size**2 % parts or patch_size**2 // parts > most:
        parts += 1
    return patch_size**2 // parts


def enlarged(pixels: np.ndarray, zoom: int) -> Image.Image:
    """Every pixel as a block of zoom x zoom."""
    return Image.fromarray(pixels.repeat(zoom, axis=0).repeat(zoom, axis=1))


def png(picture: Image.Image) -> bytes:
    """PNG bytes."""
    kept = BytesIO()
    picture.save(kept, "PNG", compress_level=1)
    return kept.getvalue()


def _hatch(shape: tuple[int, int], period: int) -> np.ndarray:
    """Diagonal stripes in the two greys that no scale contains: (H, W, 3) uint8."""
    stripe = np.add.outer(np.arange(shape[0]), np.arange(shape[1]))[..., None] % period < period // 2
    return np.where(stripe, *np.array(HATCH, np.uint8))


def _opaque(colours: np.ndarray) -> np.ndarray:
    """(..., 3) uint8 with a fourth channel of 255."""
    return np.concatenate([colours, np.full_like(colours[..., :1], 255)], axis=-1)

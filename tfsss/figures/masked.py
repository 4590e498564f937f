"""Pictures with patches removed, colours of maps, and sheets of small pictures with their names."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfsss.figures.color import HATCH
from tfsss.figures.scales import Scale, levels, lut

TITLE, GAP = 20, 8  # pixels of a sheet: height of a title, and between pictures
UNTRAINED = "UNTRAINED WEIGHTS"
STRIPE = 8  # pixels from one dark stripe to the next


def hatched(pixels: np.ndarray, mask: np.ndarray, *, zoom: int = 2) -> np.ndarray:
    """The picture with its removed patches hatched.

    Args:    pixels: (H, W, 3) uint8; mask: (gy, gx) boolean, True = removed; the grid covers the whole picture.
             zoom: pixels a side of one pixel; the hatch is drawn in the enlarged ones.
    Returns: (H * zoom, W * zoom, 3) uint8.
    """
    large = enlarged(pixels, zoom)
    height, width = large.shape[:2]
    removed = mask[np.arange(height) * mask.shape[0] // height][:, np.arange(width) * mask.shape[1] // width]
    stripe = np.add.outer(np.arange(height), np.arange(width)) % STRIPE < STRIPE // 2
    stripes = np.where(stripe[..., None], *np.array(HATCH, np.uint8))
    return np.where(removed[..., None], stripes, large)


def heat(values: np.ndarray, *, vmax: float, scale: Scale = "viridis") -> np.ndarray:
    """A map's colours: (rows, columns) to (rows, columns, 3) uint8."""
    return lut(scale)[levels(values, scale=scale, vmax=vmax, count=256)]


def signed_colours(values: np.ndarray, *, vmax: float) -> np.ndarray:
    """A picture whose channels have a sign: 0 is middle grey, -vmax and vmax are the ends.

    Args:    values: (H, W, 3) float.
    Returns: (H, W, 3) uint8.
    """
    return np.round(127.5 + 127.5 * (values / vmax).clip(-1, 1)).astype(np.uint8)


def enlarged(pixels: np.ndarray, zoom: int) -> np.ndarray:
    """Every pixel as a block of zoom x zoom."""
    return pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)


def small_jpeg(pixels: np.ndarray) -> bytes:
    """A small picture, its colours at full resolution so that no patch bleeds into the next."""
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "JPEG", quality=92, subsampling=0)
    return kept.getvalue()


def small_png(pixels: np.ndarray) -> bytes:
    """A small picture, exactly."""
    kept = BytesIO()
    Image.fromarray(pixels).save(kept, "PNG", compress_level=1)
    return kept.getvalue()


def named_sheet(rows: Sequence[Sequence[tuple[str, np.ndarray]]], *, side: int = 224, untrained: bool = False) -> bytes:
    """Rows of pictures, each under its name.

    Args:    rows: (name in ASCII, (h, w, 3) uint8), drawn `side` pixels wide without smoothing.
             untrained: say on the sheet that the weights were never trained.
    Returns: PNG bytes.
    """
    font = ImageFont.load_default(13)
    scaled = [[(name, _to_width(Image.fromarray(pixels), side)) for name, pixels in row] for row in rows]
    heights = [TITLE + max(picture.height for _, picture in row) + GAP for row in scaled]
    width = GAP + max(len(row) for row in rows) * (side + GAP)
    sheet = Image.new("RGB", (width, sum(heights) + GAP + (TITLE if untrained else 0)), "white")
    pen, top = ImageDraw.Draw(sheet), GAP // 2
    if untrained:
        pen.text((GAP, top + 2), UNTRAINED, "#B00020", font)
        top += TITLE
    for row, height in zip(scaled, heights, strict=True):
        for column, (name, picture) in enumerate(row):
            left = GAP + column * (side + GAP)
            pen.text((left, top + 2), name, "#1F2328", font)
            sheet.paste(picture, (left, top + TITLE))
        top += height
    kept = BytesIO()
    sheet.save(kept, "PNG")
    return kept.getvalue()


def pair(left: np.ndarray, right: np.ndarray, *, gap: int, ground: str, label: str = "") -> bytes:
    """Two pictures of one size side by side.  Args: label: ASCII, on the right one; "" = none.  Returns: JPEG bytes."""
    height, width = left.shape[:2]
    sheet = Image.new("RGB", (2 * width + gap, height), ground)
    sheet.paste(Image.fromarray(left), (0, 0))
    sheet.paste(Image.fromarray(right), (width + gap, 0))
    if label:
        pen, middle = ImageDraw.Draw(sheet), (width + gap + width / 2, height / 2)
        pen.text(middle, label, "white", ImageFont.load_default(width / 12), anchor="mm", stroke_width=2,
                 stroke_fill="black")
    return small_jpeg(np.asarray(sheet))


def _to_width(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.NEAREST)

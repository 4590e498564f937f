"""A picture with a heat map laid over it, as JPEG bytes that nobody re-encodes."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from tfsss.figures.color import HATCH
from tfsss.figures.scales import Scale, levels, lut, top

QUALITIES = (85, 75, 65, 55, 40, 25)


def jpeg(pixels: np.ndarray, *, max_side: int = 512, max_bytes: int = 24_000) -> bytes:
    """The picture at canvas size, as good as fits.

    Args:    pixels: (H, W, 3) uint8.
             max_side: a longer picture is reduced to this; a smaller one is left as it is.
             max_bytes: the quality steps down from 85 until it fits; below 25 the picture is reduced instead.
    Returns: JPEG bytes.
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    while True:
        for quality in QUALITIES:
            kept = encode(picture, quality)
            if len(kept) <= max_bytes or max(picture.size) == 1:
                return kept
        picture = picture.reduce(2)


def overlay_jpeg(pixels: np.ndarray, values: np.ndarray, *, scale: Scale = "viridis", vmax: float | None = None,
                 allowed: np.ndarray | None = None, strength: float = 0.6) -> bytes:
    """The heat map over the picture, each cell a plain block: nothing is smoothed that the model did not compute.

    Args:    pixels: (H, W, 3) uint8.
             values: (gy, gx), one value a patch; the grid covers the whole picture.
             scale, vmax, allowed: as in `maps.palette_png`.
             strength: 0 = the picture alone, 1 = the map alone.
    Returns: JPEG bytes, quality 85.
    """
    height, width = pixels.shape[:2]
    gy, gx = values.shape
    vmax = top(values, allowed) if vmax is None else vmax
    colours = lut(scale)[levels(values, scale=scale, vmax=vmax, count=256)]  # gy gx c
    cell_y, cell_x = np.arange(height) * gy // height, np.arange(width) * gx // width
    heat = colours[cell_y][:, cell_x]
    if allowed is not None:
        blocked = ~np.broadcast_to(allowed, values.shape)[cell_y][:, cell_x]
        stripe = np.add.outer(np.arange(height), np.arange(width)) % 8 < 4
        heat = np.where(blocked[..., None], np.where(stripe[..., None], *np.uint8(HATCH)), heat)
    return encode(Image.blend(Image.fromarray(pixels), Image.fromarray(heat), strength), QUALITIES[0])


def encode(picture: Image.Image, quality: int) -> bytes:
    """JPEG bytes."""
    kept = BytesIO()
    picture.save(kept, "JPEG", quality=quality)
    return kept.getvalue()

"""A picture taken apart into its patches, and the similarity of positions tile by tile."""

from __future__ import annotations

import numpy as np
from PIL import Image

from tfsss.figures.maps import montage
from tfsss.figures.overlay import encode


def exploded(pixels: np.ndarray, patch_size: int, *, gap: int, background: str) -> bytes:
    """The patches with space between them: the sequence that the model reads, row by row.

    Args:    pixels: (H, W, 3) uint8, sides multiples of patch_size. gap: in pixels. background: #RRGGBB.
    Returns: JPEG bytes.
    """
    height, width = pixels.shape[:2]
    gy, gx = height // patch_size, width // patch_size
    sheet = Image.new("RGB", (width + gap * (gx - 1), height + gap * (gy - 1)), background)
    picture = Image.fromarray(pixels)
    for y in range(gy):
        for x in range(gx):
            left, top = x * patch_size, y * patch_size
            patch = picture.crop((left, top, left + patch_size, top + patch_size))
            sheet.paste(patch, (left + x * gap, top + y * gap))
    return encode(sheet, 85)


def similarity_tiles(tiles: np.ndarray, *, most: int = 5, zoom: int = 1) -> bytes:
    """For patches spread over the grid, how alike every other patch's position is; signed scale, -1 to 1.

    Args:    tiles: (gy, gx, gy, gx) cosines. most: so many patches a side are shown, evenly spread.
    Returns: PNG bytes.
    Source:  Dosovitskiy et al. 2021, arXiv:2010.11929, fig. 7, centre (there every patch of a smaller grid).
    """
    rows, columns = (np.unique(np.linspace(0, side - 1, min(most, side)).round().astype(int))
                     for side in tiles.shape[:2])
    return montage(tiles[rows][:, columns], scale="signed", vmax=1.0, zoom=zoom, gap=4 * zoom)

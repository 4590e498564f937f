"""Heat maps as palette PNG: small, many or plain pictures, drawn without a charting library.

Enlarge them in CSS (`image-rendering: pixelated`), and hand Streamlit the bytes: it re-encodes arrays.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from tfsss.figures.color import HATCH
from tfsss.figures.scales import Scale, levels, sample, top

LEVELS = 253  # palette entries of the scale; the last three are the hatch's two greys and the gap
HATCH_LIGHT, HATCH_DARK, GAP = 253, 254, 255
RUN_LENGTH = 3  # zlib's Z_RLE: on heat maps a quarter smaller than level 1's search, and no slower


def palette_png(values: np.ndarray, *, scale: Scale = "viridis", vmax: float | None = None,
                allowed: np.ndarray | None = None, zoom: int = 1) -> bytes:
    """One heat map, one value a pixel.

    Args:    values: (rows, columns), float or integer.
             scale: "viridis" from 0 to vmax, "signed" from -vmax to vmax.
             vmax: the maximum that is printed beside it; None = the largest magnitude of an allowed cell.
             allowed: boolean, broadcastable to `values`; False = hatched grey, whatever the value. None = all.
             zoom: pixels a side of one cell; the hatch is drawn in pixels, so 4 or more shows it inside a cell.
    Returns: PNG bytes.
    """
    vmax = top(values, allowed) if vmax is None else vmax
    return png(indices(values, scale=scale, vmax=vmax, allowed=allowed, zoom=zoom), scale)


def montage(maps: np.ndarray, *, scale: Scale = "viridis", vmax: float | None = None,
            allowed: np.ndarray | None = None, zoom: int = 1, gap: int = 2) -> bytes:
    """A grid of heat maps (layers down, heads across) on one colour range, with transparent gaps.

    Args:    maps: (down, across, rows, columns).
             allowed: boolean, broadcastable to `maps`.
             gap: pixels between neighbours; see `montage_cell` for where a map ends up.
             scale, vmax, zoom: as in `palette_png`.
    Returns: PNG bytes.
    """
    vmax = top(maps, allowed) if vmax is None else vmax
    tiles = indices(maps, scale=scale, vmax=vmax, allowed=allowed, zoom=zoom)
    down, across, rows, columns = tiles.shape
    sheet = np.full((down, rows + gap, across, columns + gap), GAP, np.uint8)
    sheet[:, :rows, :, :columns] = tiles.transpose(0, 2, 1, 3)
    sheet = sheet.reshape(down * (rows + gap), across * (columns + gap))
    return png(sheet[: sheet.shape[0] - gap, : sheet.shape[1] - gap], scale)


def montage_cell(y: int, x: int, *, rows: int, columns: int, gap: int = 2) -> tuple[int, int] | None:
    """Which map lies at pixel (y, x) of a montage: (down, across), or None in a gap.  rows, columns: of one map."""
    (down, inside_y), (across, inside_x) = divmod(y, rows + gap), divmod(x, columns + gap)
    return (down, across) if inside_y < rows and inside_x < columns else None


def scale_bar(*, scale: Scale = "viridis", width: int = 253, height: int = 10) -> bytes:
    """The scale itself, low end left; its ends are printed beside it as text.  Returns: PNG bytes."""
    ramp = np.linspace(0, LEVELS - 1, width).round().astype(np.uint8)
    return png(np.broadcast_to(ramp, (height, width)), scale)


def indices(values: np.ndarray, *, scale: Scale, vmax: float, allowed: np.ndarray | None, zoom: int = 1) -> np.ndarray:
    """Palette entries of the map: (..., rows * zoom, columns * zoom) uint8."""
    index = levels(values, scale=scale, vmax=vmax, count=LEVELS)
    if zoom > 1:
        index = index.repeat(zoom, axis=-2).repeat(zoom, axis=-1)
    if allowed is None:
        return index
    allowed = np.broadcast_to(allowed, values.shape)
    if zoom > 1:
        allowed = allowed.repeat(zoom, axis=-2).repeat(zoom, axis=-1)
    return np.where(allowed, index, hatch(*index.shape[-2:]))


def hatch(rows: int, columns: int) -> np.ndarray:
    """Diagonal stripes two pixels wide, in palette entries: (rows, columns) uint8."""
    stripe = np.add.outer(np.arange(rows), np.arange(columns)) % 4 < 2
    return np.where(stripe, np.uint8(HATCH_LIGHT), np.uint8(HATCH_DARK))


def png(index: np.ndarray, scale: Scale) -> bytes:
    """Palette entries as PNG bytes.  Args: index: (rows, columns) uint8."""
    picture = Image.fromarray(np.ascontiguousarray(index))
    picture.putpalette(palette(scale))
    kept = BytesIO()
    picture.save(kept, "PNG", compress_level=1, compress_type=RUN_LENGTH, transparency=GAP)
    return kept.getvalue()


def palette(scale: Scale) -> bytes:
    """256 x RGB: the scale's `LEVELS` colours, the hatch's two, the gap."""
    return sample(scale, LEVELS).tobytes() + bytes(HATCH[0]) + bytes(HATCH[1]) + bytes(3)
